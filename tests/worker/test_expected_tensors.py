"""Names and shapes by arithmetic equal those of the models that upstream builds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sao_tui.core.weights.expected import expected_tensors
from sao_tui.core.weights.header import is_buffer
from tests.fakes.nano_weights import nano_config, small_config
from tests.worker.conftest import Nano

pytestmark = pytest.mark.worker


def built(config: dict[str, Any]) -> tuple[dict[str, tuple[int, ...]], set[str]]:
    """Return shapes and parameter names of upstream's model, built without memory for its numbers."""
    import torch

    from sao_tui.worker.model import create_model

    with torch.device("meta"):
        model = create_model(config)
    return (
        {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()},
        {name for name, _ in model.named_parameters()},
    )


def assert_equal(config: dict[str, Any]) -> None:
    shapes, parameters = built(config)
    expected = expected_tensors(config)
    assert dict(expected.shapes) == shapes
    assert {name for name in shapes if not is_buffer(name, shapes)} == parameters


@pytest.fixture(autouse=True)
def without_text_encoder(nano: Nano, monkeypatch: pytest.MonkeyPatch) -> None:
    """T5 lies outside the state dict; its own loader does not know the meta device."""
    import torch
    import transformers

    class Nothing(torch.nn.Module):
        @classmethod
        def from_pretrained(cls, *_: Any, **__: Any) -> Nothing:
            return cls()

    monkeypatch.setattr(transformers, "T5EncoderModel", Nothing)
    monkeypatch.setattr(transformers, "AutoTokenizer", Nothing)


def test_the_nano_model() -> None:
    assert_equal(nano_config())


def test_sao_small() -> None:
    assert_equal(small_config())
    assert expected_tensors(small_config()).num_parameters == 497_190_274


def dit(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["model"]["diffusion"]["config"].update(changes)


def decoder(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["model"]["pretransform"]["config"]["decoder"]["config"].update(changes)


def encoder(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["model"]["pretransform"]["config"]["encoder"]["config"].update(changes)


def conditioner(kind: str, **arguments: Any) -> Callable[[dict[str, Any]], None]:
    entry = {"id": "more", "type": kind, "config": arguments}
    return lambda config: config["model"]["conditioning"]["configs"].append(entry)


def pretransform(**entry: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["model"].update(pretransform=entry)


@pytest.mark.parametrize(
    "change",
    [
        dit(project_cond_tokens=False, project_global_cond=False, global_cond_dim=128, patch_size=2),
        dit(cond_token_dim=0, global_cond_dim=0, prepend_cond_dim=768, input_concat_dim=65),
        dit(global_cond_type="adaLN", num_memory_tokens=8, rotary_pos_emb=False),
        dit(timestep_cond_type="input_concat", timestep_embed_dim=32, use_abs_pos_emb=True),
        dit(use_sinusoidal_emb=True, final_cross_attn_ix=2, add_rope=True, layer_scale=True),
        dit(conformer=True, remove_norms=True, attn_kwargs={"qk_norm": "dyt", "feat_scale": True}),
        dit(attn_kwargs={"qk_norm": "l2", "differential": True}, ff_kwargs={"glu": False, "mult": 2}),
        dit(ff_kwargs={"use_conv": True, "no_bias": True}),
        dit(ff_kwargs={"use_conv": True, "glu": False, "conv_kernel_size": 5}, num_heads=4),
        encoder(use_snake=False, antialias_activation=True),
        decoder(antialias_activation=True, use_nearest_upsample=True, final_tanh=True),
        conditioner("int", min_val=-1, max_val=9),
        conditioner("list", options=["a", "b"]),
        conditioner("number", output_dim=64),
        conditioner("t5", t5_model_name="t5-small"),
        conditioner("t5", project_out=True),
        lambda config: config["model"].pop("pretransform"),
        pretransform(type="patched", config={"channels": 2, "patch_size": 4}),
        lambda config: config["model"]["pretransform"]["config"].update(bottleneck={"type": "tanh", "config": {}}),
    ],
)
def test_other_shapes_of_the_same_parts(change: Callable[[dict[str, Any]], None]) -> None:
    config = copy.deepcopy(nano_config())
    config["model"]["diffusion"]["config"]["depth"] = 4
    change(config)
    assert_equal(config)


def test_parts_of_other_packages_are_left_out_and_named() -> None:
    config = nano_config()
    config["model"]["conditioning"]["configs"].append({"id": "clap", "type": "clap_text", "config": {}})
    config["model"]["pretransform"]["config"]["encoder"] = {"type": "dac", "config": {}}
    expected = expected_tensors(config)
    assert expected.unknown_prefixes == ("conditioner.conditioners.clap.", "pretransform.model.encoder.")
    assert not expected.knows("pretransform.model.encoder.x")
    assert not any(name.startswith(expected.unknown_prefixes) for name in expected.shapes)
