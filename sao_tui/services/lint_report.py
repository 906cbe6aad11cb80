"""The whole look at a dataset, from folders to captions, as `dataset lint` and the lint dialog show it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sao_tui.core.errors import SaoError
from sao_tui.core.findings import Finding
from sao_tui.services.lint import Found, LintReport, Tell, run_lint

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services


def lint_dataset(services: Services, tell: Tell | None = None, *, measure: bool = True) -> LintReport:
    """Bring the index up to date and look at everything.

    Args:
        measure: Measure clips first whose sound has not been measured.

    Raises:
        SaoError: sao.toml or the index cannot be used.
    """
    from sao_tui.services.clips import refresh
    from sao_tui.services.doctor import check_dataset_folders
    from sao_tui.services.split import mirror_split

    say = tell or (lambda stage, done, total: None)
    folders = tuple(Found(finding, 0) for finding in check_dataset_folders(services.workspace))
    folder = services.workspace.dataset_folder
    try:
        refresh(services.clips, services.captions, lambda done, total: say("reading the clips", done, total))
        mirror_split(folder, services.clips)
    except SaoError as error:
        name = "dataset-unreadable" if folder.is_dir() else "dataset-empty"
        unusable = Found(Finding(name, "error", error.message, str(folder), error.hint), 0)
        return LintReport((*folders, unusable), 0, 0)
    report = run_lint(services, say, measure=measure)
    return replace(report, found=(*folders, *report.found))
