"""Typed models of upstream's configs and of ours; importing them brings pydantic, so import them late."""
