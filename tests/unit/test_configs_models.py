"""Upstream's configs: what is accepted, what is refused and in which words."""

from __future__ import annotations

import copy
import json
import typing
from typing import Any

import pytest

from sao_tui.core.findings import Finding
from sao_tui.core.settings import TrainSettings
from sao_tui.services import configs
from tests.fakes.nano_weights import arc_config, nano_config, small_config


def stable_audio_1_0() -> dict[str, Any]:
    """Return a config with the parts of upstream's first text-to-audio example."""
    config = nano_config()
    config["model"] = {
        "pretransform": {
            "type": "autoencoder",
            "iterate_batch": True,
            "config": {
                "encoder": {"type": "dac", "config": {"in_channels": 2, "latent_dim": 128, "strides": [4, 4, 8, 8]}},
                "decoder": {"type": "dac", "config": {"out_channels": 2, "latent_dim": 64, "rates": [8, 8, 4, 4]}},
                "bottleneck": {"type": "vae"},
                "latent_dim": 64,
                "downsampling_ratio": 1024,
                "io_channels": 2,
            },
        },
        "conditioning": {
            "configs": [
                {"id": "prompt", "type": "clap_text", "config": {"clap_ckpt_path": "clap.ckpt"}},
                {"id": "seconds_start", "type": "int", "config": {"min_val": 0, "max_val": 512}},
            ],
            "cond_dim": 768,
        },
        "diffusion": {
            "type": "adp_cfg_1d",
            "cross_attention_cond_ids": ["prompt", "seconds_start"],
            "config": {"in_channels": 64, "channels": 256, "factors": [1, 2, 2, 4]},
        },
        "io_channels": 64,
    }
    demo = {
        "demo_every": 2000,
        "demo_steps": 250,
        "num_demos": 1,
        "demo_cond": [{"prompt": "A piano", "seconds_start": 0, "seconds_total": 95}],
        "demo_cfg_scales": [3, 6, 9],
    }
    config["training"] = {"learning_rate": 4e-5, "demo": demo}
    return config


def stable_audio_2_0() -> dict[str, Any]:
    """Return a config with the parts of upstream's second text-to-audio example."""
    config = small_config()
    model = config["model"]
    model["pretransform"]["config"]["encoder"]["requires_grad"] = False
    start = {"id": "seconds_start", "type": "number", "config": {"min_val": 0, "max_val": 512}}
    model["conditioning"]["configs"].append(start)
    model["diffusion"]["global_cond_ids"] = ["seconds_start", "seconds_total"]
    del model["diffusion"]["diffusion_objective"], model["diffusion"]["distribution_shift_options"]
    model["diffusion"]["config"] |= {"embed_dim": 1536, "depth": 24, "num_heads": 24, "global_cond_dim": 1536}
    model["diffusion"]["config"]["project_cond_tokens"] = False
    return config


def arc_training() -> dict[str, Any]:
    """Return an ARC config as published, with keys that only upstream's fork knows."""
    config = arc_config()
    optimizer = config["training"]["optimizer_configs"]["diffusion"]
    config["training"]["optimizer_configs"]["discriminator"] = copy.deepcopy(optimizer)
    config["training"]["arc"] = {
        "use_model_as_discriminator": True,
        "discriminator_base_ckpt": "/path/to/base.ckpt",
        "noise_dist": {"generator": "logsnr_uniform"},
        "discriminator": {"type": "conv", "contrastive": True, "dit_hidden_layer": 8},
    }
    return config


@pytest.mark.parametrize(
    "config", [nano_config(), small_config(), stable_audio_1_0(), stable_audio_2_0(), arc_training()]
)
def test_configs_as_published_are_accepted_and_come_back_byte_for_byte(config: dict[str, Any], tmp_path: Any) -> None:
    path = tmp_path / "model_config.json"
    path.write_text(json.dumps(config))
    assert configs.check_model_config(config, "x") == []
    assert json.dumps(configs.dump(configs.load_model_config(path))) == json.dumps(config)


@pytest.mark.parametrize(
    "config",
    [
        {"dataset_type": "audio_dir", "datasets": [{"id": "a", "path": "/a/"}], "random_crop": True},
        {
            "random_crop": False,
            "dataset_type": "pre_encoded",
            "datasets": [{"path": "/a", "id": "a", "custom_metadata_module": "m.py"}],
            "latent_crop_length": 256,
        },
        {"dataset_type": "s3", "datasets": [{"id": "a", "s3_path": "s3://b/c", "profile": "p"}], "epoch_steps": 10},
        {"dataset_type": "wds", "datasets": [{"id": "a", "path": "/a"}], "volume_norm_param": [-16, 2]},
    ],
)
def test_dataset_configs_of_all_kinds_are_accepted(config: dict[str, Any], tmp_path: Any) -> None:
    path = tmp_path / "dataset_config.json"
    path.write_text(json.dumps(config))
    assert configs.check_dataset_config(config, "x") == []
    assert json.dumps(configs.dump(configs.load_dataset_config(path))) == json.dumps(config)


def check(path: str, value: Any, config: dict[str, Any] | None = None) -> list[Finding]:
    config = config or nano_config()
    configs.set_value(config, path, value)
    return configs.check_model_config(config, "configs/model_config.json")


LR = "training.optimizer_configs.diffusion.optimizer.config.lr"
OPTIMIZER = "training.optimizer_configs.diffusion.optimizer.type"
ENCODER = "model.pretransform.config.encoder"
T5 = "model.conditioning.configs.0.config"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("training.use_emma", True, "Did you mean use_ema?"),
        ("training.lr", 1, "training.lr is not a known key"),
        (f"{ENCODER}.config.chanels", 2, "Did you mean channels?"),
        (f"{T5}.max_len", 2, "Did you mean max_length?"),
        ("training.sample_size", 2, "It belongs at the top level."),
        ("model.diffusion.config.diffusion_objective", "v", "It belongs in model.diffusion."),
    ],
)
def test_unknown_keys_are_refused_with_the_key_that_was_meant(path: str, value: Any, words: str) -> None:
    (finding,) = check(path, value)
    assert (finding.id, finding.severity) == ("config-unknown-key", "error")
    assert path in finding.message
    assert finding.where == f"model_config.json: {path}"
    assert words in f"{finding.message} {finding.fix}"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (LR, "fast", 'must be a number, not "fast"'),
        (LR, -1, "must be more than 0, not -1"),
        (LR, True, "must be a number, not true"),
        (OPTIMIZER, "AdamX", "Did you mean Adam?"),
        ("training.optimizer_configs.diffusion.scheduler.type", "InverseLr", "Did you mean InverseLR?"),
        (f"{ENCODER}.type", "oblek", "Did you mean oobleck?"),
        ("sample_rate", 44_100.5, "must be a whole number, not 44100.5"),
        ("sample_rate", None, "must be a whole number, not null"),
        ("model", 3, "must be an object in { }"),
        ("model.diffusion.diffusion_objective", "rectified", "Did you mean rectified_flow?"),
        (f"{T5}.t5_model_name", "t5-bas", "Did you mean t5-base?"),
        (f"{T5}.max_length", "64", 'must be a whole number, not "64"'),
        ("model.diffusion.config.attn_kwargs", [], "must be an object"),
        ("training.demo.demo_cond.1.prompt", 3, "training.demo.demo_cond.1.prompt must be text"),
        ("training.cfg_dropout_prob", 1.5, "must be at most 1"),
        ("training.optimizer_configs.diffusion.optimizer.config.betas", [0.9], "betas"),
    ],
)
def test_wrong_values_are_refused_with_what_is_right(path: str, value: Any, words: str) -> None:
    (finding,) = check(path, value)
    assert (finding.id, finding.severity) == ("config-invalid", "error")
    assert words in f"{finding.message} {finding.fix}"
    assert finding.fix


def test_missing_keys_are_named() -> None:
    config = nano_config()
    del config["model"]["io_channels"]
    del config["model"]["pretransform"]["type"]
    del config["training"]["optimizer_configs"]["diffusion"]["optimizer"]["config"]
    messages = [finding.message for finding in configs.check_model_config(config, "m.json")]
    assert messages == [
        "m.json: model.pretransform.type is missing.",
        "m.json: model.io_channels is missing.",
        "m.json: training.optimizer_configs.diffusion.optimizer.config is missing.",
    ]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("model.pretransform.config.downsampling_ratio", 64, "strides multiply to 128"),
        (f"{ENCODER}.config.latent_dim", 64, "must be 128"),
        (f"{ENCODER}.config.strides", [4, 4], "as many strides as c_mults"),
        ("model.io_channels", 32, "the latents have 64 channels"),
        ("model.diffusion.config.num_heads", 3, "does not divide"),
        ("model.diffusion.config.global_cond_dim", 64, "is 768 wide"),
        ("model.diffusion.config.cond_token_dim", 64, "is 768 wide"),
        ("model.diffusion.global_cond_ids", ["seconds_start"], '"seconds_start", which no conditioner'),
        ("model.conditioning.pre_encoded_keys", ["prompt"], "cannot pre-encode"),
        ("training.optimizer_configs", None, "neither learning_rate nor optimizer_configs"),
        ("training.arc", {}, "training.arc"),
        ("model.diffusion.config.timestep_cond_type", "input_concat", "timestep_embed_dim is missing"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(path: str, value: Any, words: str) -> None:
    findings = check(path, value)
    assert findings
    assert all(finding.severity == "error" for finding in findings)
    assert any(words in finding.message for finding in findings)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("training.demo.num_demos", 3, "demo_cond has 2"),
        ("training.log_loss_info", True, "ends training on a single device"),
        ("training.learning_rate", 1e-4, "ignored beside optimizer_configs"),
        ("training.inpainting", {}, "no effect without"),
        ("sample_size", 16_385, "no multiple"),
    ],
)
def test_what_upstream_does_oddly_is_a_warning(path: str, value: Any, words: str) -> None:
    (finding,) = check(path, value)
    assert finding.severity == "warning"
    assert words in finding.message


def dataset(*paths: str, kind: str = "audio_dir") -> dict[str, Any]:
    return {"dataset_type": kind, "datasets": [{"id": str(i), "path": path} for i, path in enumerate(paths)]}


@pytest.mark.parametrize(
    ("config", "name", "words"),
    [
        (dataset("/d/a", "/d/ab"), "dataset-nested-path", "Write /d/a/ with a slash"),
        (dataset("/d/a/", "/d/a/b/"), "dataset-nested-path", "lies inside"),
        (dataset("/d/a", "/d/a"), "dataset-nested-path", "used twice"),
        (dataset("/d/a.npy/x", kind="pre_encoded"), "config-invalid", "no latent would find its metadata"),
        (dataset(kind="audio_dir"), "config-invalid", "datasets"),
        (dataset("/d", kind="audio_dri"), "config-invalid", "Did you mean audio_dir?"),
        ({"datasets": []}, "config-invalid", "dataset_type is missing"),
        (
            {
                "dataset_type": "pre_encoded",
                "datasets": [{"id": "a", "path": "/a", "latent_crop_length": 2}],
            },
            "config-unknown-key",
            "It belongs at the top level.",
        ),
        ({"dataset_type": "s3", "datasets": [{"id": "a"}]}, "config-invalid", "names no tar files"),
    ],
)
def test_faults_of_dataset_configs_are_named(config: dict[str, Any], name: str, words: str) -> None:
    (finding,) = configs.check_dataset_config(config, "d.json")
    assert finding.id == name
    assert words in f"{finding.message} {finding.fix}"


def test_folders_with_a_slash_at_their_end_are_not_mixed_up() -> None:
    assert configs.check_dataset_config(dataset("/d/a/", "/d/ab/"), "d.json") == []


def test_train_toml_has_the_fields_and_defaults_of_the_settings() -> None:
    from sao_tui.core.configs.train import TrainConfig

    fields = TrainConfig.model_fields
    assert TrainSettings(**{name: field.default for name, field in fields.items()}) == TrainSettings()
    assert list(fields) == list(typing.get_type_hints(TrainSettings))


def test_every_field_of_every_model_has_a_description() -> None:
    from sao_tui.core.configs import dataset as dataset_models
    from sao_tui.core.configs.base import Part
    from sao_tui.core.configs.model import ModelConfig

    assert ModelConfig is not None
    assert dataset_models is not None
    pending, seen = [Part], set()
    while pending:
        for model in pending.pop().__subclasses__():
            pending.append(model)
            seen |= {f"{model.__name__}.{name}" for name, field in model.model_fields.items() if not field.description}
    assert seen == set()
