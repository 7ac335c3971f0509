"""A program for a network namespace of its own: takes IPv4 away, and runs Kafka, the ingress and a worker there.

Prints as JSON what callers and probes were answered over IPv6, and what over IPv4.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from paynotify.sandbox.broker import LocalBroker
from paynotify.sandbox.processes import Child, run_command, wait_for

WITHIN_SECONDS: Final = 40
NOTIFICATION: Final = "/notifications/nevogate/shop-hu?TransactionId=" + "ab" * 16
CONFIGURATION: Final = """
sandbox: true
kafka: {{bootstrap_servers: "{kafka}"}}
topics: {{partitions: 1, replication_factor: 1}}
merchants: [{{id: shop-hu, provider: nevogate, store_name: s, api_key: {{value: k}}, base_url: "https://hu.example"}}]
"""


def without_ipv4() -> None:
    for words in (("link", "set", "lo", "up"), ("addr", "del", "127.0.0.1/8", "dev", "lo")):
        subprocess.run(("ip", *words), check=True)


def answered(port: int, path: str, host: str = "::1") -> str:
    """The status and body of an answer, or why there is none."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return f"{answer.status} {answer.read().decode().strip()}"
    except OSError as error:
        return type(error).__name__ if error.strerror is None else error.strerror
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    return answered(port, "/readyz") == "200 ok"


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[Child]:
    command = [sys.executable, "-m", "paynotify.ops.main", *arguments, "--config", str(folder / "paynotify.yaml")]
    child = Child(arguments[0], command, folder / f"{arguments[0]}.log")
    try:
        yield child
    finally:
        child.kill()


def main() -> None:
    without_ipv4()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(LocalBroker(host="::1"))
        stack.callback(broker.kill)  # how it ends is no matter here, and an orderly end takes seconds
        (folder / "paynotify.yaml").write_text(CONFIGURATION.format(kafka=broker.bootstrap), "utf-8")
        run_command(("topics", "apply", "--config", str(folder / "paynotify.yaml")), {})
        # the ingress with its own ports, as a pod starts it
        ingress = stack.enter_context(process(folder, "ingest"))
        words = ("--stage=verify", "--provider=nevogate", "--management=:9091", f"--state-directory={folder}/state")
        worker = stack.enter_context(process(folder, "worker", *words))
        for port in (9090, 9091):
            wait_for(partial(is_ready, port), within_seconds=WITHIN_SECONDS)
        found = {
            "ingress": {path: answered(9090, path) for path in ("/startz", "/livez", "/readyz")},
            "worker": {path: answered(9091, path) for path in ("/startz", "/livez", "/readyz")},
            "notification": answered(8080, NOTIFICATION),
            "over IPv4": answered(8080, NOTIFICATION, "127.0.0.1"),
            "logs": [ingress.end(), worker.end()],
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
