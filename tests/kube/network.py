"""A cluster's DNS and Services on the loopback: replaces host names by the address of a ready pod."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

_BYTES: Final = 65536


class Network:
    """The Services of one namespace; what is ``elsewhere`` (``name:port``) has an address already.

    ``behind`` finds the port of a pod behind a Service's port, if one is ready.
    """

    def __init__(self, namespace: str, elsewhere: Mapping[str, str], behind: Callable[[str, int], int | None]) -> None:
        self._name = re.compile(rf"\b([a-z0-9-]+)\.{namespace}(?::([0-9]+))?")
        self._elsewhere = elsewhere
        self._behind = behind
        self._leads: dict[tuple[str, int], _Lead] = {}

    def local(self, text: str) -> str:
        """The text with addresses of this machine for those of the cluster."""
        for name, address in self._elsewhere.items():
            text = text.replace(name, address)
        return self._name.sub(lambda found: self.address(found[1], int(found[2] or 80)), text)

    def address(self, service: str, port: int) -> str:
        """Where a Service's port is; it need not be there yet."""
        if (service, port) not in self._leads:
            lead = self._leads[service, port] = _Lead(lambda: self._behind(service, port))
            threading.Thread(target=lead.serve_forever, name=f"service {service}", daemon=True).start()
        return f"127.0.0.1:{self._leads[service, port].server_address[1]}"

    def close(self) -> None:
        for lead in self._leads.values():
            lead.shutdown()
            lead.server_close()


class _Lead(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, target: Callable[[], int | None]) -> None:
        self.target = target
        super().__init__(("127.0.0.1", 0), _Connection)


class _Connection(socketserver.BaseRequestHandler):
    server: _Lead

    def handle(self) -> None:
        port = self.server.target()
        if port is None:
            return  # a Service without a pod takes no connection
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as pod:
            back = threading.Thread(target=_pass, args=(pod, self.request), daemon=True)
            back.start()
            _pass(self.request, pod)
            back.join()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_BYTES):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
