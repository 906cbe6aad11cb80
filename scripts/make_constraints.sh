#!/usr/bin/env bash
# Resolves pyproject.toml for every supported Python at once.
# Versions already in constraints.txt are kept where they still fit; delete a line to let it move.
set -euo pipefail

uv=$(command -v uv || echo .uv/bin/uv)
resolved=$(mktemp)
trap 'rm -f "$resolved"' EXIT
cp constraints.txt "$resolved"
"$uv" pip compile pyproject.toml --all-extras --universal --python-version 3.10 \
    --no-annotate --no-header --quiet --output-file "$resolved"
{
    sed -n '/^#/p' constraints.txt
    cat "$resolved"
} >constraints.txt.new
mv constraints.txt.new constraints.txt
