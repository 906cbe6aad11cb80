"""Widgets of our own, each usable outside the screen it was made for."""
