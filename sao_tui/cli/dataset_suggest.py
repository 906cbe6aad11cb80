"""dataset suggest, suggestions, accept, reject."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sao_tui.cli.answer import Answer, ProgressBar, table
from sao_tui.cli.parser import command, positive
from sao_tui.core.errors import SaoError

if TYPE_CHECKING:
    from sao_tui.services.bundle import Services
    from sao_tui.services.jobs import JobView
    from sao_tui.services.suggestions import Applied, SuggestionFilter, SuggestionRow, Suggestions

_FILTER_HELP = "clips, as in `dataset list`"


def add_commands(commands: Any) -> None:
    """Add them to the commands of `dataset`."""
    suggest = command(commands, "suggest", "dataset_suggest:suggest", "have a captioner suggest captions, in a job")
    suggest.add_argument("captioner", nargs="?", help="tags, signal, clap, hf or openai; without one, all are listed")
    suggest.add_argument("filter", nargs="*", help=_FILTER_HELP + "; all by default")
    suggest.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="how it works; may be given several times"
    )
    suggest.add_argument("--resume", metavar="JOB", help="go on with the clips that an ended job has not done")
    suggest.add_argument("--wait", action="store_true", help="wait until it has ended")
    listing = command(commands, "suggestions", "dataset_suggest:list_suggestions", "list suggested captions")
    _add_choice(listing)
    listing.add_argument(
        "--state", default="pending", choices=("pending", "accepted", "rejected", "superseded", "all"), help="(pending)"
    )
    listing.add_argument("--limit", type=positive, default=None, help="show at most this many")
    listing.add_argument("--offset", type=int, default=0, help="leave out so many first")
    accept = command(commands, "accept", "dataset_suggest:accept", "write suggestions as captions, durably")
    _add_choice(accept)
    accept.add_argument(
        "--mode",
        default="replace",
        choices=("replace", "append", "only-empty"),
        help="what becomes of a caption that is there (replace)",
    )
    accept.add_argument("--text", help="write this in place of what is suggested, for one clip")
    accept.add_argument("--all", action="store_true", help="needed where neither filter, job nor confidence is given")
    reject = command(commands, "reject", "dataset_suggest:reject", "put suggestions aside")
    _add_choice(reject)
    reject.add_argument("--all", action="store_true", help="needed where neither filter, job nor confidence is given")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("filter", nargs="*", help=_FILTER_HELP)
    parser.add_argument("--job", help="only of this job")
    parser.add_argument("--min-confidence", type=float, metavar="X", help="only of at least this confidence")


def suggest(arguments: argparse.Namespace) -> Answer:
    """Start a captioner over clips; without one, list them with what each needs."""
    from sao_tui.core.captioners import captioner
    from sao_tui.services import suggestions
    from sao_tui.services.suggestions_input import check_options

    services = _services(arguments)
    if arguments.resume:
        return _started(services, suggestions.resume(services, arguments.resume), arguments)
    if arguments.captioner is None:
        return _captioners(services)
    options = _options(arguments.option)
    # Before the folder is read, which may take long.
    check_options(services, captioner(arguments.captioner), options)
    _refresh(services)
    ids = services.clips.ids(" ".join(arguments.filter))
    return _started(services, suggestions.start(services, arguments.captioner, ids, options), arguments)


def list_suggestions(arguments: argparse.Namespace) -> Answer:
    """List suggestions with the caption that each clip has now."""
    services, reader, wanted = _chosen(arguments)
    ids = reader.ids(wanted)
    first = max(0, arguments.offset)
    last = len(ids) if arguments.limit is None else first + arguments.limit
    rows = reader.rows(ids[first:last])
    header = ("clip", "now", "suggested", "conf", "source")
    cells = [(row.relpath, row.caption, row.text, _confidence(row), row.source) for row in rows]
    lines = table(cells, header) if rows else ["No suggestion matches. Start a captioner: sao-tui dataset suggest"]
    if first + len(rows) < len(ids):
        lines.append(f"… {len(ids) - first - len(rows)} more")
    from sao_tui.services.suggestions import jobs

    document = {
        "num_suggestions": len(ids),
        "counts": reader.counts(),
        "jobs": [{"job": view.name, "state": view.state} for view in jobs(services)],
        "suggestions": [_document(row) for row in rows],
    }
    return Answer(document, lines)


def accept(arguments: argparse.Namespace) -> Answer:
    """Write suggestions as captions; returns when they are durable."""
    _, reader, wanted = _chosen(arguments)
    _refuse_everything(arguments)
    ids = reader.ids(wanted)
    if arguments.text is not None and len(ids) != 1:
        raise SaoError(
            f"--text is for one suggestion; {len(ids)} match.", "Name one clip in the filter, and a job if need be."
        )
    return _applied(reader.accept(ids, arguments.mode, arguments.text), "accepted")


def reject(arguments: argparse.Namespace) -> Answer:
    """Put suggestions aside; captions stay as they are."""
    _, reader, wanted = _chosen(arguments)
    _refuse_everything(arguments)
    return _applied(reader.reject(reader.ids(wanted)), "rejected")


def _captioners(services: Services) -> Answer:
    from dataclasses import asdict

    from sao_tui.services.captioners import captioner_states

    states = captioner_states(services.workspace)
    lines: list[str] = []
    for state in states:
        lines.append(f"{state.info.name:<8}{'ready' if state.is_available else 'not here':<10}{state.info.title}")
        lines += [f"        {state.missing}"] if state.missing else []
        lines += [] if state.is_available else [f"        get it: {state.info.way}"]
        lines += [f"        {option.name}={option.default}  {option.help}" for option in state.info.options]
    document = [
        {**_info(asdict(state.info)), "available": state.is_available, "missing": state.missing} for state in states
    ]
    return Answer({"captioners": document}, lines)


def _info(info: dict[str, Any]) -> dict[str, Any]:
    options = [{name: each[name] for name in ("name", "default", "help")} for each in info["options"]]
    return {name: info[name] for name in ("name", "title", "needs", "way")} | {"options": options}


def _started(services: Services, job: JobView, arguments: argparse.Namespace) -> Answer:
    document: dict[str, Any] = {"job": job.name, "path": str(job.path), "num_clips": job.steps}
    if not arguments.wait:
        return Answer(document, [f"{job.name} has started. See what it suggests: sao-tui dataset suggestions"])
    bar = ProgressBar(quiet=arguments.json)
    ended = services.jobs.wait(job.name, on_poll=lambda view: bar(view.state, view.step, view.steps))
    bar.close()
    from sao_tui.services.suggestions import SuggestionFilter, Suggestions

    reader = Suggestions(services)
    reader.refresh()
    number = len(reader.ids(SuggestionFilter(job=job.name)))
    document |= {"state": ended.state, "num_suggestions": number, "num_clips": ended.steps, "done": ended.step}
    document |= {"reason": ended.reason, "hint": ended.hint, "log_tail": list(ended.log_tail)}
    reason = f": {ended.reason}" if ended.reason else ""
    lines = [f"{job.name} {ended.state}, {number} suggestions for {ended.steps} clips{reason}"]
    lines += [f"hint: {ended.hint}"] if ended.hint else []
    return Answer(document, lines + [f"  {line}" for line in ended.log_tail], ok=ended.state in ("finished", "stopped"))


def _applied(applied: Applied, verb: str) -> Answer:
    document = {
        "num_decided": applied.num_decided,
        "num_changed": applied.num_changed,
        "num_skipped": applied.num_skipped,
    }
    return Answer(document, [applied.in_words(verb) + "."], ok=applied.num_decided > 0)


def _chosen(arguments: argparse.Namespace) -> tuple[Services, Suggestions, SuggestionFilter]:
    """Return the services, a reader that is up to date, and which suggestions the arguments mean."""
    from sao_tui.services.suggestions import SuggestionFilter, Suggestions

    services = _services(arguments)
    _refresh(services)
    reader = Suggestions(services)
    reader.refresh()
    reader.mirror()
    if arguments.job is not None:
        services.jobs.get(arguments.job)
    text = " ".join(arguments.filter)
    relpaths = None
    if text:
        from sao_tui.services.suggestions import relpaths_of

        relpaths = relpaths_of(services, services.clips.ids(text))
    state = getattr(arguments, "state", "pending")
    return services, reader, SuggestionFilter(arguments.job, arguments.min_confidence, relpaths, state)


def _refuse_everything(arguments: argparse.Namespace) -> None:
    if not (arguments.filter or arguments.job or arguments.min_confidence is not None or arguments.all):
        raise SaoError("That would decide on every suggestion.", "Give a filter, --job or --min-confidence, or --all.")


def _options(given: list[str]) -> dict[str, str]:
    options = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise SaoError("An option must be NAME=VALUE.", "Such as --option top_k=5")
        options[name.strip()] = value
    return options


def _confidence(row: SuggestionRow) -> str:
    return "" if row.confidence is None else f"{row.confidence:.2f}"


def _document(row: SuggestionRow) -> dict[str, Any]:
    return {
        "clip": row.relpath,
        "caption": row.caption,
        "suggested": row.text,
        "confidence": row.confidence,
        "source": row.source,
        "job": row.job,
        "state": row.state,
        "details": dict(row.details),
    }


def _services(arguments: argparse.Namespace) -> Services:
    from sao_tui.services.bundle import build_services

    return build_services(arguments.workspace)


def _refresh(services: Services) -> None:
    from sao_tui.services.clips import refresh

    refresh(services.clips, services.captions)
