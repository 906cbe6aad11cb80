"""Everything that the detail pane, and `dataset show`, say about one clip; one call for one thread worker.

The dataset screen asks once the cursor rests: `services.detail(relpath, columns, rows, span)` in an exclusive thread
worker, and posts what comes back. A clip that was passed over meanwhile is simply not shown: keys are never queued.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.core.errors import SaoError

if TYPE_CHECKING:
    from sao_tui.services.analysis import Analysis
    from sao_tui.services.bundle import Services
    from sao_tui.services.clips import ClipRow
    from sao_tui.services.model_hearing import Padding
    from sao_tui.services.spectrogram import ClipPicture
    from sao_tui.services.tokens import TokenCount


@dataclass(frozen=True)
class ClipFacts:
    """One clip: the file, what was measured of it, what the model gets of it, what it looks like."""

    row: ClipRow
    path: Path
    analysis: Analysis | None = None
    """None as long as the clip has not been measured."""
    prompt: str = ""
    """What the text encoder is given."""
    tokens: TokenCount | None = None
    tokens_problem: str = ""
    """Why tokens cannot be counted; empty when they can."""
    padding: Padding | None = None
    padding_problem: str = ""
    """Why it is not known what the model hears; empty when it is."""
    picture: ClipPicture | None = None
    """None when none was asked for, or for a clip that cannot be read."""
    picture_problem: str = ""

    def document(self) -> dict[str, Any]:
        """Return the facts for JSON: `path`, `prompt`, `tokens`, `padding`, `analysis`."""
        tokens = None
        if self.tokens is not None:
            tokens = asdict(self.tokens) | {"is_over": self.tokens.is_over}
        return {
            "path": str(self.path),
            "prompt": self.prompt,
            "tokens": tokens,
            "tokens_problem": self.tokens_problem,
            "padding": asdict(self.padding) if self.padding is not None else None,
            "analysis": analysis_document(self.analysis) if self.analysis is not None else None,
        }


def analysis_document(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis for JSON: bytes as hexadecimal text."""
    from sao_tui.services.analysis_child import to_json

    return to_json(analysis)


def read_facts(
    services: Services, relpath: str, columns: int = 0, rows: int = 0, span: tuple[float, float] | None = None
) -> ClipFacts:
    """Return what is known of one clip; what cannot be found out is named, and hides nothing else.

    Args:
        columns: Terminal cells of the picture in width; 0 for no picture.
        rows: Mel bands of its spectrogram, two to a cell; 0 for the waveform alone.
        span: Part of the clip to draw, as (start, end) in seconds; None for all of it.

    Raises:
        SaoError: The index cannot be read, or has no such clip any more.
    """
    row = services.clips.row_for(relpath)
    if row is None:
        raise SaoError(f"{relpath} is not in the dataset any more.", "Read the folder again.")
    path = services.workspace.dataset_folder / relpath
    picture, picture_problem = (None, row.error) if row.error else _picture(services, path, columns, rows, span)
    tokens, tokens_problem = _tokens(services, row.caption)
    padding, padding_problem = _padding(services, row)
    return ClipFacts(
        row,
        path,
        services.analyses.get([row.id]).get(row.id),
        row.caption,
        tokens,
        tokens_problem,
        padding,
        padding_problem,
        picture,
        picture_problem,
    )


def _picture(
    services: Services, path: Path, columns: int, rows: int, span: tuple[float, float] | None
) -> tuple[ClipPicture | None, str]:
    if columns <= 0:
        return None, ""
    try:
        return services.pictures.picture(path, columns, rows, span), ""
    except SaoError as error:
        return None, error.message


def _tokens(services: Services, prompt: str) -> tuple[TokenCount | None, str]:
    try:
        return services.tokens.count(prompt), ""
    except SaoError as error:
        return None, error.message


def _padding(services: Services, row: ClipRow) -> tuple[Padding | None, str]:
    from sao_tui.services.model_hearing import padding_of, read_hearing

    if row.error:
        return None, ""
    try:
        return padding_of(row.seconds, read_hearing(services.workspace)), ""
    except SaoError as error:
        return None, error.message
