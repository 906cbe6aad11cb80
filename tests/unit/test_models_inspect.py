from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.core.weights.expected import expected_tensors
from sao_tui.services import models
from tests.fakes.nano_weights import (
    NANO_CONFIG_FILE,
    arc_config,
    nano_config,
    nano_core,
    small_config,
    write_base,
    write_wrapped,
)
from tests.fakes.torch_files import Call, FakeTensor, core_state, wrapped, write_torch_file

DESIGNED_KEYS = [
    "file", "kind", "tensors", "parameters", "bytes", "step", "objective", "has_ema", "has_optimizer", "message",
]  # fmt: skip


def test_base_weights_with_their_config_beside_them(tmp_path: Path) -> None:
    report = models.inspect(write_base(tmp_path / "base_model.ckpt", nano_config()))
    assert (report.kind, report.objective) == ("rf-base", "rectified_flow")
    assert (report.tensors, report.parameters) == (357, 2_826_162)
    assert (report.step, report.has_ema, report.has_optimizer) == (None, False, False)
    assert list(report.as_dict()) == DESIGNED_KEYS
    assert json.loads(json.dumps(report.as_dict()))["bytes"] == report.file.stat().st_size


def test_arc_weights_have_the_same_tensors_and_are_told_by_the_config_beside_them(tmp_path: Path) -> None:
    path = write_base(tmp_path / "model.ckpt")
    (tmp_path / "model_config.json").write_text(json.dumps(arc_config()))
    report = models.inspect(path)
    assert (report.kind, report.objective) == ("arc", "rf_denoiser")


def test_a_config_that_belongs_to_another_file_is_not_taken(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base_model.ckpt")
    write_base(tmp_path / "model.ckpt")
    (tmp_path / "model_config.json").write_text(json.dumps(arc_config()))
    report = models.inspect(base)
    assert (report.kind, report.objective) == ("rf-base", "unknown")
    assert "base_model_config.json" in report.message


def test_the_only_model_config_of_a_folder_counts_for_a_renamed_file(tmp_path: Path) -> None:
    path = write_base(tmp_path / "downloaded.ckpt")
    (tmp_path / "model_config.json").write_text(json.dumps(arc_config()))
    assert models.inspect(path).kind == "arc"


def test_the_files_own_config_is_believed_before_the_given_one(tmp_path: Path) -> None:
    path = write_base(tmp_path / "model.ckpt")
    (tmp_path / "model_config.json").write_text(json.dumps(arc_config()))
    given = tmp_path / "other.json"
    given.write_text(json.dumps(nano_config()))
    assert models.inspect(path, given).kind == "arc"


def test_the_given_config_tells_the_objective_when_nothing_else_does(tmp_path: Path) -> None:
    given = tmp_path / "other.json"
    given.write_text(json.dumps(arc_config()))
    assert models.inspect(write_base(tmp_path / "x.ckpt"), given).kind == "arc"


def test_weights_named_like_the_arc_model_are_not_called_arc_but_pointed_out(tmp_path: Path) -> None:
    report = models.inspect(write_base(tmp_path / "model.ckpt"))
    assert (report.kind, report.objective) == ("rf-base", "unknown")
    assert "ARC" in report.message


@pytest.mark.parametrize("ema", [True, False])
def test_wrapped_checkpoints_are_told_by_their_keys(tmp_path: Path, ema: bool) -> None:
    report = models.inspect(write_wrapped(tmp_path / "x.ckpt", ema=ema, step=42))
    assert report.kind == ("wrapped-ema" if ema else "wrapped")
    assert (report.step, report.has_ema, report.has_optimizer) == (42, ema, True)
    assert report.parameters == 2_826_162
    assert "export" in report.message


def test_a_run_tells_the_objective_of_its_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "runs" / "job").mkdir(parents=True)
    (tmp_path / "runs" / "job" / "job.json").write_text(json.dumps({"model_config": arc_config()}))
    path = write_wrapped(tmp_path / "runs" / "job" / "checkpoints" / "step=1.ckpt")
    assert models.inspect(path).objective == "rf_denoiser"


def test_a_checkpoint_that_holds_its_config_tells_the_objective_anywhere(tmp_path: Path) -> None:
    value = wrapped(nano_core()) | {"model_config": arc_config()}
    assert models.inspect(write_torch_file(tmp_path / "x.ckpt", value)).objective == "rf_denoiser"
    odd = wrapped(nano_core()) | {"model_config": {"model": {"x": Call("torch.Size", ((1,),))}}}
    assert models.inspect(write_torch_file(tmp_path / "y.ckpt", odd)).objective == "unknown"


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["encoder.layers.0.weight", "decoder.layers.0.weight"], "autoencoder"),
        (["autoencoder.encoder.layers.0.weight"], "autoencoder"),
        (["model.model.transformer.layers.0.self_attn.to_out.lora_A.weight"], "adapter"),
        (["unet.conv_in.weight"], "foreign"),
    ],
)
def test_other_files_are_told_by_their_names_too(tmp_path: Path, names: list[str], kind: str) -> None:
    state = {name: FakeTensor((2, 2)) for name in names}
    report = models.inspect(write_torch_file(tmp_path / "x.ckpt", {"state_dict": state}))
    assert report.kind == kind
    assert report.message


def test_dangerous_and_truncated_files_are_reports_not_errors(tmp_path: Path) -> None:
    evil = write_torch_file(tmp_path / "evil.ckpt", {"state_dict": nano_core(), "x": Call("os.system")})
    assert models.inspect(evil).as_dict()["kind"] == "dangerous"
    assert "os.system" in models.inspect(evil).message
    torn = write_base(tmp_path / "torn.ckpt")
    with torn.open("r+b") as file:
        file.truncate(torn.stat().st_size // 2)
    report = models.inspect(torn, NANO_CONFIG_FILE)
    assert (report.kind, report.matches) == ("truncated", None)
    assert report.message.startswith("torn.ckpt is cut short")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SaoError, match=r"nowhere\.ckpt does not exist"):
        models.inspect(tmp_path / "nowhere.ckpt")


def test_matches_count_what_would_be_loaded(tmp_path: Path) -> None:
    matches = models.inspect(write_base(tmp_path / "x.ckpt"), NANO_CONFIG_FILE).as_dict()["matches"]
    assert matches == {"loaded": 357, "expected": 357, "missing": (), "unexpected": ()}


def test_matches_name_what_is_missing_misshapen_and_left_over(tmp_path: Path) -> None:
    core = nano_core()
    del core["model.model.preprocess_conv.weight"]
    core["model.model.postprocess_conv.weight"] = FakeTensor((32, 32, 1))
    core["model.model.extra"] = FakeTensor((1,))
    path = write_torch_file(tmp_path / "x.ckpt", {"state_dict": core})
    matches = models.inspect(path, NANO_CONFIG_FILE).matches
    assert matches is not None
    assert (matches.loaded, matches.expected) == (355, 357)
    assert matches.missing == (
        "model.model.preprocess_conv.weight",
        "model.model.postprocess_conv.weight 64x64x1, the file has 32x32x1",
    )
    assert matches.unexpected == ("model.model.extra",)
    assert not matches.is_whole


def test_a_config_that_is_none_is_named(tmp_path: Path) -> None:
    path = write_base(tmp_path / "x.ckpt")
    for text in ("[]", "{", '{"model": {}}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(SaoError, match=r"bad\.json"):
            models.inspect(path, tmp_path / "bad.json")


def test_sao_small_has_its_published_size() -> None:
    expected = expected_tensors(small_config())
    assert (len(expected.shapes), expected.num_parameters) == (750, 497_190_274)
    num_of = {
        part: sum(name.startswith(part) for name in expected.shapes) for part in ("model.", "pretransform.", "cond")
    }
    assert num_of == {"model.": 382, "pretransform.": 365, "cond": 3}


def test_a_wrapped_sao_small_is_inspected_against_its_config_at_once(tmp_path: Path) -> None:
    core = core_state(expected_tensors(small_config()).shapes)
    ema = {name: tensor for name, tensor in core.items() if name.startswith("model.")}
    path = write_torch_file(tmp_path / "x.ckpt", wrapped(core, ema=ema))
    (tmp_path / "config.json").write_text(json.dumps(small_config()))
    assert path.stat().st_size // 10_000_000 == 576, "upstream.md: 5.77 GB"
    started = time.perf_counter()
    report = models.inspect(path, tmp_path / "config.json")
    assert time.perf_counter() - started < 2
    assert report.matches is not None
    assert (report.matches.loaded, report.parameters) == (750, 497_190_274)


def test_importing_the_services_brings_neither_pydantic_nor_numpy_nor_torch() -> None:
    code = (
        "import sys, sao_tui.services.models, sao_tui.services.checkpoints, sao_tui.services.configs, "
        "sao_tui.services.doctor; "
        "print([m for m in ('pydantic', 'numpy', 'torch', 'tomlkit', 'zipfile', 'sqlite3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
