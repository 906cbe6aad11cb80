"""Make a tiny text encoder that upstream's T5 conditioner loads offline under the name `t5-base`.

The conditioner takes only known names and derives its width, 768, from them. So this writes a Hugging
Face cache folder that answers to `t5-base`: one T5 layer of random, frozen weights and a Unigram
tokenizer of whole words with single characters as a fall-back. Every prompt gets distinct token
embeddings; the diffusion model learns what they mean.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from sao_tui.core.sounds import synth

REVISION = "0000000000000000000000000000000000000001"
WIDTH = 768
"""Width that upstream expects of t5-base."""

SPECIAL_TOKENS = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}

COMMON_WORDS = """
a above acoustic air alarm ambient analog and arpeggio at attack bang bass beat beep bell below big bird birds
boom bouncing bpm brass bright buzz car cat chime chirp chord clap clean clear click clicking clicks close
cold crackle crash crisp crowd cymbal dark deep detuned digital distant distorted dog door down downward drone
drop drops drum drums dry dull echo electric electronic engine explosion falling fast fire fm fx glass glitch
going granular guitar hard harsh hat heavy high hihat hiss hit hollow hum impact in insect kick laser lead
long loop loud low machine major melody metal metallic minor mono motor muffled music noise noisy of old on
organ pad percussion piano pitch pitched plucked pluck pulse pulsing punchy quiet rain regular resonant reverb
ringing rising rough rumble rumbling saturated saw shaker sharp short sine siren slow smooth snap snare soft
sound spring square steady step stereo string strings sub sweep sweeping synth tape tempo texture thin thud
thunder tick ticking tight tiny tom tone tones train tremolo trill up upward vibrato vinyl vocal voice warble
warbling warm water wave waves wet whistle white wide wind with wobble wobbling wood wooden zap
"""
"""Words of sound descriptions; others are spelled in characters."""


def write_text_encoder(huggingface_home: Path, seed: int) -> Path:
    """Write the cache below `huggingface_home` (an HF_HOME); return the snapshot folder."""
    import torch
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    repository = huggingface_home / "hub" / "models--t5-base"
    snapshot = repository / "snapshots" / REVISION
    snapshot.mkdir(parents=True, exist_ok=True)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(REVISION)

    tokenizer = _tokenizer()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **SPECIAL_TOKENS).save_pretrained(
        snapshot
    )

    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=tokenizer.get_vocab_size(),
        d_model=WIDTH,
        d_kv=16,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        dropout_rate=0.0,
    )
    T5EncoderModel(config).half().save_pretrained(snapshot)
    return snapshot


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    own_words = {word for captions in synth.CAPTIONS.values() for caption in captions for word in caption.split()}
    words = sorted(own_words | set(COMMON_WORDS.split()))
    characters = sorted(set(string.ascii_lowercase + string.digits + string.punctuation))
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0), ("\u2581", -6.0)]
    pieces += [(f"\u2581{word}", -4.0) for word in words]
    pieces += [(character, -10.0) for character in characters]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer
