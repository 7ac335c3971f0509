"""Builds the example consumers in other languages, and says how to start them.

Downloads (jars, Node packages) stay in the cache beside Kafka's jars, what is compiled in ``build/consumers``.
A language whose tools are missing has its tests skipped, with a sentence that says what to install.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.kept_downloads import kept

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"
BUILD: Final = ROOT / "build" / "consumers"

#: For those who have an older Node.js: this one runs TypeScript as it is.
_NODE_MAJOR: Final = 24
_NODE_NEEDED: Final = (22, 22)
_GO_NEEDED: Final = (1, 26)
_SECONDS: Final = 900


class BuildError(AssertionError):
    """An example does not compile, or what it needs can't be fetched; with what the tool said."""


def run(command: Sequence[str], directory: Path, environment: Mapping[str, str] | None = None) -> str:
    """What the command printed.

    Raises:
        BuildError: it failed.
    """
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)}: {(done.stdout + done.stderr).strip()[-3000:]}")
    return done.stdout


def jars(example: str) -> Path:
    """The folder with the jars that the example's pom names, fetched the first time."""
    maven = tool("mvn", "Maven (Debian and Ubuntu: apt-get install maven)")
    pom = EXAMPLES / example / "pom.xml"

    def fetch(folder: Path) -> None:
        goal = ("dependency:copy-dependencies", f"-DoutputDirectory={folder}", "-DincludeScope=runtime")
        run((maven, "-q", "-B", "-f", str(pom), *goal), pom.parent)

    return kept(f"consumers/jars-{example}", fetch, of=[pom])


def classpath(example: str) -> str:
    """Compile an example's Java files; returns where they and their libraries are."""
    compiler = tool("javac", "a JDK 17 (Debian and Ubuntu: apt-get install openjdk-17-jdk-headless)")
    sources, classes = sorted((EXAMPLES / example).glob("*.java")), BUILD / example
    libraries = f"{jars(example)}/*"
    with _compiled(classes, sources) as stale:
        if stale:
            # `-classfile`: of annotations that libraries were compiled with and do not bring
            options = ("--release", "17", "-Xlint:all,-classfile", "-Werror", "-cp", libraries, "-d", str(classes))
            run((compiler, *options, *map(str, sources)), ROOT)
    return f"{classes}:{libraries}"


def java() -> tuple[str, ...]:
    """Compile the Java consumer; returns its command."""
    path = classpath("java")
    # as for the sandbox's brokers: what runs for seconds does not earn back the cost of the other compilers
    flags = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx128m")
    return ("java", *flags, "-cp", path, "PaymentConsumer")


def go() -> tuple[str, ...]:
    """Compile the Go consumer; returns its command."""
    compiler = tool("go", "Go 1.26 or newer")
    local = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    found = re.search(r"go(\d+)\.(\d+)", run((compiler, "version"), ROOT, local))
    if found is None or (int(found[1]), int(found[2])) < _GO_NEEDED:
        pytest.skip(f"franz-go needs Go 1.26 or newer; {compiler} is older.")
    BUILD.mkdir(parents=True, exist_ok=True)
    run((compiler, "build", "-o", str(BUILD / "consumer"), "."), EXAMPLES / "go", local)
    return (str(BUILD / "consumer"),)


def typescript() -> tuple[str, ...]:
    """Fetch what the TypeScript consumer needs and check its types; returns its command."""
    npm = tool("npm", "Node.js with npm")
    source = EXAMPLES / "typescript"

    def fetch(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder)
        run((npm, "ci", "--no-audit", "--no-fund"), folder)

    modules = kept("consumers/typescript", fetch, of=[source / "package-lock.json"])
    # Node.js looks for packages beside a program, so a copy of it gets a link to them
    copy = BUILD / "typescript"
    files = [*source.glob("*.ts"), source / "package.json", source / "tsconfig.json"]
    with _compiled(copy, files) as stale:
        if stale:
            for file in files:
                shutil.copy(file, copy)
            link = copy / "node_modules"
            link.unlink(missing_ok=True)
            link.symlink_to(modules / "node_modules")
            run((str(link / ".bin" / "tsc"), "--project", str(copy)), copy)
    return (_node(npm), str(copy / "consumer.ts"))


def _node(npm: str) -> str:
    """A Node.js that runs TypeScript: the machine's, or one from the package index where that is too old."""
    own = tool("node", "Node.js")
    found = re.match(r"v(\d+)\.(\d+)", run((own, "--version"), ROOT))
    if found is not None and (int(found[1]), int(found[2])) >= _NODE_NEEDED:
        return own
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"node-{platform.system().lower()}-{machine}"

    def fetch(folder: Path) -> None:
        options = ("--no-audit", "--no-fund", "--no-save", "--prefix", str(folder))
        run((npm, "install", *options, f"{package}@{_NODE_MAJOR}"), folder)

    folder = kept(f"consumers/{package}-{_NODE_MAJOR}", fetch)
    return str(folder / "node_modules" / package / "bin" / "node")


def tool(name: str, what: str) -> str:
    """The path of a program; the test is skipped where there is none."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on the PATH. Install {what} to run this test.")
    return path


@contextmanager
def _compiled(folder: Path, sources: Sequence[Path]) -> Iterator[bool]:
    """Whether the folder is to be made from the sources; what made it without an error is not asked again."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()
    stamp = folder / ".made-from"
    stale = not stamp.exists() or stamp.read_text() != digest
    yield stale
    stamp.write_text(digest)


LANGUAGES: Final[Mapping[str, Callable[[], tuple[str, ...]]]] = {"java": java, "go": go, "typescript": typescript}
