"""What an edit is going to change: each clip's new line, what undo needs, and conflicts with other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from sao_tui.core.errors import SaoError
from sao_tui.services.captions_edits import Edit, KeyChange, changed_record
from sao_tui.services.captions_file import MetadataFile
from sao_tui.services.captions_index import text_hash
from sao_tui.services.captions_lines import encode_record, is_unicode, replace_record
from sao_tui.services.new_lines import NewLines


class _Dropped:
    """The type of DROPPED."""

    def __repr__(self) -> str:
        return "DROPPED"


DROPPED: Final = _Dropped()
"""As a key's value: the key goes. (None would be JSON's null, which is a value.)"""


class CaptionConflict(SaoError):  # noqa: N818 - an answer to decide on, more than an error
    """A clip's caption was changed by another program since it was last read; nothing was written.

    What the others wrote is loaded by then: setting the caption again means to overwrite theirs.
    """

    def __init__(self, relpath: str, mine: str, theirs: str) -> None:
        """Name the clip and keep both texts."""
        super().__init__(
            f"The caption of {relpath} was changed by another program to {theirs!r}.",
            "Save again to overwrite it with yours, or leave it.",
        )
        self.relpath = relpath
        self.mine = mine
        self.theirs = theirs


class TextRecords(Mapping[str, Mapping[str, Any]]):
    """Captions by relpath, seen as records that have a text alone; it costs no memory."""

    def __init__(self, captions: Mapping[str, str]) -> None:
        self._captions = captions

    def __getitem__(self, relpath: str) -> Mapping[str, Any]:
        return {"text": self._captions[relpath]}

    def __iter__(self) -> Iterator[str]:
        return iter(self._captions)

    def __len__(self) -> int:
        return len(self._captions)


def refuse_broken_texts(wanted: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse captions that are no text, before anything is written.

    Raises:
        SaoError: Names the first of them.
    """
    for relpath, keys in wanted.items():
        text = keys.get("text", "")
        if not isinstance(text, str):
            raise SaoError(f"The caption of {relpath} is no text: {text!r}.", "A caption is a string.")
        if not is_unicode(text):
            raise SaoError(f"The caption of {relpath} is not UTF-8: {text!a}.", "Type it again in a UTF-8 terminal.")


def plan_edit(
    file: MetadataFile, wanted: Mapping[str, Mapping[str, Any]], seen: Callable[[str], int], edit: Edit, lines: NewLines
) -> None:
    """Plan to set keys of clips' lines.

    Args:
        seen: Returns the text_hash of the caption that a clip had when the edit began.
        edit: Gets what changes.
        lines: Gets the new lines.

    Raises:
        CaptionConflict: Another program has changed one of the captions since.
        StaleFileError: The file is not what it was when it was read.
    """
    for relpath, keys in wanted.items():
        offset = file.offset(relpath)
        line = b"" if offset is None else file.line(offset)
        record = None if offset is None else file.parsed(offset)
        if "text" in keys:
            on_disk, text = _text(record), keys["text"]
            if on_disk != text and text_hash(on_disk) != seen(relpath):
                raise CaptionConflict(relpath, text, on_disk)
        change = _change(relpath, record, keys)
        if change is not None:
            _plan(change, offset, line, record, edit, lines)


def plan_move(file: MetadataFile, changes: Iterable[KeyChange], edit: Edit, lines: NewLines) -> None:
    """Plan to take an edit back, or to make it again.

    Raises:
        CaptionConflict: Another program has changed one of its captions since.
        SaoError: Another program has changed one of its other keys since.
        StaleFileError: The file is not what it was when it was read.
    """
    for change in changes:
        offset = file.offset(change.relpath)
        line = b"" if offset is None else file.line(offset)
        record = None if offset is None else file.parsed(offset)
        _refuse_moved_keys(change, record)
        _plan(change, offset, line, record, edit, lines)


def _plan(
    change: KeyChange, offset: int | None, line: bytes, record: dict[str, Any] | None, edit: Edit, lines: NewLines
) -> None:
    edit.add(change)
    new = changed_record(record, change)
    if new is None:
        if offset is not None:
            lines.add(b"", offset, len(line))
    elif offset is None:
        lines.add(encode_record(new) + b"\n")
    else:
        lines.add(replace_record(line, new), offset, len(line))


def _change(relpath: str, record: Mapping[str, Any] | None, keys: Mapping[str, Any]) -> KeyChange | None:
    """Return what setting `keys` changes, None when nothing."""
    had = record or {}
    differing = [key for key, value in keys.items() if _differs(had, key, value)]
    if not differing:
        return None
    before = None if record is None else {key: had[key] for key in differing if key in had}
    return KeyChange(relpath, before, {key: keys[key] for key in differing if keys[key] is not DROPPED})


def _differs(record: Mapping[str, Any], key: str, value: object) -> bool:
    if key == "audio_path":
        return False  # It says which line is meant, and stays as it was written.
    if value is DROPPED:
        return key in record
    if key == "text":
        return _text(record) != value  # No text, null and an empty one are the same.
    return key not in record or record[key] != value


def _refuse_moved_keys(change: KeyChange, record: Mapping[str, Any] | None) -> None:
    now, then, found = change.before or {}, change.after or {}, record or {}
    for key in sorted(change.touched):
        if key == "text":
            if _text(found) not in (_text(now), _text(then)):
                raise CaptionConflict(change.relpath, _text(then), _text(found))
        elif key in found and found[key] not in (now.get(key), then.get(key)):
            raise SaoError(
                f"`{key}` of {change.relpath} was changed by another program to {found[key]!r}.",
                "Nothing was taken back. Set it as you want it to be.",
            )


def _text(record: Mapping[str, Any] | None) -> str:
    return (record or {}).get("text") or ""
