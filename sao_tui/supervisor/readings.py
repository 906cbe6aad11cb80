"""Samples GPU and host beside the supervisor's loop, which a slow driver must not hold up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sao_tui.services.gpu import GpuReading, HostReader, HostSample, read_gpus

SAMPLE_SECONDS = 2.0


class Readings:
    """Takes a sample every few seconds in a thread; the loop fetches what is new."""

    def __init__(
        self,
        folder: Path,
        sample_seconds: float = SAMPLE_SECONDS,
        read: Callable[[], GpuReading] = read_gpus,
    ) -> None:
        """Report the disk that `folder` is on."""
        self._host = HostReader(folder)
        self._sample_seconds = sample_seconds
        self._read = read
        self._newest: dict[str, Any] | None = None
        self._is_stopped = threading.Event()
        # A thread stuck in the driver must not keep the supervisor from ending.
        self._thread = threading.Thread(target=self._sample, name="readings", daemon=True)

    def start(self) -> None:
        """Start sampling."""
        self._thread.start()

    def stop(self) -> None:
        """Stop sampling, without waiting for a driver that does not answer."""
        self._is_stopped.set()
        self._thread.join(timeout=0.5)

    def take(self) -> dict[str, Any] | None:
        """Return the fields of a new `gpu` event, None when there is no new sample."""
        newest, self._newest = self._newest, None
        return newest

    def _sample(self) -> None:
        self._host.read()
        while not self._is_stopped.wait(self._sample_seconds):
            self._newest = event_fields(self._read(), self._host.read())


def event_fields(gpus: GpuReading, host: HostSample) -> dict[str, Any]:
    """Return a `gpu` event: `gpus` is empty where there is none, the host's fields are always there."""
    fields: dict[str, Any] = {"gpus": [asdict(gpu) for gpu in gpus.gpus], **asdict(host)}
    if gpus.state == "error":
        fields["message"] = gpus.message
    return fields
