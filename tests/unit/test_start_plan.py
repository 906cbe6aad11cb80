"""What is gathered and checked before a start; the checks themselves have tests of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding
from sao_tui.services import checkpoints, doctor, models
from sao_tui.services.bundle import Services
from sao_tui.services.jobs import JobView
from sao_tui.services.models import StartPlan
from sao_tui.services.start_plan import newest_checkpoint, plan_encode, plan_resume, plan_train
from sao_tui.services.workspace import init_workspace
from tests.fakes.runs import make_run
from tests.fakes.weights import RUN, checkpoint_rows


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    workspace = init_workspace(tmp_path)
    workspace.model_config_file.write_text('{"sample_rate": 8000}')
    workspace.dataset_config_file.write_text('{"datasets": []}')
    workspace.train_config_file.write_text("max_steps = 320\nbatch_size = 16\n")
    monkeypatch.setattr(doctor, "check_before_start", lambda workspace, settings: [])
    monkeypatch.setattr(
        models, "decide_start", lambda settings, config, root: StartPlan("start", Path("base"), "750/750 tensors fit")
    )
    return Services(workspace)


def test_a_run_starts_from_the_workspace_s_base_weights(services: Services) -> None:
    plan = plan_train(services)
    assert plan.is_ok
    assert (plan.settings.max_steps, plan.settings.batch_size) == (320, 16)
    assert plan.settings.base_weights == str(services.workspace.base_weights)
    assert plan.start_message == "750/750 tensors fit"
    assert plan.model_config == {"sample_rate": 8000}


def test_changes_are_of_this_run_alone(services: Services) -> None:
    assert plan_train(services, {"max_steps": 5}).settings.max_steps == 5
    assert plan_train(services).settings.max_steps == 320


def test_a_refused_start_is_a_finding_with_its_way_out(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> StartPlan:
        raise SaoError("base.ckpt is a training checkpoint.", "Resume from it.")

    monkeypatch.setattr(models, "decide_start", refuse)
    plan = plan_train(services)
    assert not plan.is_ok
    (finding,) = plan.findings
    assert (finding.message, finding.fix) == ("base.ckpt is a training checkpoint.", "Resume from it.")


def test_an_error_that_the_checks_found_is_not_said_twice(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> StartPlan:
        raise SaoError("There is no base.ckpt.", "Download it.")

    monkeypatch.setattr(models, "decide_start", refuse)
    known = Finding("weights-missing", "error", "There is no base.ckpt.")
    monkeypatch.setattr(doctor, "check_before_start", lambda workspace, settings: [known])
    assert plan_train(services).findings == (known,)


def test_a_config_that_is_no_json_is_named(services: Services) -> None:
    services.workspace.model_config_file.write_text("{")
    with pytest.raises(SaoError, match=r"model_config\.json"):
        plan_train(services)


def test_a_model_config_that_is_missing_says_how_it_is_made(services: Services) -> None:
    services.workspace.model_config_file.unlink()
    with pytest.raises(SaoError, match="does not exist") as caught:
        plan_train(services)
    assert "sao-tui config new" in caught.value.hint
    assert "Errno" not in caught.value.message


def test_a_resumed_run_keeps_its_own_configs_and_settings(services: Services, tmp_path: Path) -> None:
    job: JobView = make_run(tmp_path, "a-train", "stopped", step=3)
    spec = json.loads(job.folder.job_file.read_text())
    job.folder.job_file.write_text(json.dumps({**spec, "model_config": {"own": 1}, "settings": {"batch_size": 4}}))
    plan = plan_resume(services, job, tmp_path / "step=00000003.ckpt", 500)
    assert plan.model_config == {"own": 1}
    assert (plan.settings.batch_size, plan.settings.max_steps) == (4, 500)
    assert plan.settings.base_weights is None
    assert plan.settings.resume_from == str(tmp_path / "step=00000003.ckpt")


def test_encoding_goes_to_the_workspace_s_latents(services: Services) -> None:
    plan = plan_encode(services)
    assert plan.settings.output == str(services.workspace.latents_folder)
    assert plan.settings.base_weights == str(services.workspace.base_weights)


def test_the_newest_whole_checkpoint_is_the_one_to_resume_from(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "list_checkpoints", lambda workspace: checkpoint_rows(workspace.root)[2:])
    path, step = newest_checkpoint(services, RUN)
    assert (path.name, step) == ("step=00000500.ckpt", 500)


def test_a_run_without_a_checkpoint_cannot_be_resumed(services: Services) -> None:
    with pytest.raises(SaoError, match="no whole checkpoint"):
        newest_checkpoint(services, "a-train")


@pytest.mark.parametrize("changes", [{"seed": -5}, {"seed": 2**32}, {"max_steps": 10**15}, {"batch_size": 0}])
def test_changes_for_one_run_have_the_limits_of_the_file(services: Services, changes: dict[str, int]) -> None:
    with pytest.raises(SaoError, match=f"this run: {next(iter(changes))} must be at"):
        plan_train(services, changes)
