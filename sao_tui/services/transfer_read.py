"""Captions as other programs keep them, read as rows: a name of a clip, and keys.

txt          one file a clip with its caption (Stable Audio 3, underfit): beside it, or in a `txt` folder beside it
json         one object a clip (underfit): beside it, or in a `json` folder beside it
csv          a table with a column of paths and one of captions
audiofolder  Hugging Face's folder: metadata.csv or metadata.jsonl with `file_name`
jsonl        ours: metadata.jsonl with `audio_path`
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from sao_tui.core.errors import SaoError

TransferFormat = Literal["jsonl", "txt", "json", "csv", "audiofolder"]
FORMATS: tuple[TransferFormat, ...] = get_args(TransferFormat)
PATH_KEYS = ("audio_path", "file_name", "path", "filename", "file")
TEXT_KEYS = ("text", "caption", "prompt", "transcription")
"""The first of them that a row has is the caption; the others stay keys of their own."""
SIDE_FOLDERS = ("txt", "json")
MAX_SIDECAR_BYTES = 1_000_000
_NOT_SIDECARS = frozenset({"split.json", "prompts.json", "dataset.json", "dataset_config.json", "dataset_infos.json"})


@dataclass(frozen=True)
class ImportRow:
    """What a source says about one clip."""

    name: str
    """Path of the clip as the source has it; of a sidecar without the clip's suffix."""
    keys: dict[str, Any]
    """With the caption, if there is one, as `text`."""
    where: str
    """File and line, for people."""
    is_stem: bool = False
    """The name lacks the suffix."""


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used."""

    where: str
    reason: str


@dataclass(frozen=True)
class Source:
    """Everything that a source holds."""

    format: TransferFormat
    folder: Path
    """Folder that the names are relative to."""
    rows: list[ImportRow]
    bad_rows: list[BadRow]


def read_source(source: Path, form: TransferFormat | None = None) -> Source:
    """Read captions from a file or a folder; without a format it is told by what is there.

    Raises:
        SaoError: There is nothing that can be read there, or it is in another format.
    """
    found = form or detect_format(source)
    rows: list[ImportRow] = []
    bad: list[BadRow] = []
    file = _metadata_file(source, found)
    try:
        if found in SIDE_FOLDERS:
            given: Iterator[ImportRow | BadRow] = _sidecars(source, found)
        elif file.suffix.lower() in (".csv", ".tsv"):
            given = _table_rows(file)
        else:
            given = _json_lines(file)
        for row in given:
            if isinstance(row, ImportRow):
                rows.append(row)
            else:
                bad.append(row)
    except OSError as error:
        raise SaoError(f"Cannot read {error.filename or source}: {error.strerror}.", "Name another source.") from error
    return Source(found, source if found in SIDE_FOLDERS else file.parent, rows, bad)


def detect_format(source: Path) -> TransferFormat:
    """Return the format of a file or a folder.

    Raises:
        SaoError: It is missing, or holds nothing that is known.
    """
    hint = f"Name a csv or jsonl file, or a folder with sidecars, and its --format: {', '.join(FORMATS)}."
    if source.is_file():
        suffix = source.suffix.lower()
        if suffix in (".csv", ".tsv"):
            return "audiofolder" if source.name == "metadata.csv" else "csv"
        if suffix == ".jsonl":
            return "jsonl"
        raise SaoError(f"{source} is no csv and no jsonl file.", hint)
    if not source.is_dir():
        raise SaoError(f"{source} is missing.", hint)
    if (source / "metadata.csv").is_file():
        return "audiofolder"
    if (source / "metadata.jsonl").is_file():
        return "jsonl"
    counts = {form: sum(1 for _ in _sidecar_files(source, form)) for form in SIDE_FOLDERS}
    best = max(SIDE_FOLDERS, key=lambda form: counts[form])
    if not counts[best]:
        raise SaoError(f"{source} holds no captions that are known here.", hint)
    return "txt" if best == "txt" else "json"


def split_text(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with its caption as `text`, whatever it is called there."""
    keys = dict(record)
    for name in TEXT_KEYS:
        if isinstance(keys.get(name), str):
            text = keys.pop(name)
            return {"text": text, **keys}
    return keys


def cell_value(cell: str) -> Any:
    """Return what a cell of a table stands for: numbers, lists and quoted text are JSON, all else is text."""
    if cell[:1] in '-0123456789[{"tfn':
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            pass
    return cell


def value_cell(value: Any) -> str:
    """Return a value as a cell that `cell_value` gives it back from."""
    if isinstance(value, str) and cell_value(value) == value and value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _metadata_file(source: Path, form: TransferFormat) -> Path:
    if source.is_file() or form in SIDE_FOLDERS:
        if source.is_file() and form in SIDE_FOLDERS:
            raise SaoError(f"{source} is a file.", f"Sidecars ({form}) are read from a folder.")
        return source
    names = ("metadata.csv", "metadata.jsonl") if form in ("audiofolder", "csv") else ("metadata.jsonl",)
    for name in names:
        if (source / name).is_file():
            return source / name
    raise SaoError(f"{source} has no {' and no '.join(names)}.", "Name the file itself, or another --format.")


def _sidecar_files(folder: Path, form: str) -> Iterator[str]:
    """Give the paths of all sidecars, relative to the folder."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(f".{form}") and not name.startswith(".") and name not in _NOT_SIDECARS:
                yield os.path.relpath(os.path.join(parent, name), folder)


def _sidecars(folder: Path, form: str) -> Iterator[ImportRow | BadRow]:
    if not folder.is_dir():
        raise SaoError(f"The folder {folder} is missing.", "Name a folder with sidecars.")
    for relpath in _sidecar_files(folder, form):
        parent, name = os.path.split(os.path.splitext(relpath)[0])
        if os.path.basename(parent) == form:
            parent = os.path.dirname(parent)
        try:
            keys = _read_sidecar(folder / relpath, form)
        except (ValueError, RecursionError) as error:
            yield BadRow(relpath, str(error))
            continue
        yield ImportRow(os.path.join(parent, name), keys, relpath, is_stem=True)


def _read_sidecar(path: Path, form: str) -> dict[str, Any]:
    if path.stat().st_size > MAX_SIDECAR_BYTES:
        raise ValueError("it is too large for a caption")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    if form == "txt":
        return {"text": text.strip()}
    try:
        record = json.loads(text)
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from error
    if not isinstance(record, dict):
        raise ValueError("it is no JSON object")
    return {name: value for name, value in split_text(record).items() if name not in ("audio_path", "file_name")}


def _table_rows(file: Path) -> Iterator[ImportRow | BadRow]:
    try:
        # Surrogates keep the bytes of names that are not UTF-8.
        text = file.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise SaoError(f"Cannot read {file}: {error.strerror}.", "Check its permissions.") from error
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = [name.strip() for name in next(reader, [])]
    lowered = [name.lower() for name in header]
    path_at = next((lowered.index(name) for name in PATH_KEYS if name in lowered), None)
    if path_at is None:
        raise SaoError(
            f"{file} has no column of paths: its first line is {', '.join(header) or 'empty'}.",
            f"Name one of its columns {', '.join(PATH_KEYS[:3])}, and one {', '.join(TEXT_KEYS[:3])}.",
        )
    text_at = next((lowered.index(name) for name in TEXT_KEYS if name in lowered), None)
    try:
        for cells in reader:
            where = f"{file.name}:{reader.line_num}"
            if not any(cells):
                continue
            if len(cells) != len(header):
                yield BadRow(where, f"it has {len(cells)} cells and the first line {len(header)}")
                continue
            yield _table_row(header, cells, (path_at, text_at), where)
    except csv.Error as error:
        raise SaoError(f"{file} is no table: {error}.", "Save it again as CSV.") from error


def _table_row(header: list[str], cells: list[str], at: tuple[int, int | None], where: str) -> ImportRow:
    path_at, text_at = at
    keys: dict[str, Any] = {} if text_at is None else {"text": cells[text_at]}
    for column, cell in enumerate(cells):
        if column not in at and header[column] and cell:
            keys[header[column]] = cell_value(cell)
    return ImportRow(cells[path_at], keys, where)


def _json_lines(file: Path) -> Iterator[ImportRow | BadRow]:
    data = file.read_bytes().removeprefix(b"\xef\xbb\xbf")
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{file.name}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield BadRow(where, f"it is not JSON ({error})")
            continue
        used = next((key for key in PATH_KEYS if isinstance(_get(record, key), str)), None)
        if used is None:
            yield BadRow(where, "it names no clip")
            continue
        yield ImportRow(record[used], split_text({key: value for key, value in record.items() if key != used}), where)


def _get(record: Any, key: str) -> Any:
    return record.get(key) if isinstance(record, dict) else None
