"""Reading and writing configs, and the fields of the form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.core.settings import TrainSettings
from sao_tui.services import configs
from sao_tui.services.workspace import init_workspace
from tests.fakes.nano_weights import nano_config

TOML = """\
# My run.
batch_size = 16  # fits
max_steps = 320
# latents = "latents"
"""


def test_train_settings_are_read_with_defaults_for_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text(TOML)
    assert configs.load_train_settings(path) == TrainSettings(batch_size=16, max_steps=320)


def test_saved_train_settings_keep_comments_and_order(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text(TOML)
    settings = replace(configs.load_train_settings(path), max_steps=500, precision="bf16-mixed", latents="latents")
    configs.save_train_settings(path, settings)
    text = path.read_text()
    assert text.startswith(TOML.replace("320", "500"))
    assert "seed" not in text
    assert configs.load_train_settings(path) == settings
    configs.save_train_settings(path, replace(settings, latents=None))
    assert configs.load_train_settings(path).latents is None


def test_unchanged_train_settings_leave_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text(TOML)
    configs.save_train_settings(path, configs.load_train_settings(path))
    assert path.read_text() == TOML


def test_a_new_train_file_holds_every_setting(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    configs.save_train_settings(path, TrainSettings())
    assert configs.load_train_settings(path) == TrainSettings()
    assert "keep_checkpoints = 3" in path.read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_step = 5", "max_step is not a known key"),
        ("batch_size = 0", "at least 1"),
        ("precision = 'bf16'", "unknown value"),
        ("batch_size = ", "is not TOML"),
    ],
)
def test_a_faulty_train_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "train.toml"
    path.write_text(text)
    with pytest.raises(SaoError, match=r"train\.toml") as caught:
        configs.load_train_settings(path)
    assert words in caught.value.message
    assert caught.value.hint


def test_faulty_json_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model_config.json"
    with pytest.raises(SaoError, match="does not exist"):
        configs.load_model_config(path)
    for content, words in ((b"{", "is not JSON"), (b"[]", "no JSON object"), (b"\xff\xfe\x00", "no text file")):
        path.write_bytes(content)
        with pytest.raises(SaoError, match=words):
            configs.load_model_config(path)
    path.write_text(json.dumps(nano_config(use_emma=True)))
    with pytest.raises(SaoError, match=r"training\.use_emma") as caught:
        configs.load_model_config(path)
    assert caught.value.hint == "Did you mean use_ema?"


def test_json_is_saved_with_the_indentation_that_it_had(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{\n  "a": 1\n}\n')
    configs.save_json(path, {"a": 2, "b": "ü"})
    assert path.read_text() == '{\n  "a": 2,\n  "b": "ü"\n}\n'
    with pytest.raises(SaoError, match="cannot be written"):
        configs.save_json(tmp_path / "no" / "x.json", {})


def test_values_are_found_and_set_by_path() -> None:
    config = nano_config()
    path = "model.conditioning.configs.1.config.max_val"
    assert configs.get_value(config, path) == 256
    configs.set_value(config, path, 512)
    assert config["model"]["conditioning"]["configs"][1]["config"]["max_val"] == 512
    configs.set_value(config, "training.inpainting.mask_kwargs.max_mask_segments", 3)
    assert config["training"]["inpainting"] == {"mask_kwargs": {"max_mask_segments": 3}}
    assert configs.get_value(config, "training.nothing.at.all", 7) == 7
    for wrong in ("sample_rate.x", "model.conditioning.configs.9.id", "model.conditioning.configs.x.id"):
        with pytest.raises(SaoError):
            configs.set_value(config, wrong, 1)


def test_the_form_has_help_units_defaults_and_choices() -> None:
    fields = {field.path: field for field in configs.fields_of("model", nano_config())}
    lr = fields["training.optimizer_configs.diffusion.optimizer.config.lr"]
    assert (lr.kind, lr.section, lr.label, lr.is_set) == ("float", "Optimizer", "lr", True)
    assert "Learning rate" in lr.help
    rate = fields["sample_rate"]
    assert (rate.kind, rate.unit, rate.section, rate.required) == ("int", "Hz", "Audio", True)
    objective = fields["model.diffusion.diffusion_objective"]
    assert (objective.kind, objective.choices) == ("choice", ("v", "rectified_flow", "rf_denoiser"))
    assert fields["training.use_ema"].kind == "bool"
    assert fields["training.demo.demo_cond.1.prompt"].kind == "str"
    assert fields["model.pretransform.config.encoder.config.strides"].kind == "list"
    assert fields["model.conditioning.configs.0.config.max_length"].unit == "tokens"
    dropout = fields["training.cfg_dropout_prob"]
    assert (dropout.is_set, dropout.default) == (False, 0.1)
    assert all(field.help for field in fields.values())


def test_the_form_begins_with_what_a_fine_tune_changes_and_keeps_headings_together() -> None:
    sections = [field.section for field in configs.fields_of("model", nano_config())]
    order = list(dict.fromkeys(sections))
    assert order == ["Optimizer", "Demos", "Training", "Conditioning", "Autoencoder", "Diffusion", "Audio"]
    assert sections == sorted(sections, key=order.index)


def test_every_field_of_the_form_can_be_set_to_its_default() -> None:
    config = nano_config()
    for field in configs.fields_of("model", config):
        if field.default is not None and not field.required:
            configs.set_value(config, field.path, field.default)
    assert [f for f in configs.check_model_config(config, "x") if f.id == "config-unknown-key"] == []


def test_forms_of_the_other_configs() -> None:
    train = {field.path: field for field in configs.fields_of("train")}
    assert train["precision"].choices == ("32-true", "bf16-mixed", "16-mixed")
    assert train["batch_size"].unit == "clips"
    assert [field.path for field in configs.fields_of("dataset")][:4] == [
        "dataset_type",
        "datasets.0.id",
        "datasets.0.path",
        "datasets.0.custom_metadata_module",
    ]
    assert configs.fields_of("dataset", {"dataset_type": "nothing"}) == []
    assert len(configs.fields_of("model")) > 50


def test_the_configs_of_a_workspace_are_checked_together(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path / "ws")
    assert [finding.id for finding in configs.check_workspace_configs(workspace)] == ["config-missing"] * 3
    workspace.model_config_file.write_text(json.dumps(nano_config()))
    workspace.dataset_config_file.write_text("{")
    workspace.train_config_file.write_text("batch_sise = 3")
    findings = configs.check_workspace_configs(workspace)
    assert [finding.id for finding in findings] == ["config-invalid", "config-unknown-key"]
