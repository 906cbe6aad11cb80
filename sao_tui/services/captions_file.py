"""metadata.jsonl as last read: an index of its lines, brought up to date with what other programs write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sao_tui.core.errors import SaoError
from sao_tui.services.captions_index import LineIndex, text_hash, text_hashes
from sao_tui.services.captions_lines import BadLineError, parse_line, record_relpath
from sao_tui.services.captions_reading import LineBatch, LineReader

SMALL_BYTES = 1 << 20
"""Up to this size the whole file is replaced at each edit; a larger one has new lines appended."""
_PROBE_BYTES = 4096
_MAX_CHANGES = 20_000
_MAX_TAIL_BYTES = 1 << 23
_NO_LINE = (-1, b"", None)
_NO_TEXT = text_hash("")

Signature = tuple[int, int, int]
"""Time of modification in ns, bytes, inode."""


class StaleFileError(Exception):
    """Another program has changed the file since it was read: read it again."""


class MetadataFile:
    """One metadata.jsonl as last read. Not safe to use from several threads; writers hold `lock_folder`."""

    def __init__(self, path: Path, dataset_folder: Path) -> None:
        """Read nothing yet."""
        self._metadata_file = path
        self.folder = os.fspath(dataset_folder)
        """The dataset folder."""
        self._reader: LineReader | None = None
        self._index = LineIndex(self._relpath_at)
        self._num_records = 0
        self._signature: Signature | None = None
        self._is_read = False
        self._probes: tuple[bytes, bytes] = (b"", b"")
        self._end = 0
        self._torn = b""
        self._was_cut = False
        self._last: tuple[int, bytes, dict[str, Any] | None] = _NO_LINE
        self.changes: dict[str, str] = {}
        """Captions that another program has written, by relpath; emptied by whoever has taken them in."""
        self.all_changed = True
        """Whether any caption may have changed, more than `changes` tells."""
        self.before_reading: Callable[[], None] = _do_nothing
        """Called before what is known gives way to what another program has written."""

    @property
    def path(self) -> Path:
        """metadata.jsonl, or the file that it links to: replacing a link would cut it."""
        return self._metadata_file.resolve() if self._metadata_file.is_symlink() else self._metadata_file

    @property
    def is_read(self) -> bool:
        """Whether it has been read at all."""
        return self._is_read

    @property
    def is_large(self) -> bool:
        """Whether few new lines are appended."""
        return self._end > SMALL_BYTES

    @property
    def torn(self) -> bytes:
        """Half a line at the end of a large file: what a crash has left of an edit that was never acknowledged."""
        return self._torn

    @property
    def superseded(self) -> Sequence[int]:
        """Offsets of lines whose clip has a later one."""
        return self._index.superseded

    @property
    def looks_half_written(self) -> bool:
        """Whether it ends in half a line, or has been cut shorter in its place, as at the beginning of a save."""
        return bool(self._torn) or self._was_cut

    @property
    def signature(self) -> Signature | None:
        """What the file was when it was last read, None when there was none."""
        return self._signature

    @property
    def end(self) -> int:
        """Bytes of whole lines."""
        return self._end

    @property
    def ends_line(self) -> bool:
        """Whether the last line has its newline."""
        return not self._end or self._probes[1].endswith(b"\n")

    def __len__(self) -> int:
        """Return how many clips have a line."""
        return len(self._index)

    def is_current(self) -> bool:
        """Return whether the file on the disk is the one last read or written.

        Raises:
            SaoError: It cannot be looked at.
        """
        return self._is_read and file_signature(self.path) == self._signature

    def close(self) -> None:
        """Let go of the file; the next question reads it again."""
        if self._reader is not None:
            self._reader.close()
        self._reader, self._is_read, self._signature, self._last = None, False, None, _NO_LINE
        self._index = LineIndex(self._relpath_at)
        self._end, self._torn, self._num_records = 0, b"", 0
        self.all_changed = True

    # Reading.

    def refresh(self, *, anew: bool = False, own: Signature | None = None) -> None:
        """Read what has changed: lines at the end alone, or the whole of another file.

        Args:
            anew: The index has turned out to be wrong: read everything.
            own: The file as we have just written it: that change is not told in `changes`.

        Raises:
            SaoError: It cannot be read, or names the line that is no JSON object.
        """
        if not anew and self.is_current():
            return
        path = self.path
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._forget()
            return
        except OSError as error:
            raise cannot_read(path, error) from error
        reader = LineReader(descriptor, str(path), self.folder)
        try:
            signature = signature_of(os.fstat(descriptor))
            is_own = signature == own
            if not is_own:
                self.before_reading()
            if anew or not self._is_extended(reader, signature):
                self._read_all(reader, signature, own=is_own)
            else:
                self._read_on(reader, signature, own=is_own)
        except OSError as error:
            reader.close()
            raise cannot_read(path, error) from error
        except BaseException:
            reader.close()
            raise

    def text_hash(self, relpath: str) -> int:
        """Return what is remembered of a clip's caption as last read."""
        hashed = self._index.text_hash(relpath)
        return _NO_TEXT if hashed is None else hashed

    def record(self, relpath: str) -> dict[str, Any] | None:
        """Return all keys of a clip's line, None where it has none.

        Raises:
            StaleFileError: The file is not what it was when it was read.
        """
        offset = self._index.offset(relpath)
        return None if offset is None else dict(self.parsed(offset))

    def offset(self, relpath: str) -> int | None:
        """Return where a clip's line begins, None where it has none.

        Raises:
            StaleFileError: The file is not what it was when it was read.
        """
        return self._index.offset(relpath)

    def texts(self) -> Iterator[tuple[str, str]]:
        """Return an iterator over relpaths and captions as the file is now; it holds on to this very file.

        Raises:
            SaoError: While iterating: another program has made the file unreadable.
        """
        if self._reader is None:
            return iter(())
        reader = LineReader(os.dup(self._reader.descriptor), str(self.path), self.folder)
        return _texts(reader, self._end, set(self._index.superseded))

    def line(self, offset: int) -> bytes:
        """Return the line that begins at `offset`, with its newline."""
        if self._last[0] != offset:
            line = self._reader.line(offset, self._end) if self._reader is not None else b""
            self._last = (offset, line, None)
        return self._last[1]

    def parsed(self, offset: int) -> dict[str, Any]:
        """Return the object in the line that begins at `offset`; it is not the caller's to change.

        Raises:
            StaleFileError: It is not a line that was there when the file was read.
        """
        line = self.line(offset)
        record = self._last[2]
        if record is None:
            try:
                record = parse_line(line)
            except BadLineError as error:
                raise StaleFileError(str(error)) from error
            self._last = (offset, line, record)
        return record

    def _relpath_at(self, offset: int) -> str | None:
        return record_relpath(self.parsed(offset), self.folder)

    def _forget(self) -> None:
        """Know of no line: there is no file."""
        self.before_reading()
        all_changed = self.all_changed or bool(self._index)
        self.close()
        self._is_read, self.all_changed = True, all_changed

    def _is_extended(self, reader: LineReader, signature: Signature) -> bool:
        """Return whether the file is the one last read with more lines after it.

        Only its two ends are looked at: whatever else has changed is noticed when its line is read.
        """
        known = self._signature
        if not self._is_read or known is None or self._torn or signature[2] != known[2]:
            return False
        if not 0 <= signature[1] - known[1] <= _MAX_TAIL_BYTES:
            return False
        return self._end == known[1] and self._probes == _probes(reader, self._end) and self._probes[1].endswith(b"\n")

    def _read_all(self, reader: LineReader, signature: Signature, *, own: bool) -> None:
        before, compare = self._index, self._is_read and not own
        index = LineIndex(self._relpath_at)
        old = self._reader, self._end, self._torn, self._num_records
        self._reader, self._num_records, self._last = reader, 0, _NO_LINE
        known = self._signature
        self._find_end(signature[1])
        try:
            num_known = self._take(index, reader.batches(0, self._end), before if compare else None)
            self._refuse_other_convention(index)
        except BaseException:
            self._reader, self._end, self._torn, self._num_records = old
            raise
        if old[0] is not None:
            old[0].close()
        self._index = index
        if not own:
            is_complete = compare and num_known - len(index.superseded) >= len(before)
            self.all_changed = self.all_changed or not is_complete
        self._was_cut = not own and known is not None and signature[2] == known[2] and signature[1] < known[1]
        self._note_state(signature)

    def _read_on(self, reader: LineReader, signature: Signature, *, own: bool) -> None:
        old, start = (self._reader, self._end, self._torn), self._end
        self._reader, self._was_cut, self._last = reader, False, _NO_LINE
        try:
            self._find_end(signature[1])
            batches = list(reader.batches(start, self._end))  # All of them are good before one is taken.
        except BaseException:
            self._reader, self._end, self._torn = old
            raise
        if old[0] is not None:
            old[0].close()
        self._take(self._index, batches, None if own else self._index)
        self._note_state(signature)

    def _take(self, index: LineIndex, batches: Iterable[LineBatch], before: LineIndex | None) -> int:
        """Put lines into `index`, note what differs from `before`, and return how many are of clips known there."""
        num_known = 0
        for batch in batches:
            hashes = text_hashes(batch.texts)
            if not index:
                index.reserve(len(batch.relpaths) * self._end // batch.num_bytes)
            if before is not None and not self.all_changed:
                num_known += self._compare(batch, hashes, before)
            try:
                index.add(batch.relpaths, batch.offsets, hashes)
            except StaleFileError as error:
                raise SaoError(f"{self.path} changes while it is read.", "Try again once it is written.") from error
            self._num_records += batch.num_records
        return num_known

    def _compare(self, batch: LineBatch, hashes: list[int], before: LineIndex) -> int:
        num_known = 0
        for relpath, text, hashed in zip(batch.relpaths, batch.texts, hashes, strict=True):
            known = before.text_hash(relpath)
            num_known += known is not None
            if (_NO_TEXT if known is None else known) != hashed:
                self.changes[relpath] = text
        if len(self.changes) > _MAX_CHANGES:
            self.all_changed = True
            self.changes.clear()
        return num_known

    def _find_end(self, num_bytes: int) -> None:
        """Leave half a line at the end of a large file out: appending is all that can have been cut off."""
        assert self._reader is not None  # noqa: S101
        self._end, self._torn = num_bytes, b""
        if not self.is_large or self._reader.block(num_bytes - 1, num_bytes) == b"\n":
            return
        start, tail = num_bytes, b""
        while start and b"\n" not in tail:
            start = max(0, start - _PROBE_BYTES)
            tail = self._reader.block(start, num_bytes)
        tail = tail[tail.rfind(b"\n") + 1 :]
        try:
            parse_line(tail)
        except BadLineError:
            self._torn, self._end = tail, num_bytes - len(tail)

    def _note_state(self, signature: Signature) -> None:
        assert self._reader is not None  # noqa: S101
        self._signature, self._is_read, self._last = signature, True, _NO_LINE
        self._probes = _probes(self._reader, self._end)

    def _refuse_other_convention(self, index: LineIndex) -> None:
        if self._num_records and not index:
            raise SaoError(
                f"{self.path} names no clip: none of its {self._num_records} lines has an `audio_path`.",
                'Each line needs the clip relative to the dataset folder: {"audio_path": "kick.wav", "text": "…"}.',
            )


def file_signature(path: Path) -> Signature | None:
    """Return what tells one state of a file from another, None when there is no file.

    Raises:
        SaoError: It cannot be looked at.
    """
    try:
        return signature_of(os.stat(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot_read(path, error) from error


def signature_of(status: os.stat_result) -> Signature:
    """Return what tells one state of a file from another."""
    return status.st_mtime_ns, status.st_size, status.st_ino


def cannot_read(path: Path, error: OSError) -> SaoError:
    """Return the error to show for a file that cannot be read."""
    return SaoError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.")


def _probes(reader: LineReader, end: int) -> tuple[bytes, bytes]:
    return reader.block(0, min(end, _PROBE_BYTES)), reader.block(max(0, end - _PROBE_BYTES), end)


def _texts(reader: LineReader, end: int, superseded: set[int]) -> Iterator[tuple[str, str]]:
    try:
        for batch in reader.batches(0, end):
            for relpath, offset, text in zip(batch.relpaths, batch.offsets, batch.texts, strict=True):
                if text and offset not in superseded:
                    yield relpath, text
    finally:
        reader.close()


def _do_nothing() -> None:
    pass
