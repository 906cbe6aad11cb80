"""Which URLs a captioner may send sounds and a key to."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from sao_tui.core.errors import SaoError

_PATH = "/chat/completions"


def completions_url(text: str) -> str:
    """Return the /chat/completions URL of an OpenAI-compatible endpoint given by its base or in full.

    Raises:
        SaoError: It is no URL, is not https although remote, or has a user, password or query in it.
    """
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise SaoError("The option url is no URL.", "Such as https://api.openai.com/v1") from error
    if parts.scheme not in ("http", "https") or not host:
        raise SaoError("The option url must begin with https:// (or http:// on this machine).", "https://HOST/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SaoError(
            "The option url must not hold a user, a password or a query.",
            "Jobs keep their options: give the key in an environment variable.",
        )
    if parts.scheme == "http" and not is_loopback(text):
        raise SaoError(f"{host} is another machine: http would show it to everybody in between.", "Use https.")
    path = parts.path.rstrip("/")
    path = path if path.endswith(_PATH) else path + _PATH
    return f"{parts.scheme}://{parts.netloc}{path}"


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this very machine by its address, or by the name localhost."""
    host = urlsplit(url.strip()).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
