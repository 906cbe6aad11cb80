"""What a prepare job is asked to do with each clip, in the order in which it is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from sao_tui.core.errors import SaoError

Slicing = Literal["auto", "none", "fixed", "onsets", "silence"]
Dedupe = Literal["", "exact", "near"]
OutputFormat = Literal["wav", "flac"]
Depth = Literal["16", "24", "float"]

OPERATIONS = ("read", "de-duplicate", "channels", "resample", "trim", "slice", "loudness", "limit", "write")
"""The fixed order: cuts are made at the final rate and after trimming, and each slice has a loudness of its own."""


@dataclass(frozen=True)
class PrepareSettings:
    """Arguments of one prepare job; job.json holds the same names."""

    source: str
    """Dataset folder that the clips are read from."""
    output: str
    """Folder that the prepared clips go to; the source itself for a job in place."""
    originals: str = ""
    """For a job in place: folder outside the dataset that each original is moved to first; empty otherwise."""
    workspace: str = ""
    """Workspace folder: recorded sources are relative to it."""
    rate_hz: int = 44_100
    """Sample rate of every output; 0 keeps that of each clip."""
    channels: int = 0
    """1 or 2 for every output, 0 keeps those of each clip."""
    trim: bool = False
    """Cut silence off both ends."""
    trim_dbfs: float = -60.0
    """Peak level below which an end is silence."""
    trim_margin_seconds: float = 0.02
    """Silence that stays before and after the sound."""
    slicing: Slicing = "auto"
    """auto cuts only what is longer than the model hears; none keeps even that whole."""
    slice_seconds: float = 0.0
    """Length of the slices of `fixed`."""
    max_seconds: float = 0.0
    """What the model hears: no slice is longer; 0 for no limit."""
    min_seconds: float = 0.1
    """Least length of a slice: what is shorter gets some of its neighbour, or is dropped between two silences."""
    silence_dbfs: float = -50.0
    """For `silence`: RMS level below which a stretch counts as silence."""
    silence_seconds: float = 0.2
    """For `silence`: shortest stretch that parts two slices."""
    loudness_lufs: float | None = None
    """Integrated loudness of every output (ITU-R BS.1770-4); None leaves it."""
    peak_dbfs: float = -1.0
    """Ceiling of the samples where the loudness is changed or would clip."""
    format: OutputFormat = "wav"
    depth: Depth = "24"
    """Bits of a sample; float for wav only."""
    dedupe: Dedupe = ""
    """exact drops clips with the same samples as an earlier one; near also those with nearly the same sound."""
    use: bool = False
    """Make the output the workspace's dataset when all is done."""

    @property
    def is_in_place(self) -> bool:
        """Whether the dataset folder itself is changed."""
        return bool(self.originals)

    @property
    def suffix(self) -> str:
        """Suffix of the outputs."""
        return f".{self.format}"

    @property
    def codec(self) -> str:
        """What an output's header says, as services.audio writes it."""
        return f"{self.format} {'float' if self.depth == 'float' else f'pcm_{self.depth}'}"

    def same_work(self, other: PrepareSettings) -> bool:
        """Return whether two jobs make the same files of the same clips."""
        return {**asdict(self), "use": False} == {**asdict(other), "use": False}

    def check(self) -> None:
        """Refuse what cannot be done.

        Raises:
            SaoError: A value is out of its range, or two do not go together.
        """
        for is_wrong, message, hint in self._problems():
            if is_wrong:
                raise SaoError(message, hint)

    def _problems(self) -> list[tuple[bool, str, str]]:
        return [
            (
                self.rate_hz != 0 and not 4_000 <= self.rate_hz <= 384_000,
                f"{self.rate_hz} Hz is no sample rate for clips.",
                "Give a rate between 4000 and 384000, such as 44100.",
            ),
            (self.channels not in (0, 1, 2), f"Clips cannot have {self.channels} channels.", "Give 1 or 2."),
            (
                self.format == "flac" and self.depth == "float",
                "FLAC holds no floating-point samples.",
                "Choose wav, or 16 or 24 bits.",
            ),
            (
                self.slicing == "fixed" and self.slice_seconds <= 0,
                "Slices need a length.",
                "Give it in seconds, such as 4.",
            ),
            (
                self.slicing == "fixed" and 0 < self.slice_seconds < self.min_seconds,
                f"Slices of {self.slice_seconds:g} s are shorter than the least length of {self.min_seconds:g} s.",
                "Give longer slices, or a smaller least length.",
            ),
            (
                self.loudness_lufs is not None and not -70 <= self.loudness_lufs <= 0,
                f"{self.loudness_lufs} LUFS is no loudness for clips.",
                "Give a value between -70 and 0, such as -16.",
            ),
            (not -30 <= self.peak_dbfs <= 0, f"{self.peak_dbfs} dBFS is no ceiling.", "Give a value from -30 to 0."),
            (not -120 <= self.trim_dbfs < 0, f"{self.trim_dbfs} dBFS is no silence.", "Give a value such as -60."),
            (self.min_seconds < 0, "The least length is below 0.", "Give seconds, such as 0.1."),
        ]


def read_settings(values: dict[str, Any]) -> PrepareSettings:
    """Return the settings in a job's description.

    Raises:
        SaoError: They are not those of a prepare job.
    """
    try:
        return PrepareSettings(**values)
    except TypeError as error:
        raise SaoError(f"This is no prepare job: {error}.", "Start it again with `sao-tui dataset prepare`.") from error
