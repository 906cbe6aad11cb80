"""Words out of file and folder names: `02_DeepKick-Loop_120bpm_Amin.wav` says deep kick loop, 120 BPM, A minor."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

DRUM_MACHINES = frozenset(("303", "505", "606", "626", "707", "727", "808", "909"))
"""Numbers that are names of instruments; every other number in a name is taken as numbering."""

ABBREVIATIONS = {
    "acc": "accent",
    "amb": "ambient",
    "arp": "arpeggio",
    "bd": "bass drum",
    "btm": "bottom",
    "ch": "closed hi-hat",
    "chh": "closed hi-hat",
    "cowb": "cowbell",
    "crsh": "crash",
    "cym": "cymbal",
    "dist": "distorted",
    "drm": "drum",
    "fx": "effect",
    "gtr": "guitar",
    "hh": "hi-hat",
    "hihat": "hi-hat",
    "hat": "hi-hat",
    "kik": "kick",
    "lng": "long",
    "oh": "open hi-hat",
    "ohh": "open hi-hat",
    "orch": "orchestra",
    "perc": "percussion",
    "pno": "piano",
    "rev": "reverse",
    "sd": "snare drum",
    "sfx": "sound effect",
    "shrt": "short",
    "snr": "snare",
    "strs": "strings",
    "syn": "synth",
    "tamb": "tambourine",
    "tom": "tom",
    "vox": "vocal",
}
"""What sample libraries shorten, and the word for it."""

EMPTY_WORDS = frozenset(
    (
        "audio",
        "bit",
        "bounce",
        "clip",
        "clips",
        "copy",
        "data",
        "dataset",
        "export",
        "file",
        "final",
        "flac",
        "hz",
        "khz",
        "mono",
        "mp3",
        "new",
        "no",
        "nr",
        "ogg",
        "render",
        "sample",
        "samples",
        "sound",
        "sounds",
        "stereo",
        "take",
        "track",
        "untitled",
        "v",
        "ver",
        "version",
        "wav",
        "wave",
    )
)
"""Words that say nothing about a sound."""

_BPM = re.compile(r"(?<![a-z0-9])(?:(\d{2,3}(?:\.\d+)?)[ _.-]?bpm|bpm[ _.-]?(\d{2,3}(?:\.\d+)?))(?![a-z0-9])", re.I)
_KEY = re.compile(
    r"(?<![A-Za-z#])([A-G])(#|s(?=m|[ _.-]|$)|b|♯|♭)?[ _.-]?(maj(?:or)?|min(?:or)?|Maj(?:or)?|Min(?:or)?|MAJ|MIN|m|M)"
    r"(?![A-Za-z])"
)


@dataclass(frozen=True)
class Name:
    """What a name says."""

    words: tuple[str, ...]
    bpm: float | None = None
    key: str = ""
    """Such as `A minor`."""


def read_name(name: str) -> Name:
    """Return the words of a file's or folder's name, without its numbering, and the tempo and key in it."""
    name = unicodedata.normalize("NFC", name)
    bpm = None
    if found := _BPM.search(name):
        number = float(found[1] or found[2])
        if 30 <= number <= 300:
            bpm = number
        name = name[: found.start()] + " " + name[found.end() :]
    key = ""
    if found := _KEY.search(name):
        key = key_name(found[1] + (found[2] or ""), is_minor=found[3] == "m" or found[3].lower().startswith("min"))
        name = name[: found.start()] + " " + name[found.end() :]
    words: list[str] = []
    for part in re.split(r"[\W_]+", name):
        words.extend(_words_of_part(part))
    return Name(tuple(words), bpm, key)


def key_name(note: str, *, is_minor: bool) -> str:
    """Return a key in words: `key_name("Fs", is_minor=True)` is `F# minor`."""
    accidental = note[1:].replace("s", "#").replace("♯", "#").replace("♭", "b")
    return f"{note[0].upper()}{accidental} {'minor' if is_minor else 'major'}"


def key_from_tag(text: str) -> str:
    """Return the key that an embedded tag such as `Am`, `F#m`, `Bb` or `C minor` names, else nothing."""
    found = re.fullmatch(r"\s*([A-Ga-g])([#b♯♭]?)\s*(m|min|minor|maj|major|)\s*", text)
    if not found:
        return ""
    return key_name(found[1] + found[2], is_minor=found[3] in ("m", "min", "minor"))


def format_bpm(bpm: float) -> str:
    """Return a tempo as captions have it."""
    return f"{bpm:.1f}".removesuffix(".0") + " BPM"


def join_phrases(phrases: list[str]) -> str:
    """Return phrases as one caption; one whose words another has already said is left out."""
    kept: list[str] = []
    for phrase in phrases:
        words = set(phrase.lower().split())
        if words and not any(words <= set(other.lower().split()) for other in kept):
            kept = [other for other in kept if not set(other.lower().split()) < words]
            kept.append(phrase)
    return ", ".join(kept)


def _words_of_part(part: str) -> list[str]:
    words = []
    for piece in _pieces(part):
        word = piece.lower()
        if word.isdigit():
            if word in DRUM_MACHINES:
                words.append(word)
            continue
        word = ABBREVIATIONS.get(word, word)
        if word in EMPTY_WORDS or (len(word) == 1 and word not in ("a", "i")):
            continue
        words.append(word)
    return _without_repeats(words)


def _pieces(part: str) -> list[str]:
    """Split at a change between letters and digits, and where a capital begins a word, in any script."""
    starts = [0]
    for index in range(1, len(part)):
        before, here = part[index - 1], part[index]
        ends_capitals = before.isupper() and here.isupper() and part[index + 1 : index + 2].islower()
        if before.isdigit() != here.isdigit() or (here.isupper() and not before.isupper()) or ends_capitals:
            starts.append(index)
    return [part[start:end] for start, end in zip(starts, [*starts[1:], len(part)], strict=True) if part[start:end]]


def _without_repeats(words: list[str]) -> list[str]:
    return [word for index, word in enumerate(words) if not index or word != words[index - 1]]
