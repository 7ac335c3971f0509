"""Compares the places that name the version of what is published."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

_IMAGE: Final = re.compile(r"\bpaynotify(?:-trial)?:(\d+\.\d+\.\d+)\b")
_PULL: Final = re.compile(r"helm pull \S+ --version (\S+)")


def version_of(root: Path) -> str:
    """The version of the product, which all others follow."""
    return str(_project(root / "pyproject.toml")["version"])


def disagreements(root: Path) -> list[str]:
    """Each place that names another version than the product's pyproject.toml; empty if all agree."""
    version = version_of(root)
    named = [*_distributions(root), *_chart(root), *_pages(root)]
    wrong = [f"{place} says {said}, pyproject.toml says {version}." for place, said in named if said != version]
    if release_date(root) is None:
        wrong.append(f"CHANGELOG.md has no section [{version}].")
    return wrong


def release_date(root: Path) -> str | None:
    """What the changelog says when this version was released: a date, or ``unreleased``; None without a section."""
    heading = rf"^## \[{re.escape(version_of(root))}\] - (\S+)$"
    found = re.search(heading, (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    return found.group(1) if found else None


def _project(file: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))["project"]
    return project


def _distributions(root: Path) -> Iterator[tuple[str, str]]:
    product, sandbox = (_project(root / name) for name in ("pyproject.toml", "sandbox/pyproject.toml"))
    yield "sandbox/pyproject.toml", str(sandbox["version"])
    for place, requirements, name in (
        ("the extra `sandbox`", product["optional-dependencies"]["sandbox"], "paynotify-sandbox"),
        ("the sandbox's dependency", sandbox["dependencies"], "paynotify"),
    ):
        for one in requirements:
            if one.partition("==")[0] == name:
                yield place, one.partition("==")[2]


def _chart(root: Path) -> Iterator[tuple[str, str]]:
    chart = yaml.safe_load((root / "helm/paynotify/Chart.yaml").read_text("utf-8"))
    for key in ("version", "appVersion"):
        yield f"Chart.yaml ({key})", str(chart[key])


def _pages(root: Path) -> Iterator[tuple[str, str]]:
    for file in sorted((root / "docs").rglob("*")):
        if file.suffix in {".md", ".yaml"}:
            text = file.read_text("utf-8")
            for said in (*_IMAGE.findall(text), *_PULL.findall(text)):
                yield str(file.relative_to(root)), said
