"""Pre-encoding: each clip's latents and metadata, as upstream's PreEncodedDataset reads them.

For the clip `drums/kick.wav` the files are `drums/kick.wav.npy`, float32 of shape [C, L], and
`drums/kick.wav.json`. They hold what the autoencoder gives, before the pretransform's scale: upstream
divides by that when it trains on latents.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_atomically
from sao_tui.core.jobs import JobFolder, JobSpec
from sao_tui.core.settings import EncodeSettings
from sao_tui.worker import upstream
from sao_tui.worker.control import Control
from sao_tui.worker.data import check_paths
from sao_tui.worker.emit import Emitter
from sao_tui.worker.startup import num_threads, prepare_environment

PROGRESS_SECONDS = 0.2
DETAILS_NAME = "details.json"
FILELIST_NAME = "filelist.txt"
"""Names the latents to train on; upstream reads it in place of scanning, so that a removed clip's stay out."""


@dataclass(frozen=True)
class Clip:
    """One audio file and where its latents go."""

    path: Path
    relpath: str
    latents: Path
    metadata_fn: Any

    @property
    def metadata(self) -> Path:
        """Where the metadata goes."""
        return self.latents.with_suffix(".json")

    def is_done(self) -> bool:
        """Return whether the latents exist and are newer than the audio; they are written last."""
        try:
            return self.metadata.exists() and self.latents.stat().st_mtime >= self.path.stat().st_mtime
        except FileNotFoundError:
            return False


def encode(folder: JobFolder, spec: JobSpec, emitter: Emitter, control: Control) -> None:
    """Encode the clips of the job's dataset that are not encoded yet.

    Raises:
        SaoError: There is nothing to encode, or nothing to encode it with.
    """
    settings = EncodeSettings(**spec.settings)
    emitter.state("starting", 0, 0)
    check_paths(spec.dataset_config, settings.base_weights)
    prepare_environment(settings.text_encoder_home, {})
    upstream.import_model_modules()
    import torch

    torch.set_num_threads(num_threads())
    output = Path(settings.output)
    clips = find_clips(spec.dataset_config, output)
    encoder = Encoder(spec.model_config, settings, emitter)
    claim_folder(output, encoder.details())
    waiting = [clip for clip in clips if not clip.is_done()]
    num_done = len(clips) - len(waiting)
    emitter.log(f"{len(clips)} clips, {num_done} of them encoded already")
    emitter.state("running", num_done, len(clips))
    num_done = _encode_all(encoder, waiting, num_done, len(clips), emitter, control)
    write_filelist(output, clips)
    if control.should_stop() and num_done < len(clips):
        emitter.state("stopped", num_done, len(clips), "Stopped on request; starting it again goes on from here")
    else:
        emitter.progress(num_done, len(clips), "encoding")
        emitter.state("finished", num_done, len(clips))


def claim_folder(output: Path, details: dict[str, Any]) -> None:
    """Note in the folder what its latents are made with.

    Raises:
        SaoError: It holds latents that were made with something else, or cannot be written.
    """
    file = output / DETAILS_NAME
    try:
        output.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            write_atomically(file, json.dumps(details, indent=2).encode())
            return
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise SaoError(f"{file} cannot be used: {error}", "Choose another folder for the latents.") from error
    different = [name for name, value in details.items() if found.get(name) != value]
    if different:
        raise SaoError(
            f"{output} holds latents that were made with another {different[0].replace('_', ' ')}",
            "Remove that folder, or choose another one for the latents.",
        )


def write_filelist(output: Path, clips: list[Clip]) -> None:
    """List the latents of the clips that the dataset holds now.

    Raises:
        SaoError: The folder cannot be written.
    """
    names = [clip.latents.relative_to(output).as_posix() for clip in clips if clip.latents.exists()]
    file = output / FILELIST_NAME
    try:
        if any(name != name.strip() or "\n" in name for name in names):
            # Upstream reads stripped lines; it finds such names only by scanning.
            file.unlink(missing_ok=True)
        else:
            write_atomically(file, "".join(f"{name}\n" for name in names).encode())
    except OSError as error:
        raise SaoError(f"{file} cannot be written: {error.strerror}", "Free some space and start it again.") from error


def find_clips(dataset_config: dict[str, Any], output: Path) -> list[Clip]:
    """Return the clips that upstream's loader would find, sorted by path.

    Raises:
        SaoError: There are none, or the dataset is not one of audio files.
    """
    from stable_audio_tools.data.dataset import get_audio_filenames

    if dataset_config.get("dataset_type") != "audio_dir":
        raise SaoError("Only a dataset of audio files can be encoded", "Use a dataset config of type audio_dir.")
    datasets = upstream.fence_paths(dataset_config)["datasets"]
    clips = []
    for entry in datasets:
        root = Path(entry["path"])
        # Two datasets may hold clips of the same name.
        target = output / entry["id"] if len(datasets) > 1 else output
        metadata_fn = _metadata_function(entry.get("custom_metadata_module"))
        for path in sorted(map(Path, get_audio_filenames([str(root)]))):
            relpath = path.relative_to(root).as_posix()
            clips.append(Clip(path, relpath, target / latent_name(relpath), metadata_fn))
    if not clips:
        folders = ", ".join(entry["path"] for entry in datasets)
        raise SaoError(f"There are no audio files in {folders}", "Add some, or correct the path in the dataset config.")
    return clips


def latent_name(relpath: str) -> str:
    """Return the name of a clip's latents.

    Upstream finds the metadata by replacing every `.npy` of the path, so that none may stand in `relpath`.
    """
    return relpath.replace("%", "%25").replace(".npy", "%2Enpy") + ".npy"


class Encoder:
    """Reads clips as upstream's dataset does, without its random phase, crops and replacements."""

    def __init__(self, model_config: dict[str, Any], settings: EncodeSettings, emitter: Emitter) -> None:
        """Load the autoencoder.

        Raises:
            SaoError: The weights do not hold the autoencoder that `model_config` describes.
        """
        import torch
        from stable_audio_tools.data.dataset import SampleDataset

        self._emitter = emitter
        self._device = torch.device(_device(settings.device))
        self.pretransform = load_pretransform(model_config, Path(settings.base_weights), emitter).to(self._device)
        self.sample_rate = model_config["sample_rate"]
        mono = model_config.get("audio_channels", 2) == 1
        self._dataset = SampleDataset(
            [],
            sample_size=model_config["sample_size"],
            sample_rate=self.sample_rate,
            random_crop=False,
            force_channels="mono" if mono else "stereo",
        )
        self.batch_size = max(1, settings.batch_size)

    def read(self, clip: Clip) -> tuple[Any, dict[str, Any]] | None:
        """Return the audio of a clip and what upstream says about it, or None, with a warning, if it is unusable."""
        from stable_audio_tools.data.dataset import is_silence

        try:
            audio = self._dataset.load_file(str(clip.path))
        except Exception as error:  # whatever the decoders raise, the other clips are encoded
            self._emitter.warning(f"{clip.path} cannot be read: {error}", "Repair or remove it; it was left out.")
            return None
        audio, start, end, seconds_start, seconds_total, mask = self._dataset.pad_crop(audio)
        if is_silence(audio):
            self._emitter.warning(f"{clip.path} is silent", "Remove it; it was left out.")
            return None
        info = {
            "path": str(clip.path),
            "relpath": clip.relpath,
            "timestamps": (start, end),
            "seconds_start": seconds_start,
            "seconds_total": seconds_total,
            "padding_mask": mask,
            "sample_rate": self.sample_rate,
        }
        if clip.metadata_fn is not None:
            info.update(clip.metadata_fn(info, audio))
        return self._dataset.encoding(audio.clamp(-1, 1)), info

    def details(self) -> dict[str, Any]:
        """Return what the latents depend on, beside the clips."""
        digest = hashlib.sha256()
        for name, value in sorted(self.pretransform.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.cpu().contiguous().numpy().tobytes())
        return {
            "autoencoder": digest.hexdigest(),
            "sample_rate": self.sample_rate,
            "sample_size": self._dataset.pad_crop.n_samples,
        }

    def encode(self, audio_BCN: Any, names: list[str]) -> Any:
        """Return float32 latents of shape [B, C, L]; the same batch gives the same latents each time."""
        import torch

        torch.manual_seed(zlib.crc32("\n".join(names).encode()))
        with torch.no_grad():
            latents = self.pretransform.encode(audio_BCN.to(self._device))
        return (latents * getattr(self.pretransform, "scale", 1.0)).float().cpu()


def load_pretransform(model_config: dict[str, Any], weights_file: Path, emitter: Emitter) -> Any:
    """Return the pretransform alone, without building the model around it.

    Raises:
        SaoError: The config has none, or the weights do not fit it.
    """
    import torch
    from stable_audio_tools.models.factory import create_pretransform_from_config

    from sao_tui.worker.model import is_wrapped, load_weights, read_weights, unwrap

    config = model_config.get("model", {}).get("pretransform")
    if config is None:
        raise SaoError("The model config has no pretransform to encode with", "Use the config of a latent model.")
    pretransform = create_pretransform_from_config(config, model_config["sample_rate"])
    weights = read_weights(weights_file)
    weights = unwrap(weights) if is_wrapped(weights) else weights
    own = {name: value for name, value in weights.items() if name.startswith("pretransform.")}
    # Held as the model would hold it, so that the names are those of the file.
    load_weights(torch.nn.ModuleDict({"pretransform": pretransform}), own, weights_file, emitter.log)
    return pretransform


def save(clip: Clip, latents_CL: Any, info: dict[str, Any]) -> None:
    """Write the metadata, then the latents, each in one step: a clip with latents is whole.

    Raises:
        SaoError: They cannot be written.
    """
    import numpy as np
    import torch

    mask = torch.nn.functional.interpolate(info["padding_mask"][None, None], size=latents_CL.shape[1], mode="nearest")
    record = {**info, "padding_mask": mask[0, 0].int().tolist()}
    buffer = io.BytesIO()
    np.save(buffer, latents_CL.numpy())
    try:
        clip.latents.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(clip.metadata, json.dumps(record, default=_plain).encode(), durable=False)
        write_atomically(clip.latents, buffer.getvalue(), durable=False)
    except OSError as error:
        raise SaoError(
            f"{clip.latents} cannot be written: {error.strerror}", "Free some space, then start the encoding again."
        ) from error


def _encode_all(
    encoder: Encoder, waiting: list[Clip], num_done: int, num_clips: int, emitter: Emitter, control: Control
) -> int:
    """Encode until done or asked to stop; return how many clips are encoded."""
    import torch

    last_told = 0.0
    for batch in _batches(encoder, waiting):
        if control.should_stop():
            emitter.state("stopping", num_done, num_clips)
            break
        clips = [clip for clip, _, _ in batch]
        latents = encoder.encode(torch.stack([audio for _, audio, _ in batch]), [clip.relpath for clip in clips])
        for (clip, _, info), latents_CL in zip(batch, latents, strict=True):
            save(clip, latents_CL, info)
        num_done += len(batch)
        if time.monotonic() - last_told >= PROGRESS_SECONDS:
            last_told = time.monotonic()
            emitter.progress(num_done, num_clips, "encoding")
    return num_done


def _batches(encoder: Encoder, clips: list[Clip]) -> Iterator[list[tuple[Clip, Any, dict[str, Any]]]]:
    batch: list[tuple[Clip, Any, dict[str, Any]]] = []
    for clip in clips:
        read = encoder.read(clip)
        if read is not None:
            batch.append((clip, *read))
        if len(batch) == encoder.batch_size:
            yield batch
            batch = []
    if batch:
        yield batch


def _metadata_function(module_file: str | None) -> Any:
    """Return get_custom_metadata of a metadata module, loaded as upstream does it."""
    import importlib.util

    if module_file is None:
        return None
    spec = importlib.util.spec_from_file_location("metadata_module", module_file)
    if spec is None or spec.loader is None or not Path(module_file).exists():
        raise SaoError(f"The metadata module {module_file} does not exist", "Correct it in the dataset config.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_custom_metadata


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda" if name == "gpu" else name


def _plain(value: Any) -> Any:
    """Return a tensor or array as JSON can hold it."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
