"""The chart as a package: `make chart` signs it and pushes it to a registry, and who pulls it can verify it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml

from paynotify.sandbox.processes import Child, wait_for
from tests.helm.rendering import CHART, run, values_file
from tests.helm.tools import HELMS, debian_tool, helm

ROOT: Final = CHART.parents[1]
SIGNER: Final = "paynotify test"


@dataclass(frozen=True, slots=True)
class Keys:
    secret: Path
    public: Path


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    if shutil.which("gpg") is None:
        pytest.skip("needs gpg")
    # gpg's agent has a socket there, whose path must be short
    folder = tmp_path_factory.mktemp("keys")
    home = folder / "h"
    home.mkdir(mode=0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}

    def gpg(*words: str) -> bytes:
        return subprocess.run(
            ("gpg", "--batch", "--quiet", *words), env=environment, capture_output=True, check=True
        ).stdout

    gpg("--passphrase", "", "--quick-generate-key", SIGNER, "rsa2048", "sign", "never")
    made = Keys(folder / "secret.gpg", folder / "public.gpg")
    made.secret.write_bytes(gpg("--export-secret-keys"))
    made.public.write_bytes(gpg("--export"))
    subprocess.run(("gpgconf", "--kill", "all"), env=environment, check=False)
    return made


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty registry."""
    program = debian_tool("docker-registry")
    folder = tmp_path_factory.mktemp("registry")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    child = Child("registry", [program, "serve", str(folder / "settings.yaml")], folder / "registry.log")

    def answers() -> bool:
        with closing(socket.socket()) as caller:
            return caller.connect_ex(("127.0.0.1", port)) == 0

    assert wait_for(answers, within_seconds=30), child.end()
    yield f"oci://127.0.0.1:{port}/charts"
    child.stop()


@pytest.mark.parametrize("version", HELMS)
def test_package_comes_back_from_a_registry_signed_and_complete(
    version: str, keys: Keys, registry: str, tmp_path: Path
) -> None:
    # a copy, because the target works in the repository's own `build`
    shutil.copytree(CHART, tmp_path / "helm" / "paynotify")
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    words = (f"HELM={helm(version)}", f"KEY={SIGNER}", f"KEYRING={keys.secret}")
    made = subprocess.run(
        ("make", "chart", *words, f"REGISTRY={registry}", "PUSH=--plain-http"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    there = f"{registry}/paynotify"
    number = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["version"]
    verify = ("--verify", "--keyring", str(keys.public))
    pulled = run("pull", there, "--plain-http", "--version", number, "-d", str(tmp_path), *verify, version=version)
    assert pulled.returncode == 0, pulled.stderr
    package = tmp_path / f"paynotify-{number}.tgz"
    contents_are_the_charts(package)
    rendered = run("template", "shop", str(package), "-f", values_file("scram"), version=version)
    assert rendered.stdout.count("\nkind: ") == run(
        "template", "shop", str(CHART), "-f", values_file("scram"), version=version
    ).stdout.count("\nkind: ")

    package.write_bytes(package.read_bytes() + b"\0")
    refused = run("verify", str(package), "--keyring", str(keys.public), version=version)
    assert refused.returncode != 0, "a changed package is still called genuine"


def contents_are_the_charts(package: Path) -> None:
    with tarfile.open(package) as archive:
        names = {name.removeprefix("paynotify/") for name in archive.getnames()}
    wanted = {str(path.relative_to(CHART)) for path in CHART.rglob("*") if path.is_file()}
    assert names == {name for name in wanted if not name.startswith("ci/")}
