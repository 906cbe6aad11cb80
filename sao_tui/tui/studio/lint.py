"""What is wrong with clips and captions, and the key that fixes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import get_current_worker

from sao_tui.tui.dialogs import confirm
from sao_tui.tui.studio.base import StudioDialog, StudioResult, key_line
from sao_tui.tui.text import one_line
from sao_tui.tui.widgets.row_table import Row, RowTable

if TYPE_CHECKING:
    from sao_tui.services.lint import Found, LintReport
    from sao_tui.services.lint_fixes import CaptionFix

MAX_SHOWN = 8
"""Captions of a preview; the number of all of them stands above."""


class FindingTable(RowTable, inherit_bindings=True):
    """The findings, the gravest first."""

    COLUMNS: ClassVar[tuple[tuple[str, int], ...]] = (("", 8), ("clips", 7), ("finding", 0))


class LintDialog(StudioDialog):
    """Findings with their cures; always over the whole dataset."""

    TITLE_TEXT = "Lint"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "show", "Show clips", id="lint.show", tooltip="Show the clips of this finding in the table"),
        Binding("x", "fix", "Fix", id="lint.fix", tooltip="Cure this finding; what would change is shown first"),
        Binding("r", "run", "Look again", id="lint.run", tooltip="Look at everything again"),
        Binding("m", "measure", "Measure", id="lint.measure", tooltip="Measure the sound of all clips, then look"),
    ]

    @dataclass
    class Progressed(Message):
        """Lint goes on."""

        stage: str
        done: int
        total: int

        def can_replace(self, message: Message) -> bool:
            """Only the newest level counts."""
            return isinstance(message, LintDialog.Progressed)

    @dataclass
    class Linted(Message):
        """Lint has ended."""

        report: LintReport

    @dataclass
    class CaptionsProposed(Message):
        """What the captions of a finding would become."""

        rule: str
        fixes: list[CaptionFix]

    @dataclass
    class ClipsProposed(Message):
        """Which clips would be set aside."""

        rule: str
        relpaths: list[str]

    @dataclass
    class Fixed(Message):
        """A finding has been cured."""

        text: str
        captions_changed: bool = False
        clips_changed: bool = False

    _report: LintReport | None = None
    _result = StudioResult()
    _is_busy = False

    def compose_body(self) -> Iterable[Widget]:
        """Summary, findings, what is to be done about the one under the cursor."""
        yield Static(id="summary", classes="studio--hint")
        yield FindingTable(id="findings")
        yield Static(id="cure")
        yield key_line(
            [("enter", "show clips"), ("x", "fix"), ("m", "measure all"), ("r", "again"), ("escape", "close")]
        )

    def on_mount(self) -> None:
        """Look once the dialog is on the screen."""
        self.query_one("Vertical").border_title = f"{self.TITLE_TEXT} · all clips"
        self.call_after_refresh(self.action_run)

    def action_run(self) -> None:
        """Look at everything with what is measured so far."""
        self._start(measure=False)

    def action_measure(self) -> None:
        """Measure what is not measured yet and look again."""
        self._start(measure=True)

    def _start(self, *, measure: bool) -> None:
        if not self._is_busy:
            self._is_busy = True
            self._say("looking…")
            self._lint(measure)

    @work(thread=True, group="lint", exit_on_error=False)
    def _lint(self, measure: bool) -> None:
        from sao_tui.services.lint_report import lint_dataset

        worker = get_current_worker()

        def tell(stage: str, done: int, total: int) -> None:
            if not worker.is_cancelled:
                self.post_message(self.Progressed(stage, done, total))

        try:
            self.post_message(self.Linted(lint_dataset(self.services, tell, measure=measure)))
        finally:
            self._is_busy = False

    @on(Progressed)
    def _show_progress(self, message: Progressed) -> None:
        if self._is_busy:
            self._say(f"{message.stage} {message.done}" + (f" of {message.total}" if message.total else "") + "…")

    @on(Linted)
    def _show_report(self, message: Linted) -> None:
        report = self._report = message.report
        rows = [
            Row(str(number), (found.finding.severity, f"{found.num_clips or ''}", one_line(found.finding.message)))
            for number, found in enumerate(report.found)
        ]
        self.query_one(FindingTable).set_rows(
            [replace(row, is_bad=row.cells[0] == "error") for row in rows],
        )
        self._say(_summary(report))
        self._show_cure()
        self.query_one(FindingTable).focus()

    @on(RowTable.Highlighted)
    def _show_cure(self) -> None:
        found = self._current
        text = Content("")
        if found is not None:
            text = Content.assemble(one_line(found.finding.message), "\n", (f"→ {found.finding.fix}", "$text-accent"))
        self.query_one("#cure", Static).update(text, layout=False)

    @property
    def _current(self) -> Found | None:
        key = self.query_one(FindingTable).current_key
        return self._report.found[int(key)] if self._report is not None and key else None

    def _say(self, text: str) -> None:
        self.query_one("#summary", Static).update(Content(text), layout=False)

    def action_show(self) -> None:
        """Close and show the clips of the finding."""
        found = self._current
        if found is None:
            return
        if not found.num_clips or found.phrase:
            self._say("this finding is about the dataset as a whole")
            return
        self.dismiss(replace(self._result, filter_text=f"lint:{found.finding.id}"))

    def action_close(self) -> None:
        """Close; the screen below reads again what was changed."""
        self.dismiss(self._result if self._result != StudioResult() else None)

    def action_fix(self) -> None:
        """Prepare the cure of the finding, which is shown before anything changes."""
        from sao_tui.services.lint_rules import BY_ID, CAPTION_INVARIANT

        found = self._current
        if found is None:
            return
        rule = BY_ID.get(found.finding.id)
        kind = "captions" if found.finding.id == CAPTION_INVARIANT else rule.fix_kind if rule else ""
        if kind in ("captions", "aside"):
            self._propose(found.finding.id, kind, found.phrase)
        elif kind == "prepare":
            self.dismiss(
                replace(self._result, filter_text=f"lint:{found.finding.id}", note="p prepares the clips shown")
            )
        elif kind == "show":
            self.action_show()
        else:
            self._say(found.finding.fix)

    @work(thread=True, group="fix", exclusive=True, exit_on_error=False)
    def _propose(self, rule: str, kind: str, phrase: str) -> None:
        from sao_tui.services.lint_fixes import caption_fixes, clips_to_set_aside

        if kind == "captions":
            self.post_message(self.CaptionsProposed(rule, caption_fixes(self.services, rule, phrase)))
        else:
            self.post_message(self.ClipsProposed(rule, clips_to_set_aside(self.services, rule)))

    @on(CaptionsProposed)
    def _ask_about_captions(self, message: CaptionsProposed) -> None:
        fixes = message.fixes
        if not fixes:
            self._say("nothing to change: edit these captions by hand (enter shows them)")
            return
        lines = [f"{one_line(fix.before)}\n  → {one_line(fix.after)}" for fix in fixes[:MAX_SHOWN]]
        self._ask(
            f"Change {_captions(len(fixes))}?",
            _with_rest(lines, len(fixes)) + "\n\nu takes it back.",
            "change",
            lambda: self._write(message.rule, fixes),
        )

    @on(ClipsProposed)
    def _ask_about_clips(self, message: ClipsProposed) -> None:
        relpaths = message.relpaths
        if not relpaths:
            self._say("nothing to set aside")
            return
        text = _with_rest([one_line(relpath) for relpath in relpaths[:MAX_SHOWN]], len(relpaths))
        self._ask(
            f"Set {len(relpaths)} clip{'s' * (len(relpaths) != 1)} aside?",
            f"{text}\n\nThey go to {self.services.workspace.root / 'set-aside'}; nothing is deleted.",
            "set aside",
            lambda: self._set_aside(relpaths),
        )

    def _ask(self, title: str, text: str, yes: str, go: Callable[[], object]) -> None:
        def settle(answer: str | None) -> None:
            if answer == "yes":
                go()

        self.app.push_screen(confirm(title, text, yes), settle)

    @work(thread=True, group="fix", exit_on_error=False)
    def _write(self, rule: str, fixes: Sequence[CaptionFix]) -> None:
        from sao_tui.services.captioning import write

        expected = {fix.relpath: fix.before for fix in fixes}
        num = write(self.services, {fix.relpath: fix.after for fix in fixes}, f"lint: {rule}", expected=expected)
        self.post_message(self.Fixed(f"{_captions(num)} changed", captions_changed=True))

    @work(thread=True, group="fix", exit_on_error=False)
    def _set_aside(self, relpaths: Sequence[str]) -> None:
        from sao_tui.services.set_aside import set_aside

        done = set_aside(self.services.workspace, relpaths)
        stayed = "".join(f"; {relpath} stays: {reason}" for relpath, reason in done.failed[:1])
        self.post_message(self.Fixed(f"{len(done.moved)} set aside{stayed}", clips_changed=True))

    @on(Fixed)
    def _note_fix(self, message: Fixed) -> None:
        self._result = replace(
            self._result,
            note=message.text,
            captions_changed=self._result.captions_changed or message.captions_changed,
            clips_changed=self._result.clips_changed or message.clips_changed,
        )
        self.app.notify(message.text, markup=False)
        self.action_run()


def _summary(report: LintReport) -> str:
    if not report.found:
        return f"{report.num_clips:,} clips, nothing to complain about."
    unmeasured = f" · {report.num_unmeasured:,} not measured yet: m" if report.num_unmeasured else ""
    return f"{report.num_clips:,} clips · {len(report.found)} finding{'s' * (len(report.found) != 1)}{unmeasured}"


def _captions(num: int) -> str:
    return f"{num:,} caption{'s' * (num != 1)}"


def _with_rest(lines: Sequence[str], num: int) -> str:
    return "\n".join(lines) + (f"\n… and {num - len(lines):,} more" if num > len(lines) else "")
