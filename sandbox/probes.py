"""Ports of the sandbox's processes: finds a free one, reads a management port."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request


def probe(port: int, path: str) -> tuple[int, str]:
    """Status and text of a management port's page; status 0 where nothing answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
