"""The captioner that reads: embedded tags, the file's name and its folders, as words.

Its confidence is a rule, not a measure: 0.9 where embedded tags say something, 0.6 where the file's name does,
0.3 for the folder alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from sao_tui.core.captioners import CAPTIONERS, CaptionerInfo
from sao_tui.core.errors import SaoError
from sao_tui.worker.suggest.base import Clip, Context, Suggestion
from sao_tui.worker.suggest.words import Name, format_bpm, join_phrases, key_from_tag, read_name

CONFIDENCE = {"tags": 0.9, "name": 0.6, "folder": 0.3}
_PARTS = ("name", "folder", "tags")
_TEXT_TAGS = ("title", "genre", "mood", "description", "comment", "instrument", "grouping")
_MAX_TAG_LETTERS = 200


class TagsCaptioner:
    """Tags, names and folders."""

    def __init__(self) -> None:
        self._parts: frozenset[str] = frozenset()
        self._num_folders = 1
        self._mutagen: Any = None

    def describe(self) -> CaptionerInfo:
        """Return what it is."""
        return CAPTIONERS["tags"]

    def prepare(self, context: Context) -> None:
        """Find out whether embedded tags can be read here.

        Raises:
            SaoError: The option `use` names a part that there is not.
        """
        self._parts = frozenset(part.strip() for part in context.options["use"].split(",") if part.strip())
        unknown = sorted(self._parts - set(_PARTS))
        if unknown or not self._parts:
            raise SaoError(f"use cannot be {context.options['use']!r}", f"List some of: {', '.join(_PARTS)}.")
        self._num_folders = int(context.options["folders"])
        if "tags" not in self._parts:
            return
        try:
            import mutagen
        except ModuleNotFoundError:
            context.warn(
                "Embedded tags are read only of clips that are analysed: the worker's Python has no mutagen",
                "pip install mutagen, or let the dashboard analyse the clips first.",
            )
        else:
            self._mutagen = mutagen

    def suggest(self, clip: Clip) -> Suggestion:
        """Put what the clip's name, folders and tags say into words."""
        path = PurePosixPath(clip.relpath)
        file = read_name(_printable(path.stem)) if "name" in self._parts else Name(())
        parents = path.parent.parts[-self._num_folders :] if self._num_folders else ()
        folders = [read_name(_printable(part)) for part in parents if "folder" in self._parts]
        tags = self._tags(clip) if "tags" in self._parts else {}
        texts = [tags[name] for name in _TEXT_TAGS if name in tags]
        phrases = [" ".join(file.words), *(" ".join(each.words) for each in reversed(folders)), *texts]
        bpm = tags.get("bpm") or file.bpm or next((each.bpm for each in folders if each.bpm), None)
        key = tags.get("key") or file.key or next((each.key for each in folders if each.key), "")
        phrases += [format_bpm(bpm)] if bpm else []
        phrases += [key] if key else []
        text = join_phrases([phrase for phrase in phrases if phrase])
        said = {"tags": bool(tags), "name": bool(file.words), "folder": any(each.words for each in folders)}
        confidence = max((CONFIDENCE[part] for part, is_said in said.items() if is_said), default=0.0)
        details = {"name": list(file.words), "folders": [list(each.words) for each in folders], "tags": tags}
        return Suggestion(text, confidence if text else 0.0, "tags", details)

    def _tags(self, clip: Clip) -> dict[str, Any]:
        """Return the tags that describe a sound, the analysis's where it has some."""
        raw = dict(clip.tags) or self._embedded(clip)
        return describing_tags(raw)

    def _embedded(self, clip: Clip) -> dict[str, Any]:
        if self._mutagen is None:
            return {}
        try:
            file = self._mutagen.File(clip.path, easy=True)
        except Exception:  # a damaged tag costs the tag; the name still says something
            return {}
        if file is None or not file.tags:
            return {}
        try:
            return {str(key): value for key, value in dict(file.tags).items()}
        except Exception:
            return {}


_WAV_NAMES = {"TIT2": "title", "TCON": "genre", "TBPM": "bpm", "TKEY": "key", "TMOO": "mood", "COMM": "comment"}
_OTHER_NAMES = {"initialkey": "key", "initial_key": "key", "tempo": "bpm", "initial key": "key"}


def describing_tags(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return title, genre, mood and the like as text, `bpm` as a number and `key` in words."""
    tags: dict[str, Any] = {}
    for name, value in raw.items():
        frame = _WAV_NAMES.get(name.split(":", 1)[0], name)
        known = _OTHER_NAMES.get(frame.lower(), frame.lower())
        text = _as_text(value)
        if not text:
            continue
        if known == "bpm":
            number = _number(text)
            if number is not None and 30 <= number <= 300:
                tags["bpm"] = number
        elif known == "key":
            if key := key_from_tag(text):
                tags["key"] = key
        elif known in _TEXT_TAGS:
            tags[known] = text[:_MAX_TAG_LETTERS].lower() if known == "genre" else text[:_MAX_TAG_LETTERS]
    return tags


def _as_text(value: Any) -> str:
    values = value if isinstance(value, list | tuple) else getattr(value, "text", value)
    values = values if isinstance(values, list | tuple) else [values]
    joined = ", ".join(str(each) for each in values if each is not None)
    return " ".join(_printable(joined).split())


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def _printable(text: str) -> str:
    return text.encode(errors="ignore").decode()
