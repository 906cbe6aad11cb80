"""CLAP models: laion-clap's weights files and transformers' folders, loaded without running anything in them.

laion_clap itself is not imported: doing so fetches three tokenizers from the hub, its own model class fetches
roberta-base's weights only to overwrite them, and its loader unpickles. Its modules are imported from its folder
and given the weights read here.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from sao_tui.core.captioners import CAPTIONERS
from sao_tui.core.errors import SaoError
from sao_tui.worker.suggest.base import missing_package

LAION_REPOSITORY = "lukewys/laion_clap"
LAION_FILES = (
    "630k-audioset-best.pt",
    "630k-best.pt",
    "music_audioset_epoch_15_esc_90.14.pt",
    "music_speech_audioset_epoch_15_esc_89.98.pt",
)
"""Weights without fusion, the ones to prefer first."""
TRANSFORMERS_DEFAULT = "laion/clap-htsat-unfused"
MAX_TOKENS = 77
_CLIP_SAMPLES = 480_000


class ClapModel(Protocol):
    """Puts sounds and texts into one space."""

    name: str
    sample_rate_hz: int

    def embed_audio(self, audio_N: Any) -> Any:
        """Return the embedding of mono samples, of shape (D,)."""

    def embed_texts(self, texts: list[str]) -> Any:
        """Return the embeddings of texts, of shape (N, D)."""


def load_clap(weights: str, tokenizer: str, device: str, log: Callable[[str], None]) -> ClapModel:
    """Load the weights file or transformers model that is asked for, or one that lies in the hub's cache.

    Raises:
        SaoError: There is none; the hint says where to get one.
    """
    from sao_tui.worker.suggest.models import choose_device, go_offline_if_cached

    if not weights:
        weights = _find_weights()
    path = Path(weights).expanduser()
    if path.is_file():
        go_offline_if_cached(tokenizer)
        return LaionClap(path, tokenizer, choose_device(device), log)
    if path.suffix in (".pt", ".ckpt", ".safetensors"):
        raise SaoError(f"{path} does not exist", CAPTIONERS["clap"].way)
    go_offline_if_cached(weights)
    return TransformersClap(weights, choose_device(device))


def _find_weights() -> str:
    """Return weights that are here already; nothing this large is downloaded unasked."""
    from sao_tui.worker.startup import is_cached
    from sao_tui.worker.suggest.models import cached_file

    package = laion_folder()
    for name in LAION_FILES:
        # laion-clap's own downloads lie beside its code.
        for found in (cached_file(LAION_REPOSITORY, name), package / name if package else None):
            if found is not None and found.is_file():
                return str(found)
    if is_cached(TRANSFORMERS_DEFAULT):
        return TRANSFORMERS_DEFAULT
    raise SaoError(
        "CLAP's weights are not here: neither in the Hugging Face cache nor beside laion_clap",
        f"hf download {LAION_REPOSITORY} {LAION_FILES[0]}, or hf download {TRANSFORMERS_DEFAULT}; or give the option "
        "weights=FILE.",
    )


def laion_folder() -> Path | None:
    """Return the folder of the package laion_clap without importing it."""
    spec = importlib.util.find_spec("laion_clap")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


class LaionClap:
    """A checkpoint of laion-clap: HTSAT for sound, roberta for text, no fusion."""

    def __init__(self, path: Path, tokenizer: str, device: Any, log: Callable[[str], None]) -> None:
        """Build the model that the weights' shapes call for and load them strictly.

        Raises:
            SaoError: laion_clap is missing, or these are no weights of such a model.
        """
        from sao_tui.worker.model import load_weights

        weights = read_laion_weights(path)
        self.name = path.stem
        self.sample_rate_hz = 48_000
        self._device = device
        self._tokenizer = _load_tokenizer(tokenizer)
        self._model = build_laion(weights, path)
        expected = self._model.state_dict()
        # Buffers that later versions of transformers no longer keep.
        weights = {name: value for name, value in weights.items() if name in expected or "position_ids" not in name}
        load_weights(self._model, weights, path, log)
        self._model.to(device).eval()

    def embed_audio(self, audio_N: Any) -> Any:
        """Return the embedding of the first ten seconds; a shorter sound is repeated, as in training."""
        import torch

        audio = torch.from_numpy(audio_N[:_CLIP_SAMPLES])
        repeated = audio.repeat(max(1, _CLIP_SAMPLES // len(audio)))
        filled = torch.nn.functional.pad(repeated, (0, _CLIP_SAMPLES - len(repeated)))
        # Training heard 16-bit sound.
        filled = (filled * 32_767).to(torch.int16).float() / 32_767
        sample = {"waveform": filled, "longer": torch.tensor([False])}
        with torch.no_grad():
            return self._model.get_audio_embedding([sample])[0].float().cpu().numpy()

    def embed_texts(self, texts: list[str]) -> Any:
        """Return the embeddings of texts."""
        import torch

        # Padded to the full length, as in training.
        batch = self._tokenizer(
            texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        with torch.no_grad():
            wanted = {name: batch[name] for name in ("input_ids", "attention_mask")}
            return self._model.get_text_embedding(wanted).float().cpu().numpy()


class TransformersClap:
    """A CLAP model in the format of transformers."""

    sample_rate_hz = 48_000

    def __init__(self, name: str, device: Any) -> None:
        """Load it by name or from a folder.

        Raises:
            SaoError: It cannot be had, or is no CLAP model.
        """
        from transformers import ClapModel as Model
        from transformers import ClapProcessor

        from sao_tui.worker.suggest.models import cannot_load

        try:
            self._model = Model.from_pretrained(name, trust_remote_code=False)
            self._processor = ClapProcessor.from_pretrained(name, trust_remote_code=False)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise cannot_load(name, error) from error
        self.name = Path(name).name
        self.sample_rate_hz = int(self._processor.feature_extractor.sampling_rate)
        self._device = device
        self._model.to(device).eval()

    def embed_audio(self, audio_N: Any) -> Any:
        """Return the embedding of a sound."""
        import torch

        inputs = self._processor.feature_extractor(audio_N, sampling_rate=self.sample_rate_hz, return_tensors="pt")
        with torch.no_grad():
            features = self._model.get_audio_features(**inputs.to(self._device))
        return _tensor(features)[0].float().cpu().numpy()

    def embed_texts(self, texts: list[str]) -> Any:
        """Return the embeddings of texts."""
        import torch

        inputs = self._processor.tokenizer(
            texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        with torch.no_grad():
            features = self._model.get_text_features(**inputs.to(self._device))
        return _tensor(features).float().cpu().numpy()


def read_laion_weights(path: Path) -> dict[str, Any]:
    """Return the tensors of a laion-clap checkpoint; nothing in the file is run.

    Its training loop kept numbers of numpy beside the tensors: reading such a number runs nothing either.

    Raises:
        SaoError: It is no such file.
    """
    import numpy as np
    import torch

    from sao_tui.worker.model import read_weights

    kinds = {type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")}
    scalar: Any = np.float64(0).__reduce__()[0]
    # The function has moved within numpy since these files were written.
    allowed = [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, *kinds]
    with torch.serialization.safe_globals(allowed):
        weights = read_weights(path)
    return {name.removeprefix("module."): value for name, value in weights.items()}


def build_laion(weights: dict[str, Any], path: Path) -> Any:
    """Return laion-clap's model, untrained, of the shapes that the weights have.

    Raises:
        SaoError: The weights are of a kind that is not supported here, or laion_clap is missing.
    """
    audio = _audio_config(weights, path)
    words = weights.get("text_branch.embeddings.word_embeddings.weight")
    if words is None:
        raise SaoError(f"{path} is no CLAP checkpoint with roberta for text", f"Use {LAION_FILES[0]}.")
    with _laion_modules() as modules:
        original = modules.RobertaModel
        modules.RobertaModel = _Untrained(weights)
        try:
            text = {"context_length": MAX_TOKENS, "vocab_size": 49_408, "width": 512, "heads": 8, "layers": 12}
            text_config = modules.CLAPTextCfg(**text, model_type="roberta")
            return modules.CLAP(
                embed_dim=weights["audio_projection.0.weight"].shape[1],
                audio_cfg=modules.CLAPAudioCfp(**audio),
                text_cfg=text_config,
                joint_embed_shape=weights["audio_projection.0.weight"].shape[0],
            )
        finally:
            modules.RobertaModel = original


class _Untrained:
    """Stands in for RobertaModel while CLAP is built, so that nothing is downloaded to be overwritten."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self._weights = weights

    def from_pretrained(self, _name: str) -> Any:
        from transformers import RobertaConfig, RobertaModel

        prefix = "text_branch.embeddings."
        num_words, width = self._weights[f"{prefix}word_embeddings.weight"].shape
        layers = {name.split(".")[3] for name in self._weights if name.startswith("text_branch.encoder.layer.")}
        inner = self._weights["text_branch.encoder.layer.0.intermediate.dense.weight"].shape[0]
        config = RobertaConfig(
            vocab_size=num_words,
            hidden_size=width,
            num_hidden_layers=len(layers),
            num_attention_heads=width // 64,
            intermediate_size=inner,
            max_position_embeddings=self._weights[f"{prefix}position_embeddings.weight"].shape[0],
            type_vocab_size=self._weights[f"{prefix}token_type_embeddings.weight"].shape[0],
            layer_norm_eps=1e-5,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
        )
        return RobertaModel(config)


def _audio_config(weights: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the audio branch that the weights' shapes belong to."""
    common = {"sample_rate": 48_000, "clip_samples": _CLIP_SAMPLES, "mel_bins": 64, "window_size": 1_024}
    common |= {"fmin": 50, "fmax": 14_000, "class_num": 527, "audio_length": 1_024}
    if any("fusion_model" in name or "mel_conv2d" in name for name in weights):
        raise SaoError(f"{path} is a CLAP checkpoint with fusion", f"Use one without, such as {LAION_FILES[0]}.")
    patches = weights.get("audio_branch.patch_embed.proj.weight")
    if patches is not None:
        name = {96: "tiny", 128: "base", 256: "large"}.get(patches.shape[0])
        if name is not None:
            return {**common, "hop_size": 480, "model_type": "HTSAT", "model_name": name}
    raise SaoError(f"{path} is no CLAP checkpoint with HTSAT for sound", f"Use {LAION_FILES[0]}.")


@contextlib.contextmanager
def _laion_modules() -> Iterator[Any]:
    """Import laion-clap's model module from its folder, as it does itself."""
    folder = laion_folder()
    if folder is None:
        raise missing_package("laion_clap", CAPTIONERS["clap"])
    sys.path.insert(0, os.fspath(folder))
    try:
        yield importlib.import_module("clap_module.model")
    finally:
        sys.path.remove(os.fspath(folder))


def _load_tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    from sao_tui.worker.suggest.models import cannot_load

    try:
        return AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise cannot_load(name, error) from error


def _tensor(output: Any) -> Any:
    """Return the embedding in what transformers hands back, which is a tensor or holds one."""
    return output if hasattr(output, "cpu") and not hasattr(output, "pooler_output") else output.pooler_output
