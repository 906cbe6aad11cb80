"""Shapes of upstream's diffusion transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sao_tui.core.weights.shapes import Shapes, add_linear

TIMESTEP_FEATURES = 256


def add_dit(shapes: Shapes, prefix: str, config: Mapping[str, Any]) -> None:
    """Add a DiffusionTransformer built from `config`."""
    embed = config.get("embed_dim", 768)
    io_channels = config.get("io_channels", 32)
    concat = config.get("input_concat_dim", 0)
    timestep_embed = embed
    if config.get("timestep_cond_type", "global") == "input_concat":
        timestep_embed = config["timestep_embed_dim"]
        concat += timestep_embed
    shapes[f"{prefix}timestep_features.weight"] = (TIMESTEP_FEATURES // 2, 1)
    add_linear(shapes, f"{prefix}to_timestep_embed.0.", TIMESTEP_FEATURES, timestep_embed)
    add_linear(shapes, f"{prefix}to_timestep_embed.2.", timestep_embed, timestep_embed)
    cond = config.get("cond_token_dim", 0)
    cond_embed = embed if config.get("project_cond_tokens", True) else cond
    global_cond = config.get("global_cond_dim", 0)
    global_embed = embed if config.get("project_global_cond", True) else global_cond
    _add_projection(shapes, f"{prefix}to_cond_embed.", cond, cond_embed)
    _add_projection(shapes, f"{prefix}to_global_embed.", global_cond, global_embed)
    _add_projection(shapes, f"{prefix}to_prepend_embed.", config.get("prepend_cond_dim", 0), embed)
    num_in = io_channels + concat
    patch = config.get("patch_size", 1)
    transformer = f"{prefix}transformer."
    add_linear(shapes, f"{transformer}project_in.", num_in * patch, embed, bias=False)
    add_linear(shapes, f"{transformer}project_out.", embed, io_channels * patch, bias=False)
    _add_transformer(shapes, transformer, embed, cond_embed if cond > 0 else 0, config)
    shapes[f"{prefix}preprocess_conv.weight"] = (num_in, num_in, 1)
    shapes[f"{prefix}postprocess_conv.weight"] = (io_channels, io_channels, 1)


def _add_projection(shapes: Shapes, prefix: str, num_in: int, num_out: int) -> None:
    if num_in > 0:
        add_linear(shapes, f"{prefix}0.", num_in, num_out, bias=False)
        add_linear(shapes, f"{prefix}2.", num_out, num_out, bias=False)


def _add_transformer(shapes: Shapes, prefix: str, dim: int, cond_dim: int, config: Mapping[str, Any]) -> None:
    depth = config.get("depth", 12)
    head_dim = dim // config.get("num_heads", 8)
    has_global = config.get("global_cond_type", "prepend") == "adaLN"
    if config.get("rotary_pos_emb", True):
        shapes[f"{prefix}rotary_pos_emb.inv_freq"] = ((max(head_dim // 2, 32) + 1) // 2,)
    num_memory = config.get("num_memory_tokens", 0)
    if num_memory > 0:
        shapes[f"{prefix}memory_tokens"] = (num_memory, dim)
    if config.get("use_abs_pos_emb", False):
        shapes[f"{prefix}pos_emb.emb.weight"] = (config.get("abs_pos_emb_max_length", 10_000) + num_memory, dim)
    elif config.get("use_sinusoidal_emb", False):
        shapes[f"{prefix}pos_emb.scale"] = (1,)
    if has_global:
        add_linear(shapes, f"{prefix}global_cond_embedder.0.", dim, dim)
        add_linear(shapes, f"{prefix}global_cond_embedder.2.", dim, dim * 6)
    last_cross = config.get("final_cross_attn_ix", -1)
    for index in range(depth):
        attends = cond_dim > 0 and (last_cross == -1 or index <= last_cross)
        block = f"{prefix}layers.{index}."
        if has_global:
            shapes[f"{block}to_scale_shift_gate"] = (6 * dim,)
        _add_block(shapes, block, dim, head_dim, cond_dim if attends else 0, config)


def _add_block(
    shapes: Shapes, prefix: str, dim: int, head_dim: int, context_dim: int, config: Mapping[str, Any]
) -> None:
    head_dim = min(head_dim, dim)
    attention = config.get("attn_kwargs", {})
    _add_norm(shapes, f"{prefix}pre_norm.", dim, config)
    _add_attention(shapes, f"{prefix}self_attn.", dim, head_dim, 0, attention)
    scaled = ["self_attn", "ff"]
    if context_dim:
        scaled.append("cross_attn")
        _add_norm(shapes, f"{prefix}cross_attend_norm.", dim, config)
        _add_attention(shapes, f"{prefix}cross_attn.", dim, head_dim, context_dim, attention)
    _add_norm(shapes, f"{prefix}ff_norm.", dim, config)
    _add_feed_forward(shapes, f"{prefix}ff.ff.", dim, config.get("ff_kwargs", {}))
    if config.get("conformer", False):
        scaled.append("conformer")
        _add_conformer(shapes, f"{prefix}conformer.", dim)
    if config.get("layer_scale", False):
        for name in scaled:
            shapes[f"{prefix}{name}_scale.scale"] = (dim,)
    if config.get("add_rope", False):
        shapes[f"{prefix}rope.inv_freq"] = ((head_dim // 2 + 1) // 2,)


def _add_norm(shapes: Shapes, prefix: str, dim: int, config: Mapping[str, Any]) -> None:
    if config.get("remove_norms", False):
        shapes[f"{prefix}alpha"] = (1,)
    shapes[f"{prefix}gamma"] = (dim,)
    shapes[f"{prefix}beta"] = (dim,)


def _add_attention(
    shapes: Shapes, prefix: str, dim: int, head_dim: int, context_dim: int, config: Mapping[str, Any]
) -> None:
    is_differential = config.get("differential", False)
    if context_dim:
        add_linear(shapes, f"{prefix}to_q.", dim, dim * (2 if is_differential else 1), bias=False)
        add_linear(shapes, f"{prefix}to_kv.", context_dim, context_dim * (3 if is_differential else 2), bias=False)
    else:
        add_linear(shapes, f"{prefix}to_qkv.", dim, dim * (5 if is_differential else 3), bias=False)
    add_linear(shapes, f"{prefix}to_out.", dim, dim, bias=False)
    for name in ("q_norm", "k_norm"):
        match config.get("qk_norm", "none"):
            case "ln":
                shapes[f"{prefix}{name}.weight"] = (head_dim,)
                shapes[f"{prefix}{name}.bias"] = (head_dim,)
            case "dyt":
                shapes[f"{prefix}{name}.alpha"] = (1,)
                shapes[f"{prefix}{name}.gamma"] = (head_dim,)
                shapes[f"{prefix}{name}.beta"] = (head_dim,)
    if config.get("feat_scale", False):
        shapes[f"{prefix}lambda_dc"] = (dim,)
        shapes[f"{prefix}lambda_hf"] = (dim,)


def _add_feed_forward(shapes: Shapes, prefix: str, dim: int, config: Mapping[str, Any]) -> None:
    inner = int(dim * config.get("mult", 4))
    has_bias = not config.get("no_bias", False)
    kernel = (config.get("conv_kernel_size", 3),) if config.get("use_conv", False) else ()
    if config.get("glu", True):
        # Upstream's gated layer is a plain linear one with a bias, whatever the other options say.
        add_linear(shapes, f"{prefix}0.proj.", dim, inner * 2)
    else:
        shapes[f"{prefix}0.1.weight"] = (inner, dim, *kernel)
        if has_bias:
            shapes[f"{prefix}0.1.bias"] = (inner,)
    shapes[f"{prefix}2.weight"] = (dim, inner, *kernel)
    if has_bias:
        shapes[f"{prefix}2.bias"] = (dim,)


def _add_conformer(shapes: Shapes, prefix: str, dim: int) -> None:
    for norm in ("in_norm", "mid_norm"):
        shapes[f"{prefix}{norm}.gamma"] = (dim,)
        shapes[f"{prefix}{norm}.beta"] = (dim,)
    shapes[f"{prefix}pointwise_conv.weight"] = (dim, dim, 1)
    add_linear(shapes, f"{prefix}glu.proj.", dim, dim * 2)
    shapes[f"{prefix}depthwise_conv.weight"] = (dim, 1, 17)
    shapes[f"{prefix}pointwise_conv_2.weight"] = (dim, dim, 1)
