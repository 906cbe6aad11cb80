"""The options of the prepare dialog, and the settings that they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.tui.widgets.option_form import Option

if TYPE_CHECKING:
    from sao_tui.core.preparing import PrepareSettings
    from sao_tui.services.workspace import Workspace


def _number(unit: str, low: float, high: float) -> Any:
    """Return a parser for a number in a range."""

    def parse(text: str) -> tuple[float, str]:
        number = _float(text.removesuffix(unit).strip())
        if not low <= number <= high:
            raise ValueError(f"It must be between {low:g} and {high:g} {unit}.")
        return number, f"{number:g} {unit}"

    return parse


def _float(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise ValueError(f"{text} is no number.") from None


def _rate(text: str) -> tuple[int, str]:
    number = _float(text.removesuffix("Hz").strip())
    if not 4_000 <= number <= 384_000:
        raise ValueError("It must be between 4000 and 384000 Hz.")
    return round(number), f"{round(number)} Hz"


def _trim(text: str) -> tuple[float, str]:
    number, _ = _number("dBFS", -120, -20)(text)
    return number, f"below {number:g} dBFS"


def _slices(text: str) -> tuple[tuple[str, float], str]:
    number, words = _number("s", 0.1, 3_600)(text)
    return ("fixed", number), words


def _folder(text: str) -> tuple[str, str]:
    if not text.strip():
        raise ValueError("It needs a name.")
    return text.strip(), f"new folder {text.strip()}"


_PLACE = Option(
    "place",
    "Write to",
    (("dataset-prepared", "new folder dataset-prepared"), (None, "in place, originals move out")),
    "A new folder beside the dataset leaves it as it is. In place, originals move to originals/ first.",
    _folder,
    "Name of the new folder",
)

_BEFORE_SLICING = (
    Option(
        "channels",
        "Channels",
        ((0, "as they are"), (2, "stereo"), (1, "mono")),
        "A dead channel is replaced by the living one in any case.",
    ),
    Option(
        "trim_dbfs",
        "Trim silence",
        ((None, "no"), (-60.0, "below -60 dBFS"), (-50.0, "below -50 dBFS")),
        "Cut off both ends; 20 ms stay as a margin.",
        _trim,
        "Peak level in dBFS below which an end is silence",
    ),
)

_AFTER_SLICING = (
    Option(
        "min_seconds",
        "Least length",
        ((0.1, "0.1 s"), (0.5, "0.5 s"), (1.0, "1 s")),
        "A slice that would be shorter gets some of its neighbour.",
        _number("s", 0.0, 60.0),
        "Least length of a slice in seconds",
    ),
    Option(
        "loudness_lufs",
        "Loudness",
        ((None, "as it is"), (-14.0, "-14 LUFS"), (-16.0, "-16 LUFS"), (-23.0, "-23 LUFS")),
        "Integrated loudness; clips under 0.4 s go by their peak.",
        _number("LUFS", -70.0, 0.0),
        "Loudness in LUFS",
    ),
    Option(
        "peak_dbfs",
        "Peak ceiling",
        ((-1.0, "-1 dBFS"), (-0.1, "-0.1 dBFS"), (-3.0, "-3 dBFS")),
        "Held by a limiter that looks ahead; nothing is clipped.",
        _number("dBFS", -30.0, 0.0),
        "Ceiling in dBFS",
    ),
    Option(
        "format",
        "Format",
        (
            (("wav", "24"), "wav, 24 bits"),
            (("wav", "16"), "wav, 16 bits"),
            (("wav", "float"), "wav, float"),
            (("flac", "24"), "flac, 24 bits"),
            (("flac", "16"), "flac, 16 bits"),
        ),
        "What stable-audio-tools passes over, such as m4a, is converted too.",
    ),
    Option(
        "dedupe",
        "Same sounds",
        (("", "keep"), ("exact", "drop"), ("near", "drop, nearly the same too")),
        "The first clip with a sound stays, with the caption of a dropped one if it has none.",
    ),
)


def prepare_options(settings: PrepareSettings) -> list[Option]:
    """Return the options, with the values that suit the model first."""
    hears = f"only longer than {settings.max_seconds:.1f} s" if settings.max_seconds else "no"
    rate = Option(
        "rate_hz",
        "Sample rate",
        ((settings.rate_hz, f"{settings.rate_hz} Hz, the model's"), (0, "as it is"), (48_000, "48000 Hz")),
        "Resampled once here instead of at every step of training.",
        _rate,
        "Sample rate in Hz",
    )
    slicing = Option(
        "slicing",
        "Slice",
        (
            (("auto", 0.0), hears),
            (("onsets", 0.0), "at onsets"),
            (("silence", 0.0), "at silence"),
            (("none", 0.0), "no, keep long clips whole"),
        ),
        "Cuts lie on zero crossings, without cross-fades. Enter types a fixed length.",
        _slices,
        "Length of the slices in seconds",
    )
    return [_PLACE, rate, *_BEFORE_SLICING, slicing, *_AFTER_SLICING]


def settings_of(values: dict[str, Any], workspace: Workspace) -> PrepareSettings:
    """Return the settings that the options stand for.

    Raises:
        SaoError: Two of them do not go together.
    """
    from sao_tui.services.prepare_jobs import default_settings, in_place

    slicing, slice_seconds = values["slicing"]
    form, depth = values["format"]
    place = values["place"]
    trim = values["trim_dbfs"]
    changes: dict[str, Any] = {
        name: values[name] for name in ("rate_hz", "channels", "min_seconds", "loudness_lufs", "peak_dbfs", "dedupe")
    }
    changes |= {"slicing": slicing, "slice_seconds": slice_seconds, "format": form, "depth": depth}
    changes |= {"trim": trim is not None} | ({} if trim is None else {"trim_dbfs": trim})
    if place is not None:
        changes["output"] = str(workspace.root / Path(place).expanduser())
    settings = default_settings(workspace, **changes)
    return in_place(settings, workspace) if place is None else settings
