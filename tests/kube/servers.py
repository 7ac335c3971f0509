"""Builds a Kubernetes control plane from Go modules into the cache, for ``make kube-test``.

Each server is a generated module that depends on the released one. Kubernetes' own go.mod requires its staging
modules at v0.0.0, which exist only within its repository: each is replaced by its release of the same number.
Building all three takes about a quarter of an hour on two cores, once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

KUBERNETES: Final = "1.37.2"
ETCD: Final = "3.7.0"
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "paynotify" / "kube"
NAMES: Final = ("etcd", "kube-apiserver", "kube-controller-manager")

_STAGING: Final = re.compile(r"^\s+(k8s\.io/\S+) v0\.0\.0$", re.MULTILINE)
_ETCD_MAIN: Final = """package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
"""


class MissingServerError(AssertionError):
    """A server has not been built; the text says how to build it."""


def server(name: str) -> str:
    """The path of one of `NAMES`.

    Raises:
        MissingServerError: it has not been built.
    """
    path = _path(name)
    if not path.exists():
        raise MissingServerError(f"{path} is missing. Build it with `make kube-test`.")
    return str(path)


def _path(name: str) -> Path:
    return CACHE / f"{name}-{ETCD if name == 'etcd' else KUBERNETES}"


def build() -> None:
    """Build what is missing. Needs Go, and a module proxy it can reach."""
    for name in NAMES:
        if not _path(name).exists():
            print(f"building {name}: minutes, once", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                (_build_etcd if name == "etcd" else _build_kubernetes)(Path(folder), name)


def _go(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod -buildvcs=false"}
    try:
        done = subprocess.run(
            ("go", *arguments), cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    except FileNotFoundError:
        sys.exit("go is missing: the servers are built from their Go modules. Install Go 1.26 or newer.")
    return done.stdout


def _build_etcd(folder: Path, name: str) -> None:
    (folder / "go.mod").write_text(
        f"module paynotify.test/etcd\n\nrequire go.etcd.io/etcd/server/v3 v{ETCD}\n", "utf-8"
    )
    (folder / "main.go").write_text(_ETCD_MAIN, "utf-8")
    _go(folder, "mod", "tidy")
    _compile(folder, ".", "", _path(name))


def _build_kubernetes(folder: Path, name: str) -> None:
    root = f"k8s.io/kubernetes@v{KUBERNETES}"
    (folder / "go.mod").write_text("module paynotify.test/kubernetes\n", "utf-8")
    released = json.loads(_go(folder, "mod", "download", "-json", root))
    replacements = [
        f"replace {module} => {module} v{KUBERNETES.replace('1.', '0.', 1)}"
        for module in _STAGING.findall(Path(released["GoMod"]).read_text("utf-8"))
    ]
    (folder / "go.mod").write_text("\n".join(("module paynotify.test/kubernetes", *replacements, "")), "utf-8")
    _go(folder, "get", f"k8s.io/kubernetes/cmd/{name}@v{KUBERNETES}")
    major, minor, _ = KUBERNETES.split(".")
    stamps = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    flags = " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamps.items())
    _compile(folder, f"k8s.io/kubernetes/cmd/{name}", flags, _path(name))


def _compile(folder: Path, package: str, flags: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    _go(folder, "build", "-trimpath", "-ldflags", f"-s -w {flags}".strip(), "-o", str(part), package)
    part.replace(target)


if __name__ == "__main__":
    build()
