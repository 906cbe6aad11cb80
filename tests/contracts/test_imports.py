"""What may import what: the static contracts of pyproject.toml, and what really gets loaded at run time."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import sao_tui
from sao_tui.services.workspace import init_workspace

REPOSITORY = Path(__file__).parents[2]
TORCH_STACK = {"torch", "torchaudio", "stable_audio_tools", "pytorch_lightning", "transformers"}
NOT_AT_START = {"numpy", "pydantic", "soundfile", "pynvml", "miniaudio", "tomlkit", "watchfiles", "sqlite3"}

PROBE = "import json, sys\n{code}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"


def run_python(*arguments: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, *arguments]
    done = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def loaded_after(code: str) -> set[str]:
    """Return the top-level modules in a fresh interpreter after it ran `code`."""
    return set(json.loads(run_python("-c", PROBE.format(code=code)).stdout.splitlines()[-1]))


def modules_of(package: str) -> list[str]:
    """Return the names of all modules of `sao_tui.PACKAGE`, found without importing them."""
    folder = Path(sao_tui.__file__).parent / package
    paths = (path.relative_to(folder.parent.parent) for path in folder.rglob("*.py"))
    names = (".".join(path.with_suffix("").parts) for path in paths)
    return sorted(name.removesuffix(".__init__") for name in names if not name.endswith("__main__"))


def import_all(package: str) -> str:
    return "\n".join(f"import {name}" for name in modules_of(package))


def test_the_static_import_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_help_imports_neither_torch_nor_textual() -> None:
    done = run_python("-X", "importtime", "-m", "sao_tui", "--help")
    assert "usage" in done.stdout.lower()
    names = (line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if line.count("|") == 2)
    assert not set(names) & (TORCH_STACK | NOT_AT_START | {"textual", "rich"})


def test_importing_the_dashboard_loads_nothing_heavy() -> None:
    assert not loaded_after("import sao_tui.tui.app") & (TORCH_STACK | NOT_AT_START)


OPEN_DASHBOARD = """
import asyncio
from pathlib import Path
from sao_tui.services.bundle import build_services
from sao_tui.tui.app import SaoApp

async def open_it():
    app = SaoApp(build_services(Path({root!r})), poll_seconds=None)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()

asyncio.run(open_it())
"""


def test_opening_the_dashboard_loads_no_torch_and_no_numpy_before_it_is_needed(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path / "workspace")
    loaded = loaded_after(OPEN_DASHBOARD.format(root=str(workspace.root)))
    assert "textual" in loaded
    assert not loaded & (TORCH_STACK | {"numpy", "pydantic", "soundfile", "miniaudio"})


@pytest.mark.parametrize("package", ["core", "services", "supervisor", "tasks"])
def test_no_module_of_the_light_layers_loads_torch_or_textual(package: str) -> None:
    assert not loaded_after(import_all(package)) & (TORCH_STACK | {"textual"})


@pytest.mark.worker
def test_no_module_of_the_worker_loads_the_dashboard_or_the_services() -> None:
    # The worker may run under another interpreter that has stable-audio-tools but nothing of ours beside core.
    code = import_all("worker") + "\nsys.modules.update({name.replace('.', '_'): None for name in list(sys.modules)})"
    loaded = loaded_after(code)
    assert "sao_tui_worker" in loaded
    assert not loaded & {"textual", "sao_tui_tui", "sao_tui_services", "sao_tui_supervisor", "sao_tui_cli"}


def test_the_metadata_module_needs_only_the_standard_library() -> None:
    # Upstream's train.py loads it by its path, in an environment that need not hold this package.
    path = REPOSITORY / "sao_tui" / "core" / "metadata_module.py"
    code = f"import runpy; module = runpy.run_path({str(path)!r}); assert callable(module['get_custom_metadata'])"
    run_python("-I", "-S", "-c", code)


def test_every_package_is_a_package() -> None:
    folder = Path(sao_tui.__file__).parent
    packages = {info.name for info in pkgutil.walk_packages([str(folder)], "sao_tui.") if info.ispkg}
    folders = {path.parent for path in folder.rglob("*.py") if path.parent != folder}
    assert {".".join(["sao_tui", *path.relative_to(folder).parts]) for path in folders} <= packages
