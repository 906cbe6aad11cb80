"""The rules of lint: what each looks for, how grave it is, and how it is put into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sao_tui.core.findings import Severity

FixKind = Literal["show", "captions", "aside", "prepare", "suggest"]
"""What the key of a finding does: show the clips, change captions, set the clips aside, open prepare or suggestions."""


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong with clips."""

    id: str
    severity: Severity
    one: str
    """What is wrong with one clip, after its name."""
    many: str
    """What is wrong with several, after their number and "clips"."""
    fix: str
    """What to do about it."""
    fix_kind: FixKind
    condition: str = ""
    """Over clips and their analysis, in SQL; empty for a rule that looks at all clips together."""
    num_parameters: int = 0
    """How many of the context's numbers the condition takes, see lint.LintContext."""


RULES: tuple[Rule, ...] = (
    Rule(
        "clip-unreadable",
        "error",
        "cannot be read",
        "cannot be read",
        "Set them aside, or replace them: upstream would train on others in their place.",
        "aside",
    ),
    Rule(
        "clip-unsupported",
        "warning",
        "is of a kind that stable-audio-tools passes over",
        "are of a kind that stable-audio-tools passes over",
        "Convert them with prepare (`sao-tui dataset prepare`).",
        "prepare",
    ),
    Rule(
        "caption-missing",
        "warning",
        "has no caption",
        "have no caption",
        "Write captions, or have some suggested.",
        "show",
        "clips.error = '' AND trim(clips.caption) = ''",
    ),
    Rule(
        "caption-duplicate",
        "info",
        "shares its caption with another clip",
        "share their caption with others",
        "Say what sets them apart, where something does.",
        "show",
    ),
    Rule(
        "caption-filename",
        "warning",
        "has a caption that looks like a file name",
        "have captions that look like file names",
        "Turn them into words: the text encoder was trained on sentences.",
        "captions",
    ),
    Rule(
        "caption-too-long",
        "warning",
        "has a caption of more than 64 tokens, whose end the model never sees",
        "have captions of more than 64 tokens, whose ends the model never sees",
        "Shorten them to what the model reads.",
        "captions",
    ),
    Rule(
        "caption-contradicts",
        "warning",
        "has a caption whose tempo or key is not the measured one",
        "have captions whose tempo or key is not the measured one",
        "Put the measured values in, or correct what was measured.",
        "captions",
    ),
    Rule(
        "audio-duplicate",
        "warning",
        "sounds exactly like another clip",
        "sound exactly like others",
        "Set all but one of each aside: the model would learn them by heart.",
        "aside",
    ),
    Rule(
        "audio-near-duplicate",
        "info",
        "sounds nearly like another clip",
        "sound nearly like others",
        "Listen to them, and set aside what adds nothing.",
        "aside",
    ),
    Rule(
        "clip-silent",
        "warning",
        "is silent, and another would be trained in its place",
        "are silent, and others would be trained in their place",
        "Set them aside.",
        "aside",
        "analysis.is_silent = 1",
    ),
    Rule(
        "clip-clipped",
        "warning",
        "is clipped",
        "are clipped",
        "Look for better recordings; the model learns the distortion.",
        "show",
        "analysis.num_clipped > 0",
    ),
    Rule(
        "clip-dc-offset",
        "warning",
        "has a DC offset",
        "have a DC offset",
        "Take it out with prepare.",
        "prepare",
        "abs(analysis.dc_offset) > 0.01 AND analysis.is_silent = 0",
    ),
    Rule(
        "clip-mono-in-stereo",
        "info",
        "is mono in a stereo file",
        "are mono in stereo files",
        "Nothing is lost by it; look for the stereo originals where width matters.",
        "show",
        "analysis.channel_fault = 'mono-in-stereo'",
    ),
    Rule(
        "clip-dead-channel",
        "warning",
        "has a channel without sound",
        "have a channel without sound",
        "Copy the living channel over the dead one with prepare.",
        "prepare",
        "analysis.channel_fault LIKE 'dead-%'",
    ),
    Rule(
        "clip-sample-rate",
        "info",
        "has another sample rate than the model",
        "have another sample rate than the model",
        "Resample them once with prepare: upstream does it anew at every step.",
        "prepare",
        "clips.error = '' AND clips.sample_rate_hz <> ?",
        1,
    ),
    Rule(
        "clip-too-long",
        "info",
        "is longer than the model hears at a time",
        "are longer than the model hears at a time",
        "Slice them with prepare, so that each caption fits what is heard.",
        "prepare",
        "clips.error = '' AND clips.seconds > ? + 0.01",
        1,
    ),
    Rule(
        "clip-mostly-padding",
        "warning",
        "fills less than a quarter of what the model hears; the rest is silence",
        "fill less than a quarter of what the model hears; the rest is silence",
        "Prefer longer clips, or generate at lengths like theirs.",
        "show",
        "clips.error = '' AND clips.seconds < ? * 0.25",
        1,
    ),
)
"""In the order in which they are told."""

CAPTION_INVARIANT = "caption-invariant"
"""A phrase that every caption has; told once, so it stands in no clip's row."""

BY_ID = {rule.id: rule for rule in RULES}
