#!/usr/bin/env bash
# Makes the environment that everything else runs in: make_env.sh VENV
# Safe to run again at any time: what is there already is kept, what was interrupted goes on.
set -euo pipefail

venv=${1:?usage: make_env.sh VENV}
needed_gb=7
tools=.uv

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 2
}

is_trainable() { # the torch stack's pins stop at Python 3.11
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 11))' 2>/dev/null
}

find_uv() {
    if command -v uv >/dev/null; then
        command -v uv
        return
    fi
    if ! "$tools/bin/uv" --version >/dev/null 2>&1; then
        command -v python3 >/dev/null ||
            fail "Python is missing." "sudo apt install python3 python3-venv, then the same command again."
        python3 -c 'import ensurepip, venv' 2>/dev/null ||
            fail "This Python cannot make environments: python3-venv is missing." \
                "sudo apt install python3-venv, then the same command again."
        echo "Fetching uv, which installs the packages" >&2
        python3 -m venv --clear "$tools" >&2 && "$tools/bin/pip" install --quiet uv >&2 ||
            fail "uv could not be fetched; pip says why above." \
                "Check the network (behind a proxy: export HTTPS_PROXY=…), then the same command again."
    fi
    echo "$tools/bin/uv"
}

find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        is_trainable "$PYTHON" || fail "$PYTHON is not Python 3.10 or 3.11." \
            "stable-audio-tools' pins stop at 3.11: give PYTHON=/path/to/python3.11, or leave PYTHON out."
        echo "$PYTHON"
        return
    fi
    for candidate in python3.11 python3.10 python3; do
        if is_trainable "$candidate"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    echo 3.11 # uv fetches it
}

check_space() {
    local folder=$1
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    local free_kb
    free_kb=$(df -Pk "$folder" | awk 'NR == 2 {print $4}')
    [ "$free_kb" -ge $((needed_gb * 1000 * 1000)) ] ||
        fail "$folder has $((free_kb / 1000 / 1000)) GB free; the environment needs about $needed_gb GB." \
            "Free some space, or put it elsewhere: make VENV=/another/disk/venv …"
}

add_simpleaudio() {
    "$venv/bin/python" -c 'import simpleaudio' 2>/dev/null && return
    if ! echo '#include <alsa/asoundlib.h>' | ${CC:-cc} -E - >/dev/null 2>&1; then
        echo "Without simpleaudio: it compiles against ALSA (sudo apt install gcc libasound2-dev, then make audio);" \
            "miniaudio plays instead."
    elif ! "$uv" pip install --quiet --python "$venv/bin/python" -c constraints.txt -e '.[audio]'; then
        echo "Without simpleaudio: it did not compile here, see above; miniaudio plays instead."
    fi
}

export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}
uv=$(find_uv)
if [ ! -e "$venv/lib/python3.1"?"/site-packages/torch" ]; then
    check_space "$venv"
    check_space "$("$uv" cache dir)"
fi
if ! { [ -e "$venv/bin/python" ] && is_trainable "$venv/bin/python"; }; then
    python=$(find_python)
    echo "Making $venv with Python from $python"
    "$uv" venv --quiet --clear --python "$python" "$venv" ||
        fail "No Python 3.10 or 3.11 here, and none could be fetched." \
            "Install one (your distribution, pyenv or conda have it) and give PYTHON=/path/to/python3.11."
fi
echo "Installing what constraints.txt lists (the first time some minutes and $needed_gb GB)"
"$uv" pip install --python "$venv/bin/python" --compile-bytecode -c constraints.txt -e '.[train,dev]' ||
    fail "The packages could not be installed; uv says why above." \
        "Check the network and the disk, then the same command again: finished downloads are kept."
add_simpleaudio
