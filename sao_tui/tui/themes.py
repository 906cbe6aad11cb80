"""Themes, and the variables that the screens' style sheets use beside Textual's own."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="sao-dark",
    primary="#5aa9e6",
    secondary="#7fc8a9",
    accent="#f2b84b",
    warning="#e8a33d",
    error="#e5677a",
    success="#7fc97f",
    foreground="#d8dee4",
    background="#101418",
    surface="#161b20",
    panel="#1f262d",
    dark=True,
)
LIGHT = Theme(
    name="sao-light",
    primary="#1f6fb2",
    secondary="#2c7a5b",
    accent="#9a5b00",
    warning="#9a5b00",
    error="#b3263e",
    success="#2c7a3f",
    foreground="#1d2328",
    background="#fbfbf9",
    surface="#f1f1ee",
    panel="#e4e5e1",
    dark=False,
)
THEMES = (DARK, LIGHT)

DEFAULT_THEME = DARK.name

VARIABLES = {"panel-edge": "#6b7885", "chart-raw": "#56728a", "chart-smooth": "#f2b84b"}
"""Defaults of our own variables, valid in every theme; plain values, as Textual resolves none here."""
