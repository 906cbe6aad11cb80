"""The captioner that ranks: the user's own phrases by how near CLAP hears them to a clip."""

from __future__ import annotations

from typing import Any

from sao_tui.core.captioners import CAPTIONERS, CaptionerInfo
from sao_tui.core.errors import SaoError
from sao_tui.worker.suggest.audio import read_mono
from sao_tui.worker.suggest.base import Clip, Context, Suggestion
from sao_tui.worker.suggest.words import join_phrases

TEXT_BATCH = 64
CLIP_SECONDS = 10.0
"""What CLAP hears of a clip."""


class ClapCaptioner:
    """CLAP, by laion-clap or by transformers."""

    def __init__(self) -> None:
        self._phrases: tuple[str, ...] = ()
        self._text_ND: Any = None
        self._model: Any = None
        self._top_k = 3
        self._min_similarity = 0.0

    def describe(self) -> CaptionerInfo:
        """Return what it is."""
        return CAPTIONERS["clap"]

    def prepare(self, context: Context) -> None:
        """Load the model and embed the phrases.

        Raises:
            SaoError: There are no phrases, or no weights.
        """
        import numpy as np

        from sao_tui.worker.suggest.clap_models import load_clap

        options = context.options
        self._phrases = context.vocabulary
        if not self._phrases:
            raise SaoError(
                "There are no phrases to rank: no clip has a caption yet",
                "Caption some clips first, or give the option vocabulary=FILE with one phrase a line.",
            )
        if "{}" not in options["template"]:
            raise SaoError("The option template has no {} for the phrase", "Such as: the sound of {}")
        self._top_k = int(options["top_k"])
        self._min_similarity = float(options["min_similarity"])
        self._model = load_clap(options["weights"], options["tokenizer"], options["device"], context.log)
        texts = [options["template"].replace("{}", phrase) for phrase in self._phrases]
        batches = (texts[start : start + TEXT_BATCH] for start in range(0, len(texts), TEXT_BATCH))
        self._text_ND = unit_rows(np.concatenate([self._model.embed_texts(batch) for batch in batches]))
        context.log(f"{len(texts)} phrases are ranked by {self._model.name}")

    def suggest(self, clip: Clip) -> Suggestion:
        """Rank the phrases for one clip."""
        audio = read_mono(clip, self._model.sample_rate_hz, CLIP_SECONDS)
        ranked = rank(self._model.embed_audio(audio), self._text_ND, self._phrases, self._top_k)
        kept = [(phrase, score) for phrase, score in ranked if score >= self._min_similarity]
        details = {"ranked": [[phrase, round(score, 4)] for phrase, score in ranked]}
        confidence = kept[0][1] if kept else ranked[0][1]
        return Suggestion(join_phrases([phrase for phrase, _ in kept]), confidence, f"clap:{self._model.name}", details)


def rank(audio_D: Any, text_ND: Any, phrases: tuple[str, ...], top_k: int) -> list[tuple[str, float]]:
    """Return the `top_k` phrases nearest to a sound with their cosine, the nearest first.

    Args:
        audio_D: Embedding of the sound, of any length.
        text_ND: Embeddings of the phrases, each of length 1.
    """
    import numpy as np

    cosines_N = text_ND @ unit_rows(audio_D[None])[0]
    # Equal ones stay in the order of the vocabulary, which is the more used first.
    order = np.argsort(-cosines_N, kind="stable")[:top_k]
    return [(phrases[index], float(cosines_N[index])) for index in order]


def unit_rows(values_ND: Any) -> Any:
    """Return rows scaled to length 1; a row of zeros stays one."""
    import numpy as np

    values_ND = np.asarray(values_ND, dtype=np.float32)
    return values_ND / np.maximum(np.linalg.norm(values_ND, axis=1, keepdims=True), 1e-12)
