"""The captioner that loads: a Hugging Face model that turns audio into text, through transformers' pipelines.

transformers has no pipeline of its own for audio captions. Two of its pipelines make them: captioners built as
sequence-to-sequence models on Whisper and its like run under `automatic-speech-recognition`, models that take
instructions with audio (Qwen2-Audio, Gemma 3n, Voxtral, …) under `any-to-any`. Code that a model brings along is
never run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sao_tui.core.captioners import CAPTIONERS, CaptionerInfo
from sao_tui.core.errors import SaoError
from sao_tui.worker.suggest.audio import read_mono
from sao_tui.worker.suggest.base import Clip, Context, Suggestion
from sao_tui.worker.suggest.endpoint import one_sentence
from sao_tui.worker.suggest.models import cannot_load, choose_device, go_offline_if_cached

SPEECH = "automatic-speech-recognition"
ANY = "any-to-any"


class HfCaptioner:
    """One model by name or folder."""

    def __init__(self) -> None:
        self._options: dict[str, str] = {}
        self._task = ""
        self._pipeline: Any = None
        self._rate_hz = 16_000

    def describe(self) -> CaptionerInfo:
        """Return what it is."""
        return CAPTIONERS["hf"]

    def prepare(self, context: Context) -> None:
        """Load the model.

        Raises:
            SaoError: It cannot be had, or does not turn audio into text.
        """
        self._options = dict(context.options)
        name = self._model_name()
        go_offline_if_cached(name)
        device = choose_device(self._options["device"])
        import transformers

        make_pipeline: Any = transformers.pipeline
        try:
            self._task = choose_task(name, self._options["task"])
            self._pipeline = make_pipeline(self._task, model=name, device=device, trust_remote_code=False)
        except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
            raise cannot_load(name, error) from error
        extractor = self._feature_extractor()
        if extractor is None:
            raise SaoError(f"{name} has no feature extractor for audio", "Choose a model that hears.")
        self._rate_hz = int(extractor.sampling_rate)
        context.log(f"{name} runs under the pipeline {self._task} on {device}, at {self._rate_hz} Hz")

    def suggest(self, clip: Clip) -> Suggestion:
        """Let the model describe a clip."""
        audio = read_mono(clip, self._rate_hz, float(self._options["seconds"]))
        text = one_sentence(self._hear(audio) if self._task == SPEECH else self._answer(audio))
        return Suggestion(text, None, f"hf:{Path(self._model_name()).name}", {"task": self._task})

    def _hear(self, audio_N: Any) -> str:
        generate = {"max_new_tokens": int(self._options["max_tokens"])}
        sound = {"raw": audio_N, "sampling_rate": self._rate_hz}
        return str(self._pipeline(sound, generate_kwargs=generate)["text"])

    def _answer(self, audio_N: Any) -> str:
        content = [{"type": "audio", "audio": audio_N}, {"type": "text", "text": self._options["prompt"]}]
        answers = self._pipeline(
            text=[{"role": "user", "content": content}],
            max_new_tokens=int(self._options["max_tokens"]),
            return_full_text=False,
        )
        return str(answers[0]["generated_text"])

    def _model_name(self) -> str:
        """Return the option as a folder where there is one: `~` is not for the hub."""
        path = Path(self._options["model"]).expanduser()
        return str(path) if path.exists() else self._options["model"]

    def _feature_extractor(self) -> Any:
        found = self._pipeline.feature_extractor
        return found or getattr(self._pipeline.processor, "feature_extractor", None)


def choose_task(name: str, asked: str) -> str:
    """Return the pipeline that can caption with a model.

    Raises:
        SaoError: None can.
    """
    from transformers import AutoConfig
    from transformers.models.auto import modeling_auto

    if asked != "auto":
        return asked
    kind = AutoConfig.from_pretrained(name, trust_remote_code=False).model_type
    instructed = dict(modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES)
    speech = dict(modeling_auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES)
    if kind in speech and kind not in instructed:
        return SPEECH
    if kind in instructed:
        return ANY
    raise SaoError(
        f"{name} is a {kind} model, which does not turn audio into text",
        "Choose a captioner built on Whisper, or a model that takes instructions with audio, such as Qwen2-Audio.",
    )
