"""What the detail pane says about a clip, in lines short enough for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from sao_tui.core.units import format_bytes
from sao_tui.tui.text import one_line

if TYPE_CHECKING:
    from sao_tui.services.analysis import Analysis
    from sao_tui.services.clip_facts import ClipFacts
    from sao_tui.services.clips import ClipRow

Line = list[tuple[str, str]]
"""Parts of a line, each a text and its style."""

_FAULTS = {
    "mono-in-stereo": "both channels are equal",
    "dead-left": "the left channel is silent",
    "dead-right": "the right channel is silent",
}
_MUTED, _WARNING, _ERROR = "$text-muted", "$text-warning", "$text-error"
_MIN_OFFSET = 0.01


def facts_text(row: ClipRow | None, facts: ClipFacts | None) -> Content:
    """Return the lines about a clip: its name, the file, what was measured, what the model gets of it."""
    if row is None:
        return Content("")
    lines: list[Line] = [[(one_line(row.relpath), "bold")]]
    if row.error:
        lines.append([(one_line(row.error), _ERROR)])
    else:
        channels = {1: "mono", 2: "stereo"}.get(row.num_channels, f"{row.num_channels} channels")
        about = f"{row.seconds:.2f} s · {row.sample_rate_hz} Hz · {channels} · {format_bytes(row.num_bytes)}"
        lines.append([(about, _MUTED)])
    if facts is not None:
        lines += [_measured(facts), _model(facts), _tags(facts.analysis)]
    return Content("\n").join(_joined(line) for line in lines)


def _joined(line: Line) -> Content:
    return Content.styled(" · ", _MUTED).join(Content.styled(one_line(text), style) for text, style in line if text)


def _measured(facts: ClipFacts) -> Line:
    analysis = facts.analysis
    if analysis is None:
        return [] if facts.row.error else [("not measured yet", _MUTED)]
    if analysis.error:
        return [(f"not measured: {analysis.error}", _ERROR)]
    if analysis.is_silent:
        return [("silent: nothing above -60 dBFS", _WARNING)]
    peak = f"peak {analysis.peak_dbfs:.1f} dB" if analysis.peak_dbfs is not None else ""
    loudness = f"{analysis.loudness_lufs:.1f} LUFS" if analysis.loudness_lufs is not None else "too short for LUFS"
    silence = f"quiet {analysis.head_silence_seconds:.2f}+{analysis.tail_silence_seconds:.2f} s"
    return [(loudness, _MUTED), (peak, _MUTED), (silence, _MUTED), *_faults(analysis)]


def _faults(analysis: Analysis) -> Line:
    found = [_FAULTS.get(analysis.channel_fault, "")]
    if analysis.num_clipped:
        found.append(f"{analysis.num_clipped} clipped")
    if abs(analysis.dc_offset) >= _MIN_OFFSET:
        found.append(f"DC offset {100 * analysis.dc_offset:.0f} %")
    return [(text, _WARNING) for text in found if text]


def _model(facts: ClipFacts) -> Line:
    line: Line = []
    if facts.tokens is not None:
        style = _WARNING if facts.tokens.is_over else _MUTED
        beyond = ", the rest is cut off" if facts.tokens.is_over else ""
        line.append((f"{facts.tokens.in_words()} tokens{beyond}", style))
    else:
        line.append(("tokens unknown" if facts.tokens_problem else "", _MUTED))
    if facts.padding is not None:
        line.append((facts.padding.in_words(), _WARNING if facts.padding.cut_seconds > 0 else _MUTED))
    return line


def _tags(analysis: Analysis | None) -> Line:
    if analysis is None:
        return []
    tempo = f"{analysis.bpm:.0f} BPM" if analysis.bpm else ""
    shown = [(tempo, _MUTED), (analysis.musical_key, _MUTED)]
    return shown + [(f"{name} {value}", _MUTED) for name, value in analysis.tags.items()]
