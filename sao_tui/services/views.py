"""Saved filters: kept under their names in `[views]` of sao.toml, where an editor can change them as well."""

from __future__ import annotations

from dataclasses import dataclass

from sao_tui.core.errors import SaoError
from sao_tui.services.workspace import Workspace, save_settings


@dataclass(frozen=True)
class SavedFilter:
    """A filter of the dataset table with a name."""

    name: str
    filter_text: str


class SavedFilters:
    """The saved filters of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def all(self) -> list[SavedFilter]:
        """Return them by name, as sao.toml says now.

        Raises:
            SaoError: sao.toml cannot be read.
        """
        self._workspace.reload()
        views = self._workspace.settings.views
        return [SavedFilter(name, views[name]) for name in sorted(views, key=str.casefold)]

    def save(self, name: str, filter_text: str) -> None:
        """Keep a filter under a name; one of that name is replaced.

        Raises:
            SaoError: The name is empty, the filter is empty or not understood, or sao.toml cannot be written.
        """
        from sao_tui.services.clip_filter import parse_filter

        name, filter_text = name.strip(), filter_text.strip()
        _check_name(name)
        if not filter_text:
            raise SaoError("There is no filter to save.", "Type one after / first.")
        parse_filter(filter_text)
        save_settings(self._workspace, **{f"views.{name}": filter_text})

    def rename(self, old: str, new: str) -> None:
        """Give a saved filter another name.

        Raises:
            SaoError: There is none of the old name or one of the new, or sao.toml cannot be written.
        """
        new = new.strip()
        _check_name(new)
        known = {each.name: each.filter_text for each in self.all()}
        if old not in known:
            raise _unknown(old)
        if new == old:
            return
        if new in known:
            raise SaoError(f"There is a saved filter {new} already.", "Choose another name, or delete that one first.")
        save_settings(self._workspace, **{f"views.{old}": None, f"views.{new}": known[old]})

    def delete(self, name: str) -> None:
        """Forget a saved filter.

        Raises:
            SaoError: There is none of that name, or sao.toml cannot be written.
        """
        if all(each.name != name for each in self.all()):
            raise _unknown(name)
        save_settings(self._workspace, **{f"views.{name}": None})


def _check_name(name: str) -> None:
    if not name:
        raise SaoError("A saved filter needs a name.", "Type one.")


def _unknown(name: str) -> SaoError:
    return SaoError(f"There is no saved filter {name}.", "F on the dataset screen lists those that there are.")
