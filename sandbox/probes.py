"""Finds free ports and reads management ports."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request


def probe(port: int, path: str) -> tuple[int, str]:
    """The status and text of a page of a management port; status 0 if nothing listens there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return int(response.status), response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
