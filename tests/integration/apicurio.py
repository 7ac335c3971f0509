"""A real schema registry with Confluent's API: Apicurio from Maven Central, which stores its schemas on Kafka."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from paynotify.sandbox.kafka_distribution import cache_directory, java
from paynotify.sandbox.processes import Child, wait_for
from tests.consume.languages import run, tool

#: The last release that runs on Java 17.
VERSION: Final = "3.0.9"
_START_SECONDS: Final = 120.0
_HEAP: Final = "-Xmx384m"


@contextmanager
def apicurio(kafka: str, directory: Path) -> Iterator[str]:
    """The root of its Confluent-compatible API."""
    port = _free_port()
    jar = _distribution() / f"apicurio-registry-app-{VERSION}-runner.jar"
    settings = {
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": str(port),
        "APICURIO_STORAGE_KIND": "kafkasql",
        "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS": kafka,
    }
    command = [java(), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", _HEAP, "-jar", str(jar)]
    child = Child("apicurio", command, directory / "apicurio.log", environment={**os.environ, **settings})
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    try:
        answers = wait_for(lambda: _answers(f"{url}/subjects"), within_seconds=_START_SECONDS, every=0.2)
        assert answers, child.end()
        yield url
    finally:
        if child.running:
            child.kill()


def _distribution() -> Path:
    """Its jars, fetched and unpacked the first time."""
    maven = tool("mvn", "Maven (Debian and Ubuntu: apt-get install maven)")
    folder = cache_directory() / f"apicurio-{VERSION}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            artifact = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
            run((maven, "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={part}"), part)
            (archive,) = part.glob("*.tar.gz")
            with tarfile.open(archive) as packed:
                packed.extractall(part, filter="data")
            archive.unlink()
            part.rename(folder)
    return folder


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
