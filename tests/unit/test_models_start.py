from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sao_tui.core.settings import TrainSettings
from sao_tui.services.models import StartError, decide_start
from tests.fakes.nano_weights import arc_config, nano_config, nano_core, write_base, write_wrapped
from tests.fakes.torch_files import Call, FakeTensor, write_torch_file


def start(file: Path | None) -> TrainSettings:
    return TrainSettings(base_weights=None if file is None else str(file))


def resume(file: Path) -> TrainSettings:
    return TrainSettings(resume_from=str(file), max_steps=1_000)


def refusal(settings: TrainSettings, config: dict[str, Any] | None = None) -> StartError:
    with pytest.raises(StartError) as caught:
        decide_start(settings, config or nano_config(), config_name="model_config.json")
    error = caught.value
    assert error.hint
    assert error.message.endswith(".")
    return error


def test_base_weights_that_fit_start(tmp_path: Path) -> None:
    plan = decide_start(start(write_base(tmp_path / "base_model.ckpt", nano_config())), nano_config())
    assert (plan.mode, plan.file.name, plan.step) == ("start", "base_model.ckpt", 0)
    assert "357/357" in plan.message


def test_relative_paths_count_from_the_workspace(tmp_path: Path) -> None:
    write_base(tmp_path / "models" / "base_model.ckpt")
    plan = decide_start(TrainSettings(base_weights="models/base_model.ckpt"), nano_config(), tmp_path)
    assert plan.file == tmp_path / "models" / "base_model.ckpt"


def test_a_checkpoint_resumes_at_its_step(tmp_path: Path) -> None:
    plan = decide_start(resume(write_wrapped(tmp_path / "x.ckpt", step=500)), nano_config())
    assert (plan.mode, plan.step) == ("resume", 500)
    assert "step 500 of 1000" in plan.message


def test_a_wrapped_checkpoint_offered_as_base_weights_is_refused(tmp_path: Path) -> None:
    file = write_wrapped(tmp_path / "x.ckpt")
    error = refusal(start(file))
    assert error.finding_id == "weights-wrapped"
    assert str(file) in error.message
    assert "export" in error.hint
    assert "train resume" in error.hint


def test_base_weights_offered_as_a_resume_point_are_refused(tmp_path: Path) -> None:
    file = write_base(tmp_path / "base_model.ckpt")
    error = refusal(resume(file))
    assert error.finding_id == "resume-not-wrapped"
    assert str(file) in error.message
    assert "base_weights" in error.hint


def test_arc_weights_under_rectified_flow_are_refused(tmp_path: Path) -> None:
    file = write_base(tmp_path / "model.ckpt", arc_config())
    error = refusal(start(file))
    assert error.finding_id == "objective-arc"
    assert "base_model.ckpt" in error.hint


def test_arc_weights_under_their_own_objective_start(tmp_path: Path) -> None:
    file = write_base(tmp_path / "model.ckpt", arc_config())
    assert decide_start(start(file), arc_config()).mode == "start"


def test_weights_of_another_size_are_refused_with_counts_and_names(tmp_path: Path) -> None:
    file = write_base(tmp_path / "base_model.ckpt")
    config = nano_config()
    config["model"]["diffusion"]["config"]["depth"] = 6
    error = refusal(start(file), config)
    assert error.finding_id == "weights-mismatch"
    assert "357 of 380 tensors match" in error.message
    assert "model.model.transformer.layers.5.pre_norm.gamma" in error.message
    assert "and 20 more" in error.message
    assert "model_config.json" in error.message


@pytest.mark.parametrize("mode", [start, resume])
def test_a_missing_file_is_named(tmp_path: Path, mode: Callable[[Path], TrainSettings]) -> None:
    error = refusal(mode(tmp_path / "nowhere.ckpt"))
    assert error.finding_id == "weights-missing"
    assert "nowhere.ckpt" in error.message


def test_no_weights_at_all_are_missing() -> None:
    assert refusal(start(None)).finding_id == "weights-missing"


@pytest.mark.parametrize("mode", [start, resume])
def test_files_that_cannot_be_used_are_refused_by_what_they_are(
    tmp_path: Path, mode: Callable[[Path], TrainSettings]
) -> None:
    evil = write_torch_file(tmp_path / "evil.ckpt", {"state_dict": nano_core(), "x": Call("os.system")})
    assert refusal(mode(evil)).finding_id == "weights-dangerous"
    torn = tmp_path / "torn.ckpt"
    torn.write_bytes(evil.read_bytes()[:-100])
    assert refusal(mode(torn)).finding_id == "weights-truncated"
    page = tmp_path / "page.ckpt"
    page.write_text("<html>Sign in to continue</html>")
    assert refusal(mode(page)).finding_id == "weights-foreign"


def test_an_autoencoder_is_no_base(tmp_path: Path) -> None:
    state = {"encoder.x": FakeTensor((1,)), "decoder.x": FakeTensor((1,))}
    assert refusal(start(write_torch_file(tmp_path / "ae.ckpt", state))).finding_id == "weights-foreign"


def test_a_checkpoint_without_optimizer_is_no_resume_point(tmp_path: Path) -> None:
    error = refusal(resume(write_wrapped(tmp_path / "x.ckpt", moments=False)))
    assert error.finding_id == "resume-incomplete"
    assert "export" in error.hint


def test_a_resume_with_the_ema_toggled_is_refused(tmp_path: Path) -> None:
    with_ema = refusal(resume(write_wrapped(tmp_path / "x.ckpt", ema=True)), nano_config(use_ema=False))
    assert (with_ema.finding_id, "use_ema to true" in with_ema.hint) == ("resume-ema", True)
    without = refusal(resume(write_wrapped(tmp_path / "y.ckpt", ema=False)), nano_config(use_ema=True))
    assert (without.finding_id, "use_ema to false" in without.hint) == ("resume-ema", True)


def test_a_finished_run_is_not_resumed_without_more_steps(tmp_path: Path) -> None:
    settings = resume(write_wrapped(tmp_path / "x.ckpt", step=1_000))
    assert refusal(settings).finding_id == "resume-finished"
    assert decide_start(replace(settings, max_steps=1_001), nano_config()).step == 1_000


def test_a_config_that_describes_no_model_is_named(tmp_path: Path) -> None:
    file = write_base(tmp_path / "x.ckpt")
    with pytest.raises(Exception, match=r"model_config\.json"):
        decide_start(start(file), json.loads('{"model": {"diffusion": {}}}'), config_name="model_config.json")
