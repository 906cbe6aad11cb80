"""Saved filters in sao.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.services.views import SavedFilter, SavedFilters
from sao_tui.services.workspace import init_workspace, save_settings


@pytest.fixture
def filters(tmp_path: Path) -> SavedFilters:
    return SavedFilters(init_workspace(tmp_path))


def test_a_saved_filter_is_in_the_file_with_all_comments_kept(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    filters = SavedFilters(workspace)
    filters.save("short ones", "dur<2 uncaptioned:yes")
    filters.save("Äther.1", 'folder:"a b"')
    assert filters.all() == [
        SavedFilter("short ones", "dur<2 uncaptioned:yes"),
        SavedFilter("Äther.1", 'folder:"a b"'),
    ]
    text = workspace.settings_file.read_text()
    assert "# Weights that training starts from" in text
    assert '"short ones" = "dur<2 uncaptioned:yes"' in text


def test_what_an_editor_writes_is_seen_at_the_next_question(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    filters = SavedFilters(workspace)
    assert filters.all() == []
    with workspace.settings_file.open("a") as file:
        file.write('\n[views]\n# mine\nkicks = "kick"\n')
    assert filters.all() == [SavedFilter("kicks", "kick")]
    filters.save("snares", "snare")
    assert "# mine" in workspace.settings_file.read_text()


def test_renaming_never_takes_the_name_of_another(filters: SavedFilters) -> None:
    filters.save("a", "kick")
    filters.save("b", "snare")
    with pytest.raises(SaoError, match="already"):
        filters.rename("a", "b")
    filters.rename("a", " c ")
    assert [(each.name, each.filter_text) for each in filters.all()] == [("b", "snare"), ("c", "kick")]
    filters.rename("b", "b")
    with pytest.raises(SaoError, match="no saved filter a"):
        filters.rename("a", "d")


def test_a_deleted_filter_is_gone(filters: SavedFilters) -> None:
    filters.save("a", "kick")
    filters.delete("a")
    assert filters.all() == []
    with pytest.raises(SaoError, match="no saved filter a"):
        filters.delete("a")


@pytest.mark.parametrize(("name", "text"), [("", "kick"), (" ", "kick"), ("a", " "), ("a", "dur<nothing")])
def test_what_makes_no_sense_is_not_saved(filters: SavedFilters, name: str, text: str) -> None:
    with pytest.raises(SaoError):
        filters.save(name, text)
    assert filters.all() == []


def test_a_view_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    workspace = init_workspace(tmp_path)
    with pytest.raises(SaoError, match=r"views\.a must be text"):
        save_settings(workspace, **{"views.a": 3})
