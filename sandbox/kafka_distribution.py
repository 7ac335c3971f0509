"""Apache Kafka's jars from Maven Central, and the Java that runs them."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from paynotify.schemas.errors import ConfigurationError

#: Also in `kafka/pom.xml`, which tools read that look for outdated versions. Tests of other versions name one.
KAFKA_VERSION: Final = os.environ.get("PAYNOTIFY_KAFKA_VERSION") or "4.3.1"
_JAVA_VERSION: Final = 17
_FETCH_SECONDS: Final = 600
_HERE: Final = Path(__file__).parent / "kafka"


def java() -> str:
    """The path of a Java that can run Kafka.

    Raises:
        ConfigurationError: there is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    path = shutil.which("java", path=f"{home}/bin") if home else None
    path = path or shutil.which("java")
    wanted = f"Install Java {_JAVA_VERSION} or newer (Debian and Ubuntu: apt-get install openjdk-17-jre-headless)"
    instead = "or name a running cluster with KAFKA=host:port"
    if path is None:
        raise ConfigurationError(f"The local Kafka needs Java, which is not on the PATH. {wanted}, {instead}.")
    output = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', output.stderr + output.stdout)
    if not found or int(found[1]) < _JAVA_VERSION:
        version = found[1] if found else "of an unknown version"
        raise ConfigurationError(
            f"The local Kafka needs Java {_JAVA_VERSION}; {path} is {version}. {wanted}, {instead}."
        )
    return path


def cache_directory() -> Path:
    """Where the jars are kept: ``PAYNOTIFY_CACHE``, else ``~/.cache/paynotify``."""
    return Path(os.environ.get("PAYNOTIFY_CACHE") or Path.home() / ".cache" / "paynotify")


def jars() -> Path:
    """The directory with Kafka's jars, fetched with Maven the first time.

    Raises:
        ConfigurationError: Maven is missing, or could not fetch them.
    """
    cache = cache_directory()
    complete = cache / f"kafka-{KAFKA_VERSION}"
    if complete.is_dir():
        return complete
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # others wait here and then find the directory
        if not complete.is_dir():
            _fetch(cache, complete)
    return complete


def _fetch(cache: Path, complete: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigurationError(
            "Downloading Kafka needs Maven once, and mvn is not on the PATH. Install it "
            "(Debian and Ubuntu: apt-get install maven), or name a running cluster with KAFKA=host:port."
        )
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as directory:
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={directory}/jars"]
        profile = "reload4j" if KAFKA_VERSION.startswith("3.") else "log4j2"
        version = [f"-Dkafka.version={KAFKA_VERSION}", f"-P{profile}"]
        command = [maven, "-q", "-B", "-f", str(_HERE / "pom.xml"), *version, *goal]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise ConfigurationError(
                f"Maven did not fetch Kafka within {_FETCH_SECONDS} s. Check its network settings, try again."
            ) from None
        if done.returncode != 0:
            said = " ".join((done.stdout + done.stderr).split())[:600]
            raise ConfigurationError(
                f"Maven could not fetch Kafka {KAFKA_VERSION}. It said: {said}. "
                "Check its network settings and try again."
            )
        (Path(directory) / "jars").rename(complete)
