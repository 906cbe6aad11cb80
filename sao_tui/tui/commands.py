"""The palette: every key's action by name, the same actions that the keys run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider


class _Command(NamedTuple):
    name: str
    help: str
    run: Callable[[], object]


class KeyCommands(Provider):
    """What the keys do on the screen that the palette was opened on."""

    async def discover(self) -> Hits:
        """Offer everything."""
        for command in self._commands():
            yield DiscoveryHit(command.name, command.run, help=command.help)

    async def search(self, query: str) -> Hits:
        """Offer what matches by name or by what it does."""
        matcher = self.matcher(query)
        for command in self._commands():
            score = max(matcher.match(command.name), matcher.match(command.help))
            if score > 0:
                yield Hit(score, matcher.highlight(command.name), command.run, help=command.help)

    def _commands(self) -> Iterator[_Command]:
        seen: set[str] = set()
        for node, binding, enabled, tooltip in self.screen.active_bindings.values():
            if binding.id is None or not tooltip or not enabled or binding.action in seen:
                continue
            seen.add(binding.action)
            name = f"{binding.description} ({self.app.get_key_display(binding)})"
            yield _Command(name, tooltip, partial(self.app.run_action, binding.action, node))
        yield _Command("Theme", "Change the colours; the choice is kept in sao.toml", self.app.action_change_theme)
