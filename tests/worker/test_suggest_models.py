"""Captioners with models: CLAP as laion-clap and as transformers save it, a Whisper by transformers' pipeline."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from sao_tui.core.errors import SaoError
from sao_tui.worker.suggest.clap import rank, unit_rows
from tests.worker.test_suggest import events, lines_of, make_job, sounds, texts, work
from tests.worker.tiny_models import (
    write_laion_clap,
    write_qwen_audio,
    write_roberta_tokenizer,
    write_transformers_clap,
    write_whisper,
)

pytestmark = pytest.mark.worker

__all__ = ["sounds"]

WORDS = "a kick\nwarm pad\nnoise\nclicks\n"


def test_phrases_are_ranked_by_their_cosine() -> None:
    phrases = ("east", "north", "north-east", "west")
    text_ND = unit_rows(np.array([[1, 0], [0, 3], [1, 1], [-2, 0]]))
    ranked = rank(np.array([10.0, 1.0]), text_ND, phrases, 2)
    assert [phrase for phrase, _ in ranked] == ["east", "north-east"]
    assert ranked[0][1] == pytest.approx(10 / np.sqrt(101), abs=1e-6)
    assert rank(np.zeros(2), text_ND, phrases, 1) == [("east", 0.0)]


def test_a_laion_clap_checkpoint_ranks_the_users_words(sounds: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchlibrosa", reason="laion-clap is not installed")
    weights = write_laion_clap(tmp_path / "tiny.pt")
    tokenizer = write_roberta_tokenizer(tmp_path / "tokenizer")
    options = {"weights": str(weights), "tokenizer": str(tokenizer), "min_similarity": "-1", "device": "cpu"}
    clips = [sounds / "pad.wav", sounds / "low_tone.wav"]
    job = make_job(tmp_path / "job", clips, "clap", options, WORDS)
    assert work(job, HF_HUB_OFFLINE="1") == 0, events(job, "state")
    first = lines_of(job.path / "suggestions.jsonl")[0]
    ranked = first["details"]["ranked"]
    assert first["source"] == "clap:tiny" and len(ranked) == 3
    assert first["confidence"] == ranked[0][1] and -1 <= first["confidence"] <= 1
    assert {phrase for phrase, _ in ranked} <= set(WORDS.split("\n"))
    assert any("tensors loaded" in record["message"] for record in events(job, "log"))


def test_a_checkpoint_that_would_run_code_is_refused(sounds: Path, tmp_path: Path) -> None:
    import torch

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": {"x": torch.zeros(1)}, "note": Evil()}, tmp_path / "evil.pt", pickle_module=pickle)
    options = {"weights": str(tmp_path / "evil.pt"), "tokenizer": str(tmp_path)}
    job = make_job(tmp_path / "job", [sounds / "pad.wav"], "clap", options, WORDS)
    assert work(job, HF_HUB_OFFLINE="1") == 1
    assert "could run code" in events(job, "state")[-1]["reason"]
    assert not (tmp_path / "ran").exists()


def test_a_clap_model_of_transformers_ranks_too(sounds: Path, tmp_path: Path) -> None:
    folder = write_transformers_clap(tmp_path / "tiny-clap")
    options = {"weights": str(folder), "min_similarity": "-1", "top_k": "2", "device": "cpu"}
    job = make_job(tmp_path / "job", [sounds / "pad.wav"], "clap", options, WORDS)
    assert work(job, HF_HUB_OFFLINE="1") == 0, events(job, "state")
    assert len(lines_of(job.path / "suggestions.jsonl")[0]["details"]["ranked"]) == 2


def test_absent_weights_are_named_with_where_to_get_them(sounds: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", [sounds / "pad.wav"], "clap", {}, WORDS)
    assert work(job, HF_HOME=str(tmp_path / "empty")) == 1
    last = events(job, "state")[-1]
    assert "weights are not here" in last["reason"] and "hf download lukewys/laion_clap" in last["hint"]


def test_a_whisper_captioner_runs_from_its_folder(sounds: Path, tmp_path: Path) -> None:
    folder = write_whisper(tmp_path / "tiny-whisper")
    options = {"model": str(folder), "max_tokens": "8", "device": "cpu"}
    job = make_job(tmp_path / "job", [sounds / "pad.wav"], "hf", options)
    assert work(job, HF_HUB_OFFLINE="1") == 0, events(job, "state")
    line = lines_of(job.path / "suggestions.jsonl")[0]
    assert line["source"] == "hf:tiny-whisper" and line["details"]["task"] == "automatic-speech-recognition"
    assert isinstance(texts(job)["pad.wav"], str) and line["confidence"] is None


def test_a_model_that_takes_instructions_answers(sounds: Path, tmp_path: Path) -> None:
    folder = write_qwen_audio(tmp_path / "tiny-qwen")
    options = {"model": str(folder), "max_tokens": "6", "device": "cpu", "prompt": "What is it?"}
    job = make_job(tmp_path / "job", [sounds / "low_tone.wav"], "hf", options)
    assert work(job, HF_HUB_OFFLINE="1") == 0, events(job, "warning")
    line = lines_of(job.path / "suggestions.jsonl")[0]
    assert line["details"]["task"] == "any-to-any" and "What is it" not in line["text"]


def test_a_model_that_does_not_hear_is_refused(sounds: Path, tmp_path: Path) -> None:
    folder = write_roberta_tokenizer(tmp_path / "roberta")
    job = make_job(tmp_path / "job", [sounds / "pad.wav"], "hf", {"model": str(folder)})
    assert work(job, HF_HUB_OFFLINE="1") == 1
    assert "does not turn audio into text" in events(job, "state")[-1]["reason"]


def test_a_model_that_is_not_here_is_named(sounds: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", [sounds / "pad.wav"], "hf", {"model": "nobody/nothing"})
    assert work(job, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path)) == 1
    last = events(job, "state")[-1]
    assert "nobody/nothing cannot be loaded" in last["reason"] and "hf download nobody/nothing" in last["hint"]


def test_code_that_a_model_brings_is_not_run(sounds: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "config.json").write_text(
        '{"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}'
    )
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    job = make_job(tmp_path / "job", [sounds / "pad.wav"], "hf", {"model": str(folder)})
    assert work(job, HF_HUB_OFFLINE="1") == 1
    assert events(job, "state")[-1]["state"] == "failed"
    assert not (tmp_path / "ran").exists()


def test_text_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    import torch

    from sao_tui.worker.suggest.clap_models import build_laion

    with pytest.raises(SaoError, match="with HTSAT"):
        build_laion({"x": torch.zeros(1)}, tmp_path / "x.pt")
    with pytest.raises(SaoError, match="with fusion"):
        build_laion({"audio_branch.patch_embed.mel_conv2d.weight": torch.zeros(1)}, tmp_path / "x.pt")
