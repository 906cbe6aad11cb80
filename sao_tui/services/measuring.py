"""Measuring one clip now, for who waits for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sao_tui.services.analyser import CHILD_ARGV
from sao_tui.services.analyser_child import AnalysisChild
from sao_tui.services.analysis import Analysis

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.clips import ClipRow

_WAIT_SECONDS = 1.0


def measure_clip(services: Services, row: ClipRow) -> Analysis:
    """Return the analysis of a clip; where it is missing a child measures it, which may crash, and it is kept.

    The child also keeps the filters' libraries, some 60 MB, out of the dashboard.

    Raises:
        SaoError: The index cannot be read or written, or no process can be started.
    """
    known = services.analyses.get([row.id]).get(row.id)
    missing = services.analyses.missing([row.id]) if known is None else []
    if not missing:
        return known or Analysis(error=row.error)
    cache = services.workspace.cache_folder
    folder = services.workspace.dataset_folder
    child = AnalysisChild(CHILD_ARGV, folder, cache / "analysis" / "one.log", time.monotonic)
    try:
        child.give(missing)
        while (found := child.receive(_WAIT_SECONDS)) is None:
            continue
        _, version, analysis = found
    except EOFError:
        _, reason = child.bury()
        version, analysis = missing[0].version, Analysis(error=f"the analysis of it crashed: {reason}")
    finally:
        child.close()
    services.analyses.put({row.id: (version, analysis)})
    return analysis
