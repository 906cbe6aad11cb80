"""Suggestions: what jobs wrote is read once, decided on durably, and accepted as one edit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sao_tui.core.captioners import CAPTIONERS
from sao_tui.core.endpoints import completions_url, is_loopback
from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import JobFolder, JobSpec
from sao_tui.services import suggestions
from sao_tui.services.bundle import Services, build_services
from sao_tui.services.captioners import captioner_states, missing_packages
from sao_tui.services.clips import refresh
from sao_tui.services.suggestions import SuggestionFilter, Suggestions, appended
from sao_tui.services.suggestions_input import check_options, phrases_in_use, write_clips
from sao_tui.services.workspace import init_workspace

NAMES = ("kick.wav", "pads/soft.wav", "pads/[b]odd\udcff.wav")


@pytest.fixture
def services(tmp_path: Path) -> Services:
    workspace = init_workspace(tmp_path / "w")
    for name in NAMES:
        path = workspace.dataset_folder / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path.open("wb"), np.zeros(800, np.float32), 8_000, format="WAV")
    services = build_services(workspace.root)
    services.captions.set("pads/soft.wav", "a soft pad, warm")
    refresh(services.clips, services.captions)
    return services


def write_job(services: Services, name: str, lines: list[dict[str, Any]], state: str = "finished") -> Path:
    folder = JobFolder(services.workspace.runs_folder / name)
    settings = {"captioner": "tags", "options": {}, "num_clips": 3}
    folder.create(JobSpec("suggest", float(name[-1]), settings, {}, {}, "python"))
    folder.status_file.write_text(json.dumps({"state": state, "step": len(lines), "steps": 3}))
    write_clips(services, list(services.clips.ids()), folder.path)
    text = "".join(json.dumps({"t": float(name[-1]), "source": "tags", "details": {}, **line}) + "\n" for line in lines)
    (folder.path / "suggestions.jsonl").write_text(text)
    return folder.path


def three(words: str = "new") -> list[dict[str, Any]]:
    scores = (0.9, 0.4, None)
    return [{"relpath": n, "text": f"{words} {i}", "confidence": scores[i]} for i, n in enumerate(NAMES)]


def texts(reader: Suggestions, **wanted: Any) -> list[str]:
    return [row.text for row in reader.rows(reader.ids(SuggestionFilter(**wanted)))]


def suggested_clips(services: Services) -> set[str]:
    query = "SELECT relpath FROM clips JOIN lint ON clip_id = id WHERE rule = 'suggestion'"
    return {row[0].decode(errors="surrogateescape") for row in services.clips.database.query(query)}


def test_suggestions_are_read_with_the_caption_of_now_and_mirrored_for_the_filter(services: Services) -> None:
    write_job(services, "job-1", three())
    reader = Suggestions(services)
    assert reader.refresh() == 3
    rows = reader.rows(reader.ids(SuggestionFilter()))
    assert {row.relpath: row.caption for row in rows}["pads/soft.wav"] == "a soft pad, warm"
    assert suggested_clips(services) == set(NAMES)
    assert reader.refresh() == 0


def test_lines_that_come_later_are_read_and_a_torn_one_waits(services: Services) -> None:
    file = write_job(services, "job-1", three()[:1]) / "suggestions.jsonl"
    reader = Suggestions(services)
    reader.refresh()
    line = json.dumps({"t": 2.0, "relpath": NAMES[1], "text": "later", "confidence": 0.5, "source": "tags"}) + "\n"
    with file.open("a") as out:
        out.write(line[:20])
    assert reader.refresh() == 0
    with file.open("a") as out:
        out.write(line[20:])
    reader.refresh()
    assert texts(reader) == ["new 0", "later"]


def test_accepting_all_is_one_edit_that_one_undo_takes_back(services: Services) -> None:
    write_job(services, "job-1", three())
    reader = Suggestions(services)
    reader.refresh()
    applied = reader.accept(reader.ids(SuggestionFilter()))
    assert (applied.num_decided, applied.num_changed) == (3, 3)
    assert services.captions.get("pads/soft.wav") == "new 1"
    assert texts(reader) == [] and suggested_clips(services) == set()
    assert reader.undo(applied) == "undone: 3 suggestions accepted"
    assert services.captions.get("pads/soft.wav") == "a soft pad, warm"
    assert services.clips.row_for("kick.wav").caption == ""  # type: ignore[union-attr]
    assert len(texts(reader)) == 3 and suggested_clips(services) == set(NAMES)


def test_decisions_outlive_the_cache_and_the_newest_counts(services: Services) -> None:
    write_job(services, "job-1", three())
    reader = Suggestions(services)
    reader.refresh()
    rejected = reader.reject(reader.ids(SuggestionFilter(min_confidence=0.5)))
    reader.accept(reader.ids(SuggestionFilter(relpaths=[NAMES[1]])))
    for file in services.workspace.cache_folder.glob("suggestions.sqlite*"):
        file.unlink()
    again = Suggestions(services)
    again.refresh()
    assert again.counts() == {"accepted": 1, "pending": 1, "rejected": 1}
    again.reopen(rejected.keys)
    assert sorted(texts(again)) == ["new 0", "new 2"]


def test_only_empty_leaves_captions_alone_and_says_so(services: Services) -> None:
    write_job(services, "job-1", three())
    reader = Suggestions(services)
    reader.refresh()
    applied = reader.accept(reader.ids(SuggestionFilter()), "only-empty")
    assert applied.in_words("accepted") == "2 accepted, 1 left: captioned already"
    assert services.captions.get("pads/soft.wav") == "a soft pad, warm"
    assert texts(reader) == ["new 1"]


def test_append_adds_only_phrases_that_are_not_there() -> None:
    assert appended("a soft pad, warm", "Warm, 90 BPM") == "a soft pad, warm, 90 BPM"
    assert appended(" ", "warm") == "warm"


def test_an_edited_text_is_what_is_written(services: Services) -> None:
    write_job(services, "job-1", three())
    reader = Suggestions(services)
    reader.refresh()
    reader.accept(reader.ids(SuggestionFilter(min_confidence=0.8)), "append", "my own words")
    assert services.captions.get("kick.wav") == "my own words"


def test_a_newer_suggestion_of_the_same_captioner_takes_the_place_of_the_older(services: Services) -> None:
    write_job(services, "job-1", three("old"))
    write_job(services, "job-2", three("new")[:2])
    reader = Suggestions(services)
    reader.refresh()
    assert sorted(texts(reader)) == ["new 0", "new 1", "old 2"]
    assert reader.counts()["superseded"] == 2


def test_suggestions_of_a_removed_job_are_gone(services: Services) -> None:
    import shutil

    job = write_job(services, "job-1", three())
    reader = Suggestions(services)
    reader.refresh()
    shutil.rmtree(job)
    reader.refresh()
    assert texts(reader) == [] and suggested_clips(services) == set()


def test_a_cache_that_is_no_database_is_made_anew(services: Services) -> None:
    write_job(services, "job-1", three())
    (services.workspace.cache_folder / "suggestions.sqlite").write_bytes(b"nonsense" * 400)
    reader = Suggestions(services)
    assert reader.refresh() == 3


def test_lines_that_are_no_suggestions_are_passed_over(services: Services) -> None:
    file = write_job(services, "job-1", three()[:1]) / "suggestions.jsonl"
    with file.open("ab") as out:
        out.write(b'[1]\n{"relpath": 3}\n\xff\xfe\n{"relpath": "kick.wav", "text": ""}\n{"relpath": "x", "text": 4}\n')
    reader = Suggestions(services)
    reader.refresh()
    assert texts(reader) == ["new 0"]


def test_a_hundred_thousand_suggestions_are_paged(services: Services) -> None:
    lines = [{"relpath": f"c/{number:06}.wav", "text": "x", "confidence": 0.5} for number in range(100_000)]
    write_job(services, "job-1", lines)
    reader = Suggestions(services)
    assert reader.refresh() == 100_000
    ids = reader.ids(SuggestionFilter())
    assert len(ids) == 100_000 and ids.itemsize * len(ids) < 1_000_000
    assert [row.relpath for row in reader.rows(ids[99_998:])] == ["c/099998.wav", "c/099999.wav"]


def test_resuming_takes_the_clips_that_are_not_done(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    write_job(services, "job-1", three()[:1], state="stopped")
    started: list[Any] = []

    def start_suggest(settings: Any, fill: Any, name: Any = None) -> str:
        folder = services.workspace.root / "filled"
        folder.mkdir()
        fill(folder)
        started.append((settings, [json.loads(x)["relpath"] for x in (folder / "clips.jsonl").open()]))
        return "view"

    monkeypatch.setattr(services.jobs, "start_suggest", start_suggest)
    suggestions.resume(services, "job-1")
    settings, relpaths = started[0]
    assert settings.resumed_from == "job-1" and settings.num_clips == 2
    assert sorted(relpaths) == sorted(NAMES[1:])


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("tags", {"folder": "2"}, "folders"),
        ("tags", {"folders": "many"}, "whole number"),
        ("clap", {"top_k": "0"}, "between 1 and 20"),
        ("hf", {}, "needs the option model"),
        ("openai", {"url": "http://example.org/v1", "model": "m"}, "another machine"),
        ("openai", {"url": "https://user:pw@example.org/v1", "model": "m"}, "must not hold"),
        ("openai", {"url": "https://example.org/v1?key=s", "model": "m"}, "must not hold"),
        ("openai", {"url": "https://example.org/v1", "model": "m", "api_key": "sk-1"}, "no option"),
        ("openai", {"url": "https://example.org/v1", "model": "m"}, "holds no key"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_starts(
    services: Services, name: str, options: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(SaoError) as caught:
        check_options(services, CAPTIONERS[name], options)
    assert said in caught.value.message + caught.value.hint
    assert "pw" not in caught.value.message and "sk-1" not in caught.value.message


def test_the_endpoint_of_the_settings_is_used_where_none_is_given(services: Services) -> None:
    file = services.workspace.settings_file
    file.write_text(file.read_text() + '\n[suggest]\nurl = "http://127.0.0.1:9/v1"\nmodel = "ears"\n')
    services.workspace.reload()
    options = check_options(services, CAPTIONERS["openai"], {})
    assert (options["url"], options["model"]) == ("http://127.0.0.1:9/v1", "ears")


def test_urls_are_completed_and_loopback_is_known_by_its_address() -> None:
    assert completions_url("http://localhost:80/v1/") == "http://localhost:80/v1/chat/completions"
    assert completions_url("https://h/v1/chat/completions") == "https://h/v1/chat/completions"
    assert is_loopback("http://127.0.0.5/") and is_loopback("http://[::1]:8/")
    assert not is_loopback("http://127.0.0.1.example.org/") and not is_loopback("http://localhost.example.org/")


def test_the_vocabulary_is_the_phrases_in_use_the_most_used_first(services: Services) -> None:
    services.captions.set("kick.wav", "Warm, a kick")
    assert phrases_in_use(services)[0] == "warm"


def test_what_an_interpreter_lacks_is_asked_of_it(services: Services, tmp_path: Path) -> None:
    assert missing_packages(str(tmp_path / "no-python"), ["json"]) is None
    states = {state.info.name: state for state in captioner_states(services.workspace)}
    assert states["tags"].is_available


def test_nothing_starts_without_clips(services: Services) -> None:
    with pytest.raises(SaoError, match="no clips"):
        suggestions.start(services, "tags", [], {})
    assert list(services.workspace.runs_folder.iterdir()) == []


def test_a_job_whose_clips_cannot_be_written_leaves_no_folder(services: Services) -> None:
    with pytest.raises(SaoError, match="Cannot read"):
        suggestions.start(services, "clap", list(services.clips.ids()), {"vocabulary": "missing.txt"})
    assert list(services.workspace.runs_folder.iterdir()) == []
