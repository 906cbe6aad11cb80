"""Upstream's dataset config: where the clips or latents lie."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from sao_tui.core.configs.base import Latents, Number, Part, Seconds, Steps


class AudioDir(Part):
    """One folder of clips."""

    id: str
    """Name of the folder in logs."""
    path: Annotated[str, Field(min_length=1)]
    """The folder, searched to any depth."""
    custom_metadata_module: str | None = None
    """Python file whose get_custom_metadata gives each clip its prompt."""


class AudioDirDataset(Part):
    """Folders of audio files."""

    dataset_type: Literal["audio_dir"]
    """Kind of dataset."""
    datasets: Annotated[list[AudioDir], Field(min_length=1)]
    """The folders."""
    random_crop: bool = True
    """Train on a random part of clips longer than sample_size."""
    drop_last: bool = True
    """Leave out the clips that do not fill a batch."""


class PreEncodedDataset(Part):
    """Folders of latents."""

    dataset_type: Literal["pre_encoded"]
    """Kind of dataset."""
    datasets: Annotated[list[AudioDir], Field(min_length=1)]
    """The folders."""
    latent_crop_length: Latents | None = None
    """Train on this much of each clip."""
    min_length_sec: Seconds | None = None
    """Pass over shorter clips."""
    max_length_sec: Seconds | None = None
    """Pass over longer clips."""
    random_crop: bool = False
    """Crop at a random place."""
    drop_last: bool = True
    """Leave out the clips that do not fill a batch."""
    latent_extension: str = "npy"
    """Suffix of the latents."""


class WebDataset(Part):
    """One source of tar files."""

    id: str
    """Name of the source in logs."""
    s3_path: str | None = None
    """Bucket and prefix, for the aws command."""
    path: str | None = None
    """Local folder."""
    profile: str | None = None
    """Profile of the aws command."""
    custom_metadata_module: str | None = None
    """Python file whose get_custom_metadata gives each clip its prompt."""


class WebDatasetConfig(Part):
    """Tar files in the WebDataset format."""

    dataset_type: Literal["s3", "wds"]
    """Kind of dataset; both names mean the same."""
    datasets: Annotated[list[WebDataset], Field(min_length=1)]
    """The sources."""
    random_crop: bool = True
    """Train on a random part of longer clips."""
    remove_silence: bool = False
    """Cut silence out of clips."""
    silence_threshold: list[Number] = [0.01, 0.5]
    """Level and share that count as silence."""
    max_silence_duration: Seconds = 0.25
    """Silence that is left."""
    volume_norm: bool = False
    """Bring clips to one loudness."""
    volume_norm_param: list[Number] = [-16, 2]
    """Loudness in LUFS and its spread in dB."""
    epoch_steps: Steps = 2000
    """Batches that make an epoch."""
    pre_encoded: bool = False
    """The tar files hold latents."""
    latent_crop_length: Latents | None = None
    """Train on this much of each clip."""
    resampled_shards: bool = True
    """Draw tar files at random."""


DatasetConfig = Annotated[AudioDirDataset | PreEncodedDataset | WebDatasetConfig, Field(discriminator="dataset_type")]
DATASET_CONFIG: TypeAdapter[AudioDirDataset | PreEncodedDataset | WebDatasetConfig] = TypeAdapter(DatasetConfig)
