"""Sound files: what they are, their samples, and their outline for a waveform.

numpy, soundfile and miniaudio are imported when the first file needs them; wav headers never do.
"""

from __future__ import annotations

import array
import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sao_tui.core.errors import SaoError
from sao_tui.services.riff import AudioInfo, read_wav_header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "READABLE_SUFFIXES",
    "UNREADABLE_SUFFIXES",
    "AudioInfo",
    "Sound",
    "UnreadableClipError",
    "mix",
    "open_sound",
    "peaks",
    "probe",
    "read_audio",
]

READABLE_SUFFIXES = frozenset({".wav", ".mp3", ".flac", ".ogg", ".aif", ".opus"})
"""What stable-audio-tools looks for in a dataset folder."""

UNREADABLE_SUFFIXES = frozenset({".m4a", ".aiff", ".aac", ".webm", ".wma"})
"""Sound that stable-audio-tools passes over without a word."""

_BLOCK_FRAMES = 1 << 20
_MP3_FRAMES = 1 << 16

_PEAKS_HEADER = struct.Struct("<qqi")


class UnreadableClipError(SaoError):
    """A sound file cannot be read."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        """Name the file and say why, in words that follow "cannot read it:"."""
        super().__init__(
            f"Cannot read {os.fspath(path)}: {reason}.",
            "Replace the file with a sound one, convert it to wav, or move it out of the dataset.",
        )
        self.reason = reason


def probe(path: Path) -> AudioInfo:
    """Return length and format of a sound file from its header.

    Raises:
        UnreadableClipError: It is missing, damaged, or of a kind that stable-audio-tools cannot read.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix in UNREADABLE_SUFFIXES:
        raise UnreadableClipError(path, f"stable-audio-tools cannot read {suffix} files; convert it to wav")
    try:
        info = read_wav_header(path) if suffix == ".wav" else None
        return info or _probe_with_library(path)
    except OSError as error:
        raise UnreadableClipError(path, _reason(error)) from error
    except ValueError as error:
        raise UnreadableClipError(path, str(error)) from error


def read_audio(path: Path) -> tuple[NDArray[np.float32], int]:
    """Return a file's samples as float32 [channels, frames], and its sample rate in Hz.

    Raises:
        UnreadableClipError: It is missing or damaged.
    """
    import numpy as np

    with open_sound(path) as sound:
        return np.ascontiguousarray(sound.read(-1).T), sound.sample_rate_hz


def peaks(path: Path, columns: int, cache_folder: Path | None = None) -> list[tuple[float, float]]:
    """Return lowest and highest sample of the mono mix in each of `columns` equal spans.

    Args:
        cache_folder: A workspace's cache_folder, to keep the result for the next time.

    Raises:
        UnreadableClipError: The file is missing or damaged.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise UnreadableClipError(path, _reason(error)) from error
    header = _PEAKS_HEADER.pack(status.st_size, status.st_mtime_ns, columns)
    cached = None
    if cache_folder is not None:
        digest = hashlib.blake2b(os.fsencode(os.path.abspath(path)), digest_size=16).hexdigest()
        cached = cache_folder / "peaks" / digest
    values = _load_peaks(cached, header) if cached else None
    if values is None:
        values = _compute_peaks(path, columns)
        if cached:
            _save_peaks(cached, header, values)
    return list(zip(values[::2], values[1::2], strict=True))


def _compute_peaks(path: Path, columns: int) -> array.array[float]:
    """Read in blocks of whole columns, so that an hour of sound needs no more memory than a minute."""
    import numpy as np

    values = np.zeros((columns, 2), dtype=np.float32)
    with open_sound(path) as sound:
        starts = np.arange(columns + 1, dtype=np.int64) * sound.frames // columns
        column = 0
        while column < columns and sound.frames > 0:
            fitting = int(np.searchsorted(starts, starts[column] + _BLOCK_FRAMES, side="right")) - 1
            end = min(max(fitting, column + 1), columns)
            mono = mix(sound.read(int(starts[end] - starts[column])), int(starts[end] - starts[column]))
            inside = starts[column:end] - starts[column]
            values[column:end, 0] = np.minimum.reduceat(mono, inside)
            values[column:end, 1] = np.maximum.reduceat(mono, inside)
            column = end
    return array.array("f", values.tobytes())


def mix(frames_NC: NDArray[np.float32], num_frames: int) -> NDArray[np.float32]:
    """Return the mean over channels, with silence for frames that the header promised and the file lacks."""
    import numpy as np

    # Channel by channel: a mean over the short axis is ten times slower.
    mono = frames_NC[:, 0].copy()
    for channel in range(1, frames_NC.shape[1]):
        mono += frames_NC[:, channel]
    mono /= frames_NC.shape[1]
    return mono if len(mono) == num_frames else np.pad(mono, (0, num_frames - len(mono)))


def _load_peaks(cached: Path, header: bytes) -> array.array[float] | None:
    try:
        data = cached.read_bytes()
    except OSError:
        return None
    values = array.array("f")
    columns = _PEAKS_HEADER.unpack(header)[2]
    if not data.startswith(header) or len(data) != len(header) + 8 * columns:
        return None
    values.frombytes(data[len(header) :])
    return values


def _save_peaks(cached: Path, header: bytes, values: array.array[float]) -> None:
    from sao_tui.core.files import write_atomically

    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(cached, header + values.tobytes(), durable=False)
    except OSError:
        # A cache that cannot be written only costs time.
        pass


def _probe_with_library(path: Path) -> AudioInfo:
    with open_sound(path) as sound:
        if sound.frames <= 0 or sound.sample_rate_hz <= 0:
            raise ValueError("it has no samples")
        seconds = sound.frames / sound.sample_rate_hz
        return AudioInfo(seconds, sound.sample_rate_hz, sound.num_channels, sound.frames, sound.codec)


def open_sound(path: Path) -> Sound:
    """Open a sound file to be read in blocks, with the library that suits.

    Raises:
        UnreadableClipError: It is missing, damaged or no sound; reading may raise it too.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(3)
    except OSError as error:
        raise UnreadableClipError(path, _reason(error)) from error
    if not start:
        raise UnreadableClipError(path, "the file is empty")
    is_mp3 = start == b"ID3" or (start[0] == 0xFF and start[1:2] >= b"\xe0")
    return _Mp3(path) if is_mp3 or os.path.splitext(path)[1].lower() == ".mp3" else _LibrarySound(path)


class Sound(Protocol):
    """An open sound file."""

    frames: int
    """What its header promises; the file may hold fewer."""
    sample_rate_hz: int
    num_channels: int
    codec: str
    """Container and sample format, such as `wav pcm_16`."""

    def read(self, num_frames: int) -> NDArray[np.float32]:
        """Return the next frames, all that are left for -1, as [frames, channels]; fewer at the end."""

    def seek(self, frame: int) -> None:
        """Make `frame` the next one to be read."""

    def __enter__(self) -> Sound: ...

    def __exit__(self, *_: object) -> None: ...


class _LibrarySound:
    """Any format but mp3, by libsndfile."""

    def __init__(self, path: Path) -> None:
        import soundfile

        self._path = path
        try:
            # Bytes: soundfile encodes text strictly, and file names need not be UTF-8.
            self._file: Any = soundfile.SoundFile(os.fsencode(path))
        except (soundfile.SoundFileError, OSError, TypeError) as error:
            raise UnreadableClipError(path, _library_reason(error)) from error
        self.frames = int(self._file.frames)
        self.sample_rate_hz = int(self._file.samplerate)
        self.num_channels = int(self._file.channels)
        self.codec = f"{self._file.format} {self._file.subtype}".lower()

    def read(self, num_frames: int) -> NDArray[np.float32]:
        import soundfile

        try:
            frames_NC: NDArray[np.float32] = self._file.read(num_frames, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, OSError, MemoryError) as error:
            raise UnreadableClipError(self._path, _library_reason(error)) from error
        return frames_NC

    def seek(self, frame: int) -> None:
        import soundfile

        try:
            self._file.seek(frame)
        except (soundfile.SoundFileError, OSError) as error:
            raise UnreadableClipError(self._path, _library_reason(error)) from error

    def __enter__(self) -> _LibrarySound:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class _Mp3:
    """An mp3 by miniaudio: libsndfile's decoder writes notes to descriptor 2, over the dashboard."""

    def __init__(self, path: Path) -> None:
        import miniaudio

        self._path = path
        try:
            # Data instead of the name, which miniaudio wants in UTF-8.
            self._data = path.read_bytes()
            info = miniaudio.mp3_get_info(self._data)
        except (miniaudio.MiniaudioError, OSError, ZeroDivisionError) as error:
            raise UnreadableClipError(path, _library_reason(error)) from error
        self.frames = int(info.num_frames)
        self.sample_rate_hz = int(info.sample_rate)
        self.num_channels = int(info.nchannels)
        self.codec = "mp3 mpeg_layer_iii"
        self._blocks: Iterator[NDArray[np.float32]] | None = None
        self._rest: NDArray[np.float32] | None = None

    def read(self, num_frames: int) -> NDArray[np.float32]:
        import numpy as np

        if self._blocks is None:
            self._blocks = self._decode()
        parts = [] if self._rest is None else [self._rest]
        held = sum(map(len, parts))
        while num_frames < 0 or held < num_frames:
            block = next(self._blocks, None)
            if block is None:
                break
            parts.append(block)
            held += len(block)
        frames_NC = np.concatenate(parts) if parts else np.zeros((0, self.num_channels), np.float32)
        end = len(frames_NC) if num_frames < 0 else num_frames
        frames_NC, self._rest = frames_NC[:end], frames_NC[end:]
        return frames_NC

    def seek(self, frame: int) -> None:
        self._blocks = self._rest = None
        # The decoder only goes forwards, some 500 times as fast as the sound.
        while frame > 0 and (passed := len(self.read(min(frame, _MP3_FRAMES)))):
            frame -= passed

    def _decode(self) -> Iterator[NDArray[np.float32]]:
        """Decode block by block: an hour of stereo would be 1.3 GB at once."""
        import miniaudio
        import numpy as np

        form = miniaudio.SampleFormat.FLOAT32
        try:
            yield from (
                np.frombuffer(block, dtype=np.float32).reshape(-1, self.num_channels)
                for block in miniaudio.stream_memory(
                    self._data, form, self.num_channels, self.sample_rate_hz, _MP3_FRAMES
                )
            )
        except miniaudio.MiniaudioError as error:
            raise UnreadableClipError(self._path, _library_reason(error)) from error

    def __enter__(self) -> _Mp3:
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks = self._rest = None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _library_reason(error: BaseException) -> str:
    said = getattr(error, "error_string", None) or str(error) or type(error).__name__
    return f"it is damaged or no sound file ({said.strip().rstrip('.')})"
