"""A real schema registry with Confluent's API: Apicurio from Maven Central, which stores its schemas on Kafka."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final

from paynotify.sandbox.kafka_distribution import java
from paynotify.sandbox.probes import free_port, probe
from paynotify.sandbox.processes import Child, wait_for
from tests.consume.languages import run, tool
from tests.kept_downloads import kept

#: The last release that runs on Java 17.
VERSION: Final = "3.0.9"
_API: Final = "/apis/ccompat/v7"
_START_SECONDS: Final = 120.0
_HEAP: Final = "-Xmx384m"


@contextmanager
def apicurio(kafka: str, directory: Path) -> Iterator[str]:
    """The root of its Confluent-compatible API."""
    port = free_port()
    jar = _distribution() / f"apicurio-registry-app-{VERSION}-runner.jar"
    settings = {
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": str(port),
        "APICURIO_STORAGE_KIND": "kafkasql",
        "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS": kafka,
    }
    command = [java(), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", _HEAP, "-jar", str(jar)]
    child = Child("apicurio", command, directory / "apicurio.log", environment={**os.environ, **settings})
    try:
        subjects = f"{_API}/subjects"
        answers = wait_for(lambda: probe(port, subjects)[0] == HTTPStatus.OK, within_seconds=_START_SECONDS, every=0.2)
        assert answers, child.end()
        yield f"http://127.0.0.1:{port}{_API}"
    finally:
        if child.running:
            child.kill()


def _distribution() -> Path:
    """Its jars, fetched and unpacked the first time."""
    maven = tool("mvn", "Maven (Debian and Ubuntu: apt-get install maven)")

    def fetch(folder: Path) -> None:
        artifact = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
        run((maven, "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"), folder)
        (archive,) = folder.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        archive.unlink()

    return kept(f"apicurio-{VERSION}", fetch)
