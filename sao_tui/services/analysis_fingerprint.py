"""Fingerprints by which clips that sound the same are found: other gain, re-encoded, or cut by up to 0.1 s.

A fingerprint is two small pictures in steps of 3 dB below the loudest cell, which makes it blind to gain:
the spectrum of the whole clip by semitones, which tells pitches apart, and the first 1.3 s of sound in
frames of 40 ms by 12 bands, which tells shapes apart. Two clips are compared by the mean difference in dB,
loud cells counting more, at the best of several shifts in time.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_DISTANCE_DB = 1.6
"""Up to this distance two clips count as near duplicates."""

NUM_BYTES = 255

_VERSION = 1
_HEAD = struct.Struct("<BI")
"""Version, and milliseconds of sound."""

_TARGET_RATE_HZ = 16_000
_HOP_SECONDS = 0.04
_NUM_FRAMES = 32
_NUM_BANDS = 10
_NUM_PITCHES = 180
_LOW_HZ = 40.0
_BAND_LOW_HZ, _BAND_HIGH_HZ = 60.0, 7_000.0
_LONG_SIZE = 4_096
_STEP_DB = 2.0
_NUM_LEVELS = 15
_FULL_WEIGHT_LEVEL = 6
"""Cells from this level on count alike, quieter ones less: codecs are careless with them."""

_PICTURE_WEIGHT = 0.6
"""Of the picture in the distance: frames of another phase differ on steep slopes, spectra do not."""

_ONSET_DB = -25.0
"""Below the loudest frame: sound begins and ends there."""

_MAX_SHIFT = 3
_SLACK_SECONDS, _SLACK_SHARE = 0.3, 0.03
"""By how much two lengths may differ, at least and as a share."""

_NUM_GROUPS = 9
_NUM_NEIGHBOURS = 24
_GROUP_RADIUS = _NUM_GROUPS * MAX_DISTANCE_DB / _STEP_DB
_PAIRS_AT_ONCE = 20_000


class Fingerprinter:
    """Takes a sound in blocks of mono samples and makes its fingerprint."""

    def __init__(self, sample_rate_hz: int) -> None:
        import numpy as np

        self._factor = max(1, round(sample_rate_hz / _TARGET_RATE_HZ))
        self._rate = sample_rate_hz / self._factor
        self._size = 1 << max(5, round(math.log2(0.14 * self._rate)))
        self._hop = max(1, round(_HOP_SECONDS * self._rate))
        self._window = np.hanning(self._size).astype(np.float32)
        self._long_window = np.sin(np.pi * (np.arange(_LONG_SIZE) + 0.5) / _LONG_SIZE).astype(np.float32)
        self._edges = np.geomspace(_BAND_LOW_HZ, _BAND_HIGH_HZ, _NUM_BANDS + 1) * self._size / self._rate
        self._odd = np.zeros(0, np.float32)
        self._rest = np.zeros(self._size, np.float32)
        self._long_rest = np.zeros(_LONG_SIZE // 2, np.float32)
        self._frames: list[NDArray[np.float32]] = []
        self._long = np.zeros(_LONG_SIZE // 2 + 1)

    def feed(self, mono_N: NDArray[np.float32]) -> None:
        """Take the next samples."""
        import numpy as np

        if len(self._odd):
            mono_N = np.concatenate([self._odd, mono_N])
        whole = len(mono_N) - len(mono_N) % self._factor
        self._odd = mono_N[whole:]
        slow = mono_N[:whole].reshape(-1, self._factor).mean(axis=1) if self._factor > 1 else mono_N
        self._take(slow)

    def finish(self) -> bytes:
        """Return the fingerprint; empty for a clip without sound."""
        import numpy as np

        # Windows overlap so that their squares add up to 1 everywhere, the ends included.
        self._take(np.zeros(_LONG_SIZE, np.float32))
        powers_TB = np.concatenate(self._frames) if self._frames else np.zeros((1, _NUM_BANDS), np.float32)
        loudness = powers_TB.sum(axis=1)
        if loudness.max() <= 0:
            return b""
        sounding = np.flatnonzero(loudness > loudness.max() * 10 ** (_ONSET_DB / 10))
        milliseconds = int((sounding[-1] - sounding[0] + 1) * self._hop / self._rate * 1000)
        start = int(sounding[0])
        picture = np.zeros((_NUM_FRAMES, _NUM_BANDS), np.float32)
        part = powers_TB[start : start + _NUM_FRAMES]
        picture[: len(part)] = part
        top_hz = _LOW_HZ * 2 ** (_NUM_PITCHES / 24)
        edges = np.geomspace(_LOW_HZ, top_hz, _NUM_PITCHES + 1) * _LONG_SIZE / self._rate
        spectrum = _bands(self._long[None], edges)[0]
        body = _pack(np.concatenate([_levels(spectrum), _levels(picture).ravel()]))
        return _HEAD.pack(_VERSION, min(milliseconds, 0xFFFFFFFF)) + body

    def _take(self, slow_N: NDArray[np.float32]) -> None:
        import numpy as np

        samples, views = _windows(self._rest, slow_N, self._size, self._hop)
        self._rest = samples
        if len(views):
            self._frames.append(_bands(self._power(views, self._window), self._edges).astype(np.float32))
        self._long_rest, views = _windows(self._long_rest, slow_N, _LONG_SIZE, _LONG_SIZE // 2)
        if len(views):
            self._long += self._power(views, self._long_window).sum(axis=0)

    @staticmethod
    def _power(frames_TN: NDArray[np.float32], window_N: NDArray[np.float32]) -> NDArray[np.float32]:
        import numpy as np
        from scipy.fft import rfft

        spectra = rfft(frames_TN * window_N, axis=1)
        power: NDArray[np.float32] = np.square(spectra.real) + np.square(spectra.imag)
        return power


def distance_db(first: bytes, second: bytes) -> float:
    """Return how far two fingerprints are apart; infinite where one is missing or the lengths do not fit."""
    return float(distances_db(first, [second])[0])


def distances_db(fingerprint: bytes, others: Sequence[bytes]) -> NDArray[np.float32]:
    """Return the distance of one fingerprint to each of the others, some 100,000 a second."""
    import numpy as np

    found = np.full(len(others), np.inf, np.float32)
    usable = [at for at, other in enumerate(others) if len(other) == NUM_BYTES and other[0] == _VERSION]
    if len(fingerprint) != NUM_BYTES or not usable:
        return found
    for start in range(0, len(usable), _PAIRS_AT_ONCE):
        some = usable[start : start + _PAIRS_AT_ONCE]
        packed = np.frombuffer(b"".join(others[at] for at in some), np.uint8).reshape(-1, NUM_BYTES)
        mine = np.frombuffer(fingerprint, np.uint8)[None]
        found[some] = _compare(np.broadcast_to(mine, packed.shape), packed)
    return found


def near_duplicates(
    fingerprints: Sequence[bytes], max_distance_db: float = MAX_DISTANCE_DB
) -> list[tuple[int, int, float]]:
    """Return pairs (position, position, distance in dB) of clips that sound the same.

    Equal fingerprints form a chain of pairs rather than all pairs, and each fingerprint is compared only with
    the nearest of a tree over coarse spectrum and length, so that the time stays in proportion to the clips.
    """
    import numpy as np
    from scipy.spatial import cKDTree

    pairs: list[tuple[int, int, float]] = []
    first_at: dict[bytes, int] = {}
    for position, fingerprint in enumerate(fingerprints):
        if len(fingerprint) != NUM_BYTES or fingerprint[0] != _VERSION:
            continue
        known = first_at.setdefault(fingerprint, position)
        if known != position:
            pairs.append((known, position, 0.0))
    if len(first_at) < 2:
        return pairs
    positions = np.fromiter(first_at.values(), np.int64)
    packed = np.frombuffer(b"".join(first_at), np.uint8).reshape(-1, NUM_BYTES)
    features = _coarse(packed)
    tree = cKDTree(features)
    num_neighbours = min(_NUM_NEIGHBOURS, len(positions))
    _, near = tree.query(features, k=num_neighbours, p=1, distance_upper_bound=_GROUP_RADIUS, workers=1)
    rows = np.repeat(np.arange(len(positions)), num_neighbours)
    columns = near.ravel()
    wanted = (columns < len(positions)) & (columns != rows)
    candidates = np.unique(np.sort(np.stack([rows[wanted], columns[wanted]], axis=1), axis=1), axis=0)
    for start in range(0, len(candidates), _PAIRS_AT_ONCE):
        some = candidates[start : start + _PAIRS_AT_ONCE]
        found = _compare(packed[some[:, 0]], packed[some[:, 1]])
        for at in np.flatnonzero(found <= max_distance_db):
            one, other = sorted((int(positions[some[at, 0]]), int(positions[some[at, 1]])))
            pairs.append((one, other, float(found[at])))
    return sorted(pairs)


def _compare(first_PK: NDArray[np.uint8], second_PK: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the distance of each of P pairs of packed fingerprints."""
    import numpy as np

    lengths_1, lengths_2 = _milliseconds(first_PK), _milliseconds(second_PK)
    slack = 1000 * _SLACK_SECONDS + _SLACK_SHARE * np.maximum(lengths_1, lengths_2)
    levels_1, levels_2 = _unpack(first_PK), _unpack(second_PK)
    spectrum = _difference(levels_1[:, :_NUM_PITCHES], levels_2[:, :_NUM_PITCHES])
    shape = (-1, _NUM_FRAMES, _NUM_BANDS)
    pictures_1 = levels_1[:, _NUM_PITCHES:].reshape(shape)
    pictures_2 = levels_2[:, _NUM_PITCHES:].reshape(shape)
    between_1, between_2 = _between_frames(pictures_1), _between_frames(pictures_2)
    best = np.full(len(first_PK), np.inf, np.float32)
    for shift in range(-_MAX_SHIFT, _MAX_SHIFT + 1):
        best = np.minimum(best, _shifted_difference(pictures_1, pictures_2, shift))
        # Half a frame in between, on whichever side.
        best = np.minimum(best, _shifted_difference(pictures_1, between_2, shift))
        best = np.minimum(best, _shifted_difference(between_1, pictures_2, shift))
    distances: NDArray[np.float32] = np.maximum(_PICTURE_WEIGHT * best, spectrum)
    distances[np.abs(lengths_1 - lengths_2) > slack] = np.inf
    return distances


def _between_frames(picture_PTB: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what a picture would hold half a frame later."""
    import numpy as np

    later = np.concatenate([picture_PTB[:, 1:], picture_PTB[:, -1:]], axis=1)
    between: NDArray[np.uint8] = (picture_PTB + later + 1) // 2
    return between


def _shifted_difference(first_PTB: NDArray[np.uint8], second_PTB: NDArray[np.uint8], shift: int) -> NDArray[np.float32]:
    early = first_PTB[:, max(0, shift) : _NUM_FRAMES + min(0, shift)]
    late = second_PTB[:, max(0, -shift) : _NUM_FRAMES + min(0, -shift)]
    return _difference(early.reshape(len(early), -1), late.reshape(len(late), -1))


def _difference(first_PK: NDArray[np.uint8], second_PK: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean difference in dB over K cells, weighted by the louder of the two."""
    import numpy as np

    louder = np.maximum(first_PK, second_PK)
    apart = louder - np.minimum(first_PK, second_PK)
    weights = np.minimum(louder, _FULL_WEIGHT_LEVEL).astype(np.float32)
    weighted = np.einsum("pk,pk->p", weights, apart.astype(np.float32))
    total = weights.sum(axis=1)
    apart_db: NDArray[np.float32] = _STEP_DB * weighted / np.maximum(total, 1)
    return apart_db


def _coarse(packed_NK: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return features whose L1 distance hardly exceeds _GROUP_RADIUS for near duplicates."""
    import numpy as np

    spectrum = _unpack_part(packed_NK, _NUM_PITCHES)
    groups = spectrum.reshape(len(packed_NK), _NUM_GROUPS, -1).mean(axis=2, dtype=np.float32)
    lengths = _milliseconds(packed_NK)
    # Lengths that differ by the slack come out a fifth of the radius apart.
    scale = 0.2 * _GROUP_RADIUS / math.log1p(_SLACK_SHARE)
    by_length = scale * np.log(lengths / 1000 + _SLACK_SECONDS / _SLACK_SHARE)
    features: NDArray[np.float32] = np.concatenate([groups, by_length[:, None]], axis=1).astype(np.float32)
    return features


def _windows(
    rest_N: NDArray[np.float32], more_N: NDArray[np.float32], size: int, hop: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the samples that wait for more, and the windows [windows, size] that are complete."""
    import numpy as np

    samples = np.concatenate([rest_N, more_N])
    num_windows = max(0, (len(samples) - size) // hop + 1)
    if not num_windows:
        return samples, np.zeros((0, size), np.float32)
    views = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop][:num_windows]
    return samples[num_windows * hop :], views


def _bands(power_TF: NDArray[np.floating[Any]], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power between neighbouring edges, given in bins; narrow bands share a bin in proportion."""
    import numpy as np

    sums = np.concatenate([np.zeros((len(power_TF), 1)), np.cumsum(power_TF, axis=1, dtype=np.float64)], axis=1)
    at = np.clip(edges + 0.5, 0, power_TF.shape[1])
    low = np.minimum(at.astype(np.int64), power_TF.shape[1] - 1)
    share = at - low
    until = sums[:, low] * (1 - share) + sums[:, low + 1] * share
    return np.asarray(np.diff(until, axis=1))


def _levels(powers: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return steps of 3 dB above the floor, 15 for the loudest cell."""
    import numpy as np

    relative = 10 * np.log10(np.maximum(powers / powers.max(), 1e-12))
    levels: NDArray[np.uint8] = np.clip(np.rint(_NUM_LEVELS + relative / _STEP_DB), 0, _NUM_LEVELS).astype(np.uint8)
    return levels


def _pack(levels: NDArray[np.uint8]) -> bytes:
    return bytes(levels[0::2] << 4 | levels[1::2])


def _unpack(packed_PK: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _unpack_part(packed_PK, _NUM_PITCHES + _NUM_FRAMES * _NUM_BANDS)


def _unpack_part(packed_PK: NDArray[np.uint8], num_cells: int) -> NDArray[np.uint8]:
    import numpy as np

    body = packed_PK[:, _HEAD.size : _HEAD.size + num_cells // 2]
    cells: NDArray[np.uint8] = np.stack([body >> 4, body & 15], axis=2).reshape(len(packed_PK), -1)
    return cells


def _milliseconds(packed_PK: NDArray[np.uint8]) -> NDArray[np.float64]:
    import numpy as np

    lengths: NDArray[np.float64] = np.ascontiguousarray(packed_PK[:, 1:5]).view("<u4")[:, 0].astype(np.float64)
    return lengths
