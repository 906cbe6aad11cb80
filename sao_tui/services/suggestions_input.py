"""What a suggest job gets: its clips, the user's vocabulary, options that are checked before anything starts."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.captioners import CLIPS_NAME, SUGGESTIONS_NAME, VOCABULARY_NAME, CaptionerInfo
from sao_tui.core.endpoints import completions_url, is_loopback
from sao_tui.core.errors import SaoError
from sao_tui.core.files import write_atomically

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services

MAX_PHRASES = 2_000
"""Phrases that are ranked, the most used first."""
MAX_PHRASE_WORDS = 12
_BATCH = 500


def check_options(services: Services, info: CaptionerInfo, given: Mapping[str, str]) -> dict[str, str]:
    """Return all options of a captioner, those of the endpoint from sao.toml where they are not given.

    Raises:
        SaoError: One is unknown, missing or wrong, or looks like a key.
    """
    given = dict(given)
    if info.name == "openai":
        settings = services.workspace.settings
        for name, value in (("url", settings.suggest_url), ("model", settings.suggest_model)):
            if value and not given.get(name):
                given[name] = value
        if {"key", "api_key", "token"} & given.keys():
            raise SaoError(
                "A key is no option: jobs keep their options on the disk.",
                "export OPENAI_API_KEY=…, or name another variable with key_variable=NAME.",
            )
    options = info.parse(given)
    if info.name == "openai":
        url = completions_url(options["url"])
        variable = options["key_variable"]
        if not is_loopback(url) and not os.environ.get(variable, "").strip():
            raise SaoError(f"The environment variable {variable} holds no key.", f"export {variable}=… and try again.")
    return options


def write_clips(services: Services, clips: Sequence[int] | Iterable[dict[str, Any]], folder: Path) -> int:
    """Write the job's clips.jsonl, streaming, and return how many there are.

    Args:
        clips: Ids of the index, or records of another job.
    """
    records = clips if not isinstance(clips, Sequence) else _records(services, clips)
    number = 0
    with (folder / CLIPS_NAME).open("wb") as file:
        for number, record in enumerate(records, 1):  # noqa: B007 - the last number is the answer
            file.write(json.dumps(record).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return number


def write_vocabulary(services: Services, asked: str, folder: Path, copy_from: Path | None = None) -> None:
    """Write the phrases to rank: of the file `asked`, else of the captions in use, the most used first.

    Raises:
        SaoError: The file cannot be read or there are no phrases.
    """
    if copy_from is not None:
        source = copy_from / VOCABULARY_NAME
        if source.exists():
            write_atomically(folder / VOCABULARY_NAME, source.read_bytes())
        return
    phrases = (
        _phrases_of_file(services.workspace.root / Path(asked).expanduser()) if asked else phrases_in_use(services)
    )
    if not phrases:
        raise SaoError(
            "There are no phrases to rank: no clip has a caption yet.",
            "Caption some clips first, or give the option vocabulary=FILE with one phrase a line.",
        )
    text = "".join(f"{phrase}\n" for phrase in phrases)
    write_atomically(folder / VOCABULARY_NAME, text.encode(errors="replace"))


def phrases_in_use(services: Services) -> list[str]:
    """Return the phrases between the commas of all captions, the most used first.

    Raises:
        SaoError: The captions cannot be read.
    """
    counted: Counter[str] = Counter()
    for text in services.captions.all().values():
        for part in text.split(","):
            phrase = " ".join(part.split())
            if phrase and len(phrase.split()) <= MAX_PHRASE_WORDS:
                counted[phrase.casefold()] += 1
    return [phrase for phrase, _ in counted.most_common(MAX_PHRASES)]


def remaining_clips(job: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a job's clips that it has written nothing about.

    Raises:
        SaoError: The job's files cannot be read.
    """
    try:
        done = {record["relpath"] for record in _lines(job / SUGGESTIONS_NAME)}
        yield from (record for record in _lines(job / CLIPS_NAME) if record["relpath"] not in done)
    except OSError as error:
        raise SaoError(f"Cannot read {job}: {error.strerror}.", "Check the folder's permissions.") from error


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and isinstance(record.get("relpath"), str):
                yield record


def _records(services: Services, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    folder = services.workspace.dataset_folder
    for start in range(0, len(ids), _BATCH):
        rows = services.clips.rows(ids[start : start + _BATCH])
        facts = _facts(services, [row.id for row in rows])
        for row in rows:
            record = {"relpath": row.relpath, "path": str(folder / row.relpath), "caption": row.caption}
            yield record | facts.get(row.id, {})


def _facts(services: Services, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return tags, tempo and key of clips as far as they are analysed and have not changed since."""
    marks = ",".join("?" * len(ids))
    query = f"""SELECT a.clip_id, a.tags, a.bpm, a.musical_key FROM analysis a JOIN clips c ON c.id = a.clip_id
        WHERE a.num_bytes = c.num_bytes AND a.mtime_ns = c.mtime_ns AND a.clip_id IN ({marks})"""  # noqa: S608
    found: dict[int, dict[str, Any]] = {}
    for clip_id, tags, bpm, key in services.clips.database.query(query, list(ids)):
        try:
            parsed = json.loads(tags or "{}")
        except ValueError:
            parsed = {}
        found[clip_id] = {"tags": parsed if isinstance(parsed, dict) else {}, "bpm": bpm, "key": key}
    return found


def _phrases_of_file(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise SaoError(f"Cannot read {path}: {error.strerror}.", "Give a text file with one phrase a line.") from error
    return list(dict.fromkeys(" ".join(line.split()) for line in lines if line.strip()))[:MAX_PHRASES]
