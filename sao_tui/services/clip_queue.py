"""Found files on their way into the clip index: read and written in batches, in the order of their paths."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import repeat
from typing import TYPE_CHECKING

from sao_tui.services.clip_headers import Header, HeaderReader, is_unsupported
from sao_tui.services.clip_texts import index_words_until
from sao_tui.services.clip_walk import FoundFile, FoundFolder
from sao_tui.services.clip_writes import ClipWriter, FolderNote, FoundClips
from sao_tui.services.clips_database import ClipsDatabase
from sao_tui.services.header_process import HeaderProcess, Request

if TYPE_CHECKING:
    from types import TracebackType

_FIRST_BATCH = 500
"""Small, so that the table shows something at once."""
_BATCH = 8_000
_FOR_A_CHILD = 1_000
"""Files in a batch that are worth the start of a process."""
_MAX_HELD = 50_000
"""Files that wait for the folders whose paths come before theirs; with more of them the order gives way."""


class ClipQueue:
    """What a scan has found and not written yet."""

    def __init__(self, database: ClipsDatabase, writer: ClipWriter, root: str) -> None:
        """Take where words are written, who writes the rest, and the dataset folder."""
        self._writer = writer
        self._words = _WordsBehind(database)
        self._headers = HeaderReader(root)
        self._child = HeaderProcess(root)
        self._walker = HeaderProcess(root)
        self._asked: list[FoundClips | FolderNote] = []
        self._waiting: list[FoundClips | FolderNote] = []
        self._num_waiting = 0
        self._batch = min(_FIRST_BATCH, _BATCH)
        self._held: list[tuple[bytes, bytes, FoundFile, Header | None]] = []
        self._held_notes: list[FolderNote] = []
        self._failing: set[bytes] = set()
        self.num_written = 0

    def __enter__(self) -> ClipQueue:
        """Begin."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """End what reads headers, and drop what was kept for writing."""
        self._headers.close()
        self._child.close()
        self._walker.close()
        self._words.close()
        self._writer.close()

    def add(self, item: FoundClips | FolderNote) -> None:
        """Put something at the end."""
        if isinstance(item, FolderNote):
            self._waiting.append(item)
            return
        for start in range(0, len(item.files), _BATCH):
            end = start + _BATCH
            headers = None if item.headers is None else item.headers[start:end]
            self._waiting.append(FoundClips(item.folder, item.files[start:end], item.ids[start:end], headers))
        self._num_waiting += len(item.files)

    def walk(self) -> Iterator[tuple[FoundFolder, list[Header]]]:
        """Have a child list all folders and read all headers; see HeaderProcess.walk."""
        return self._walker.walk()

    def summarise(self, folders: Sequence[bytes]) -> Callable[[bytes], FoundFolder | None]:
        """Have a child list some folders meanwhile; see HeaderProcess.summarise."""
        return self._walker.summarise(folders)

    def add_new_folder(self, found: FoundFolder, headers: Sequence[Header] | None, note: FolderNote) -> None:
        """Put a folder of a first scan in such a place that clips come in the order of their paths."""
        self._release(found.prefix)
        self.add(FolderNote(note.relpath, b"", note.num_clips))
        if found.folders and len(self._held) + len(found.files) <= _MAX_HELD:
            for file, header in zip(found.files, headers or repeat(None), strict=False):
                heapq.heappush(self._held, (found.prefix + file[0], found.relpath, file, header))
            self._held_notes.append(note)
        else:
            self.add(FoundClips(found.relpath, found.files, [0] * len(found.files), headers))
            self.add(note)

    def flush(self, tell: Callable[[], None], stops: Callable[[], bool]) -> None:
        """Write while there is enough for a batch."""
        while self._num_waiting >= self._batch and not stops():
            self._turn()
            tell()

    def finish(self, stops: Callable[[], bool]) -> None:
        """Write everything."""
        self._release(None)
        while (self._waiting or self._asked) and not stops():
            self._turn()
        self._words.wait()
        if not stops():
            self._writer.finish()

    def _release(self, before: bytes | None) -> None:
        """Put held files at the end: those whose paths come before the next folder's, or all for None."""
        some: list[tuple[FoundFile, Header | None]] = []
        folder = b""
        while self._held and (before is None or self._held[0][0] < before):
            _, owner, file, header = heapq.heappop(self._held)
            if owner != folder:
                self._add_released(folder, some)
                some, folder = [], owner
            some.append((file, header))
        self._add_released(folder, some)
        if not self._held:
            self._waiting.extend(self._held_notes)
            self._held_notes.clear()

    def _add_released(self, folder: bytes, some: list[tuple[FoundFile, Header | None]]) -> None:
        headers = [header for _, header in some if header is not None]
        files = [file for file, _ in some]
        self.add(FoundClips(folder, files, [0] * len(files), headers if len(headers) == len(files) else None))

    def _turn(self) -> None:
        """Have the child read one batch while the one before is written; a single small batch needs no child."""
        work = self._take_batch()
        request = _request_of(work)
        if not self._asked and sum(len(files) for _, files in request) < _FOR_A_CHILD:
            self._write(work, [self._headers.read(prefix, files) for prefix, files in request])
            return
        asked, self._asked = self._asked, work
        answer = self._child.answer(_request_of(asked)) if _request_of(asked) else []
        if request:
            self._child.ask(request)
        self._write(asked, answer)

    def _take_batch(self) -> list[FoundClips | FolderNote]:
        num_files = taken = 0
        for item in self._waiting:
            if num_files >= self._batch:
                break
            taken += 1
            num_files += len(item.files) if isinstance(item, FoundClips) else 0
        work = self._waiting[:taken]
        del self._waiting[:taken]
        self._num_waiting -= num_files
        self._batch = _BATCH
        return work

    def _write(self, work: Sequence[FoundClips | FolderNote], answer: Sequence[Sequence[Header]]) -> None:
        answers = iter(answer)
        done: list[tuple[FoundClips | FolderNote, Sequence[Header]]] = []
        for item in work:
            if isinstance(item, FoundClips):
                headers = next(answers) if item.headers is None else item.headers
                if any(header[4] and not is_unsupported(header[4]) for header in headers):
                    self._failing.add(item.folder)
                done.append((item, headers))
                self.num_written += len(headers)
            elif item.relpath in self._failing:
                # Its files are read again at the next scan: a permission changes without size and time.
                done.append((FolderNote(item.relpath, b"", item.num_clips), ()))
            else:
                done.append((item, ()))
        if done:
            self._words.wait()
            last_id = self._writer.write(done)
            if self._writer.has_captions:
                self._words.index(last_id)


class _WordsBehind:
    """Brings words into their index while the next files are looked for: SQLite needs no Python for it."""

    def __init__(self, database: ClipsDatabase) -> None:
        self._database = database
        self._threads: ThreadPoolExecutor | None = None
        self._running: Future[None] | None = None

    def index(self, last_id: int) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, thread_name_prefix="clip-words")
        self._running = self._threads.submit(index_words_until, self._database, last_id, lambda: False)

    def wait(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def close(self) -> None:
        if self._threads is not None:
            self._threads.submit(self._database.close)
            self._threads.shutdown()


def _request_of(work: Sequence[FoundClips | FolderNote]) -> Request:
    return [(item.prefix, item.files) for item in work if isinstance(item, FoundClips) and item.headers is None]
