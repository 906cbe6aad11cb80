"""Requests to a running worker: files in the job's requests/ folder, or SIGTERM."""

from __future__ import annotations

from sao_tui.core.control import Control

__all__ = ["Control"]
