from __future__ import annotations

import json
import os
from collections import namedtuple
from pathlib import Path

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.core.weights import read_header
from sao_tui.services import checkpoints, models
from sao_tui.services.workspace import Workspace, init_workspace
from tests.fakes.nano_weights import nano_config, nano_core, shifted, write_base, write_wrapped
from tests.fakes.torch_files import FakeTensor, wrapped, write_torch_file


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return init_workspace(tmp_path / "ws")


def add_run(workspace: Workspace, job: str = "train-1", *, ema: bool = True, step: int = 500) -> Path:
    file = write_wrapped(
        workspace.runs_folder / job / "checkpoints" / f"step={step:08d}.ckpt", ema=ema, step=step, fill=True
    )
    (workspace.runs_folder / job / "job.json").write_text(json.dumps({"model_config": nano_config()}))
    return file


def numbers(path: Path) -> dict[str, bytes]:
    data = path.read_bytes()
    return {
        name: data[info.offset_bytes : info.offset_bytes + info.num_bytes]
        for name, info in read_header(path).tensors.items()
    }


def test_an_export_with_ema_takes_the_dit_from_it_and_the_rest_as_trained(workspace: Workspace) -> None:
    report = checkpoints.export(add_run(workspace))
    core = nano_core(fill=True)
    expected = {name: tensor.data for name, tensor in (core | shifted(core)).items()}
    assert numbers(report.path) == expected
    assert (report.weights, report.tensors, report.verified) == ("ema", 357, True)


def test_an_export_without_ema_takes_everything_as_trained(workspace: Workspace) -> None:
    report = checkpoints.export(add_run(workspace, ema=False))
    assert numbers(report.path) == {name: tensor.data for name, tensor in nano_core(fill=True).items()}
    assert report.weights == "raw"


def test_raw_weights_can_be_asked_for_beside_an_ema(workspace: Workspace) -> None:
    report = checkpoints.export(add_run(workspace), weights="raw")
    assert numbers(report.path) == {name: tensor.data for name, tensor in nano_core(fill=True).items()}


def test_the_ema_of_a_run_without_one_is_refused(workspace: Workspace) -> None:
    with pytest.raises(SaoError, match="no EMA") as caught:
        checkpoints.export(add_run(workspace, ema=False), weights="ema")
    assert "raw" in caught.value.hint


def test_an_export_goes_to_models_with_its_config_and_is_known_again(workspace: Workspace) -> None:
    report = checkpoints.export(add_run(workspace))
    assert report.path == workspace.models_folder / "train-1-step500.safetensors"
    assert report.config == workspace.models_folder / "train-1-step500.json"
    assert json.loads(report.config.read_text()) == nano_config()
    found = models.inspect(report.path, report.config)
    assert (found.kind, found.step, found.objective) == ("exported", 500, "rectified_flow")
    assert found.matches is not None
    assert found.matches.is_whole
    assert report.as_dict() | {"seconds": 0} == {
        "source": str(report.source),
        "path": str(report.path),
        "weights": "ema",
        "tensors": 357,
        "verified": True,
        "bytes": report.path.stat().st_size,
        "seconds": 0,
        "config": str(report.config),
    }


def test_a_file_outside_a_workspace_is_exported_beside_itself(tmp_path: Path) -> None:
    report = checkpoints.export(write_wrapped(tmp_path / "x.ckpt"))
    assert report.path == tmp_path / "x.safetensors"
    assert report.config is None


def test_a_folder_that_cannot_be_written_is_named(workspace: Workspace) -> None:
    file = add_run(workspace)
    output = workspace.root / "file" / "x.safetensors"
    output.parent.write_text("no folder")
    with pytest.raises(SaoError, match="could not be exported") as caught:
        checkpoints.export(file, output)
    assert "permissions" in caught.value.hint


def test_progress_ends_at_all_bytes_written_and_compared(workspace: Workspace) -> None:
    seen: list[tuple[int, int]] = []
    checkpoints.export(add_run(workspace), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1]
    assert seen == sorted(seen)


def test_a_tensor_that_lies_transposed_is_exported_in_order(tmp_path: Path) -> None:
    core = {
        "model.model.project_in.weight": FakeTensor((2, 3), data=bytes(range(24)), strides=(1, 2)),
        "conditioner.x": FakeTensor((1,), data=b"abcd"),
    }
    report = checkpoints.export(write_torch_file(tmp_path / "x.ckpt", wrapped(core)))
    # Columns of two numbers of four bytes each become rows of three.
    by_rows = b"".join(bytes(range(start, start + 4)) for start in (0, 8, 16, 4, 12, 20))
    assert numbers(report.path)["model.model.project_in.weight"] == by_rows


@pytest.mark.parametrize("make", [write_base, lambda path: path.write_text("<html>") and path])
def test_what_is_no_training_checkpoint_is_not_exported(tmp_path: Path, make: object) -> None:
    with pytest.raises(SaoError, match=r"x\.ckpt"):
        checkpoints.export(make(tmp_path / "x.ckpt"))  # type: ignore[operator]
    assert [path.name for path in tmp_path.iterdir()] == ["x.ckpt"]


def test_an_ema_that_does_not_fit_its_model_is_refused(tmp_path: Path) -> None:
    core = nano_core()
    ema = shifted(core)
    del ema["model.model.preprocess_conv.weight"]
    with pytest.raises(SaoError, match="EMA that does not fit"):
        checkpoints.export(write_torch_file(tmp_path / "x.ckpt", wrapped(core, ema=ema)))


def test_other_files_are_not_replaced_and_earlier_exports_are(workspace: Workspace) -> None:
    file = add_run(workspace)
    first = checkpoints.export(file)
    assert checkpoints.export(file).path == first.path
    base = write_base(workspace.models_folder / "base_model.safetensors")
    before = base.read_bytes()
    with pytest.raises(SaoError, match="exists"):
        checkpoints.export(file, base)
    assert base.read_bytes() == before
    note = workspace.models_folder / "mine.json"
    note.write_text('{"my": "notes"}')
    with pytest.raises(SaoError, match=r"mine\.json"):
        checkpoints.export(file, workspace.models_folder / "mine.safetensors")


def test_an_output_that_is_no_safetensors_is_refused(workspace: Workspace) -> None:
    with pytest.raises(SaoError, match="safetensors"):
        checkpoints.export(add_run(workspace), workspace.models_folder / "x.ckpt")


def test_a_disk_without_room_is_told_before_and_nothing_is_left(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = add_run(workspace)
    disk = namedtuple("disk", "f_bavail f_frsize")
    monkeypatch.setattr(os, "statvfs", lambda _: disk(1, 4096))
    with pytest.raises(SaoError, match="free"):
        checkpoints.export(file)
    assert list(workspace.models_folder.iterdir()) == []


def test_a_disk_that_fills_up_on_the_way_leaves_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    file = add_run(workspace)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaoError, match="No space left"):
        checkpoints.export(file)
    assert list(workspace.models_folder.iterdir()) == []


def test_what_was_written_wrongly_is_noticed_and_not_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = add_run(workspace)
    real = checkpoints._copy

    def damage(source: object, out: object, *rest: object) -> None:
        real(source, out, *rest)  # type: ignore[arg-type]
        out.seek(-1, 1)  # type: ignore[attr-defined]
        out.write(b"\xee")  # type: ignore[attr-defined]

    monkeypatch.setattr(checkpoints, "_copy", damage)
    with pytest.raises(SaoError, match="written wrongly"):
        checkpoints.export(file)
    assert list(workspace.models_folder.iterdir()) == []


def test_all_weights_files_are_listed_newest_first_with_what_they_are(workspace: Workspace) -> None:
    old = add_run(workspace, "train-1", step=100)
    new = add_run(workspace, "train-2", step=200, ema=False)
    base = write_base(workspace.models_folder / "base_model.ckpt", nano_config())
    torn = workspace.models_folder / "torn.safetensors"
    torn.write_bytes(b"\x10\0\0\0\0\0\0\0{")
    (workspace.models_folder / "readme.txt").write_text("x")
    (old.parent / ".step=00000100.ckpt.12.part").write_bytes(b"x")
    for age, path in enumerate([new, base, old, torn]):
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    rows = checkpoints.list_checkpoints(workspace)
    assert [(row.path, row.job, row.kind, row.step, row.has_ema, row.whole) for row in rows] == [
        (new, "train-2", "wrapped", 200, False, True),
        (base, "", "rf-base", None, False, True),
        (old, "train-1", "wrapped-ema", 100, True, True),
        (torn, "", "truncated", None, False, False),
    ]


def test_a_listed_file_is_read_again_only_when_it_changed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = add_run(workspace)
    checkpoints.list_checkpoints(workspace)
    monkeypatch.setattr(models, "read_header", lambda _: pytest.fail("read again"))
    assert [row.step for row in checkpoints.list_checkpoints(workspace)] == [500]
    monkeypatch.undo()
    os.remove(file)
    write_wrapped(file, step=501)
    assert [row.step for row in checkpoints.list_checkpoints(workspace)] == [501]
