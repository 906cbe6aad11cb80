"""Which part of a clip its picture shows, and as what."""

from __future__ import annotations

from dataclasses import dataclass, replace

MODES = ("both", "waveform", "spectrogram")
MIN_SPAN_SECONDS = 0.05
_ZOOM = 2.0
_PAN_SHARE = 0.25


@dataclass(frozen=True)
class ClipView:
    """A span of a clip; the whole of it when it has just been opened."""

    clip_seconds: float = 0.0
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    mode: str = MODES[0]

    @property
    def span(self) -> tuple[float, float] | None:
        """The part shown, None for the whole clip."""
        is_whole = self.start_seconds <= 0 and self.end_seconds >= self.clip_seconds
        return None if is_whole else (self.start_seconds, self.end_seconds)

    def of_clip(self, seconds: float) -> ClipView:
        """Return the view of another clip: all of it."""
        return ClipView(seconds, 0.0, seconds, self.mode)

    def zoomed(self, direction: int, around_seconds: float | None) -> ClipView:
        """Return the view half as long (1) or twice (-1), with `around_seconds`, or else the middle, at its place."""
        length = self.end_seconds - self.start_seconds
        wanted = length / _ZOOM if direction > 0 else length * _ZOOM
        wanted = min(self.clip_seconds, max(min(MIN_SPAN_SECONDS, self.clip_seconds), wanted))
        centre = self.start_seconds + length / 2
        if around_seconds is not None and self.start_seconds <= around_seconds <= self.end_seconds:
            centre = around_seconds
        share = (centre - self.start_seconds) / length if length else 0.5
        return self._placed(centre - share * wanted, wanted)

    def panned(self, direction: int) -> ClipView:
        """Return the view a quarter of its length earlier (-1) or later (1)."""
        length = self.end_seconds - self.start_seconds
        return self._placed(self.start_seconds + direction * _PAN_SHARE * length, length)

    def toggled(self) -> ClipView:
        """Return the view as the next of both pictures, waveform, spectrogram."""
        return replace(self, mode=MODES[(MODES.index(self.mode) + 1) % len(MODES)])

    def _placed(self, start: float, length: float) -> ClipView:
        start = min(max(0.0, start), max(0.0, self.clip_seconds - length))
        return replace(self, start_seconds=start, end_seconds=min(self.clip_seconds, start + length))
