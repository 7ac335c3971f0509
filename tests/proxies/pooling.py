"""NGINX and HAProxy as they stand in front of an ingress: with a pool of connections that later calls use again."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from paynotify.sandbox.probes import free_port
from tests.proxies.tools import environment, proxy

PROXIES: Final = ("nginx", "haproxy")
DEADLINE_SECONDS: Final = 10

_NGINX: Final = """
worker_processes 1; daemon off; master_process off; error_log error.log warn; pid nginx.pid;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u;
  scgi_temp_path s; underscores_in_headers on; ignore_invalid_headers off; proxy_ignore_client_abort on;
  upstream ingress {{ {servers} keepalive 32; keepalive_timeout {idle_milliseconds}ms; }}
  server {{
    listen {port} reuseport;
    keepalive_timeout 60s;
    location / {{
      proxy_pass http://ingress; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; {more}
    }}
  }}
}}
"""

#: `{more}` is for the line of a server.
_HAPROXY: Final = """
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 10s
  option forwardfor
  option redispatch 1
frontend notifications
  bind {listen}
  default_backend ingress
backend ingress
  http-reuse always
{servers}
"""


@contextlib.asynccontextmanager
async def pooling(
    name: str, folder: Path, ports: Sequence[int], *, idle_milliseconds: int = 60_000, more: str = ""
) -> AsyncIterator[int]:
    """The port of a proxy of that kind, which keeps connections to these ports for so long."""
    port = free_port()
    configuration = folder / f"{name}.conf"
    if name == "nginx":
        servers = " ".join(f"server 127.0.0.1:{one} max_fails=0;" for one in ports)
        text = _NGINX.format(servers=servers, idle_milliseconds=idle_milliseconds, port=port, more=more)
        command = [proxy(name), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(configuration)]
    else:
        servers = "\n".join(
            f"  server s{one} 127.0.0.1:{one} pool-purge-delay {idle_milliseconds}ms {more}" for one in ports
        )
        text = _HAPROXY.format(listen=f"127.0.0.1:{port}", servers=servers)
        command = [proxy(name), "-db", "-f", str(configuration)]
    configuration.write_text(text)
    async with running(command, port, folder / f"{name}.log"):
        yield port


@contextlib.asynccontextmanager
async def running(command: Sequence[str], port: int, log_file: Path) -> AsyncIterator[None]:
    """A proxy that listens at the port, in the log's folder."""
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(), cwd=log_file.parent)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await _until_it_listens(process, port, log_file)
            yield
        finally:
            process.kill()
            process.wait()


async def _until_it_listens(running: subprocess.Popen[bytes], port: int, log: Path) -> None:
    while True:
        assert running.poll() is None, log.read_text()
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.02)


class Client:
    """One keep-alive connection to a proxy, from an address of this machine."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self._port = port
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: bytes, body: bytes, *headers: bytes) -> int:
        """The status of a call's response."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._address, 0))
        reader, writer = self._streams
        lines = [b"POST %b HTTP/1.1" % path, b"host: x", b"content-length: %d" % len(body), *headers, b"", body]
        writer.write(b"\r\n".join(lines))
        async with asyncio.timeout(DEADLINE_SECONDS):
            response = await reader.readuntil(b"\r\n\r\n")
            length = response.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or b"0"))
        if b"connection: close" in response.lower():
            self.close()
        return int(response[9:12])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
