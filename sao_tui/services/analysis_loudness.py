"""Integrated loudness after ITU-R BS.1770-4, block by block, so that an hour of sound needs no more than a minute.

The filters are pyloudnorm's; its Meter wants the whole signal at once, so the gating is done here over sums of
100 ms. Both give the same number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK_SECONDS = 0.4
"""Gating block of BS.1770-4: nothing shorter has an integrated loudness."""

_STEP_SECONDS = 0.1
_STEPS_PER_BLOCK = 4
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_OFFSET_LUFS = -0.691
_SURROUND_WEIGHT = 1.41
_FILTERS = ((4.0, 0.5**0.5, 1500.0, "high_shelf"), (0.0, 0.5, 38.0, "high_pass"))
"""K-weighting as (gain in dB, Q, Hz, kind), the values of pyloudnorm's Meter."""


class LoudnessMeter:
    """Takes a sound in blocks of float samples [channels, frames] and says how loud it is as a whole."""

    def __init__(self, sample_rate_hz: int, num_channels: int) -> None:
        import numpy as np
        from pyloudnorm import IIRfilter

        stages = [IIRfilter(gain, q, hz, sample_rate_hz, kind) for gain, q, hz, kind in _FILTERS]
        self._sections = np.array([[*stage.b, *stage.a] for stage in stages])
        self._state = np.zeros((len(stages), num_channels, 2))
        weights = [1.0] * 3 + [_SURROUND_WEIGHT] * 2
        self._weights = np.array((weights + [1.0] * num_channels)[:num_channels])
        self._rate = sample_rate_hz
        self._num_frames = 0
        self._steps: list[float] = []
        """Weighted sum of squares in each 100 ms so far, the last one perhaps unfinished."""

    def feed(self, block_CN: NDArray[np.float32]) -> None:
        """Take the next samples."""
        import numpy as np
        from scipy.signal import sosfilt

        filtered_CN, self._state = sosfilt(self._sections, block_CN, axis=1, zi=self._state)
        power_N = self._weights @ np.square(filtered_CN)
        first = self._num_frames
        self._num_frames += len(power_N)
        # Where each step begins, by pyloudnorm's own rounding.
        step = max(0, len(self._steps) - 1)
        last = int(self._num_frames / (self._rate * _STEP_SECONDS)) + 1
        starts = (np.arange(step, last + 1) * (_STEP_SECONDS * self._rate)).astype(np.int64)
        inside = starts[(starts >= first) & (starts < self._num_frames)] - first
        if not len(inside) or inside[0] > 0:
            end = inside[0] if len(inside) else len(power_N)
            self._steps[-1] += float(power_N[:end].sum())
        if len(inside):
            self._steps.extend(np.add.reduceat(power_N, inside).tolist())

    def integrated_lufs(self) -> float | None:
        """Return the gated loudness; None below 0.4 s, and where no block is louder than -70 LUFS."""
        import numpy as np

        seconds = self._num_frames / self._rate
        if seconds < BLOCK_SECONDS:
            return None
        num_blocks = round((seconds - BLOCK_SECONDS) / _STEP_SECONDS) + 1
        sums = np.concatenate([[0.0], np.cumsum(self._steps)])
        ends = np.minimum(np.arange(num_blocks) + _STEPS_PER_BLOCK, len(self._steps))
        powers = (sums[ends] - sums[np.arange(num_blocks)]) / (BLOCK_SECONDS * self._rate)
        with np.errstate(divide="ignore"):
            levels = _OFFSET_LUFS + 10 * np.log10(np.maximum(powers, 0.0))
        loud = levels >= _ABSOLUTE_GATE_LUFS
        if not loud.any():
            return None
        gate = _OFFSET_LUFS + 10 * np.log10(powers[loud].mean()) + _RELATIVE_GATE_LU
        kept = powers[(levels > gate) & (levels > _ABSOLUTE_GATE_LUFS)]
        return float(_OFFSET_LUFS + 10 * np.log10(kept.mean())) if len(kept) else None
