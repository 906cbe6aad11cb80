"""Tiny models with random weights in the formats that captioners load, made without network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_whisper(folder: Path) -> Path:
    """Write a Whisper of one layer, as captioners built on Whisper are saved."""
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
    )

    vocabulary = _byte_vocabulary()
    specials = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    vocabulary |= {special: len(vocabulary) + index for index, special in enumerate(specials)}
    folder.mkdir()
    tokenizer = WhisperTokenizer(vocab=dict(list(vocabulary.items())[:256]), merges=[], errors="replace")
    tokenizer.add_special_tokens({"additional_special_tokens": specials})
    tokenizer.save_pretrained(folder)
    end, start = (tokenizer.convert_tokens_to_ids(special) for special in specials[:2])
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_mel_bins=80,
        decoder_start_token_id=start,
        eos_token_id=end,
        bos_token_id=end,
        pad_token_id=end,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        decoder_start_token_id=start, eos_token_id=end, bos_token_id=end, pad_token_id=end, is_multilingual=False
    )
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    return folder


CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }} {% for c in m['content'] %}{% if c['type'] == 'audio' %}"
    "<|audio_bos|><|AUDIO|><|audio_eos|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant {% endif %}"
)


def write_qwen_audio(folder: Path) -> Path:
    """Write a Qwen2-Audio of one layer, a model that takes instructions with audio."""
    from transformers import (
        Qwen2AudioConfig,
        Qwen2AudioForConditionalGeneration,
        Qwen2AudioProcessor,
        Qwen2Tokenizer,
        WhisperFeatureExtractor,
    )

    tokenizer = Qwen2Tokenizer(vocab=_byte_vocabulary(), merges=[])
    marks = ["<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    audio = {"model_type": "qwen2_audio_encoder", "d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2}
    text = {"model_type": "qwen2", "vocab_size": len(tokenizer) + 8, "hidden_size": 16, "intermediate_size": 32}
    text |= {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
    config = Qwen2AudioConfig(
        audio_config={**audio, "encoder_ffn_dim": 32, "num_mel_bins": 80},
        text_config=text,
        audio_token_index=tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    Qwen2AudioForConditionalGeneration(config).save_pretrained(folder)
    extractor = WhisperFeatureExtractor(feature_size=80)
    Qwen2AudioProcessor(feature_extractor=extractor, tokenizer=tokenizer, chat_template=CHAT).save_pretrained(folder)
    return folder


def write_roberta_tokenizer(folder: Path) -> Path:
    """Write a tokenizer of roberta's kind that knows single bytes."""
    from transformers import RobertaTokenizer

    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    vocabulary |= {letter: 4 + index for letter, index in _byte_vocabulary().items()}
    vocabulary["<mask>"] = len(vocabulary)
    RobertaTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    return folder


def write_laion_clap(file: Path) -> Path:
    """Write a laion-clap checkpoint as its training does: `module.` names, numbers of numpy beside the tensors.

    Sound is heard by the smallest HTSAT there is; the text side has one layer. Halved to keep the file at 60 MB.
    """
    import numpy as np
    import torch
    from transformers import RobertaConfig, RobertaModel

    from sao_tui.worker.suggest import clap_models

    torch.manual_seed(0)
    common = {"vocab_size": 261, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 64}
    text = RobertaModel(RobertaConfig(**common, num_hidden_layers=1, max_position_embeddings=514, type_vocab_size=1))
    weights: dict[str, Any] = {f"text_branch.{name}": value for name, value in text.state_dict().items()}
    with clap_models._laion_modules() as modules:
        original = modules.RobertaModel
        modules.RobertaModel = clap_models._Untrained(weights)
        try:
            audio = {"model_type": "HTSAT", "model_name": "tiny", "hop_size": 480, "window_size": 1_024}
            config = modules.CLAPTextCfg(77, 49_408, 512, 8, 12, "roberta")
            model = modules.CLAP(embed_dim=768, audio_cfg=modules.CLAPAudioCfp(**audio), text_cfg=config)
        finally:
            modules.RobertaModel = original
    state = {
        f"module.{name}": value.half() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    state["module.text_branch.embeddings.position_ids"] = torch.arange(514)[None]
    torch.save({"epoch": 3, "name": "tiny", "best": np.float64(0.5), "state_dict": state}, file)
    return file


def write_transformers_clap(folder: Path) -> Path:
    """Write a CLAP of transformers with the smallest Swin that its shapes allow."""
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    config = ClapConfig(
        text_config={
            "vocab_size": 261,
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "projection_dim": 8,
        },
        audio_config={
            "patch_embeds_hidden_size": 8,
            "depths": [1, 1],
            "num_attention_heads": [1, 2],
            "hidden_size": 16,
            "projection_dim": 8,
        },
        projection_dim=8,
    )
    write_roberta_tokenizer(folder)
    ClapModel(config).save_pretrained(folder)
    ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad").save_pretrained(folder)
    return folder


def _byte_vocabulary() -> dict[str, int]:
    from tokenizers.pre_tokenizers import ByteLevel

    return {letter: index for index, letter in enumerate(sorted(ByteLevel.alphabet()))}
