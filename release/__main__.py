"""Builds and checks everything that is published, into ``build/release``: ``make release``."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from paynotify.schemas.generate.released import FOLDER as RELEASED
from paynotify.schemas.generate.released import breaking_changes
from release import bill_of_materials, checks, distributions, versions
from release.images import TARGETS, ContainerEngine
from release.locks import ROOT
from release.next_steps import UNRELEASED, Release, is_tagged, next_steps, tag_objection

FOLDER: Final = ROOT / "build" / "release"
#: Documents of the contract: message schemas, topics, AsyncAPI, OpenAPI.
CONTRACT: Final = "schemas/json"


def objections_to(root: Path) -> Iterator[str]:
    """Why no release can be built of what is checked out."""
    changed = subprocess.run(("git", "-C", root, "status", "--porcelain"), capture_output=True, text=True, check=True)
    if changed.stdout:
        yield f"What is not committed would not be in the release:\n{changed.stdout.rstrip()}"
    yield from versions.disagreements(root)
    if objection := tag_objection(root, versions.version_of(root)):
        yield objection


class Builder:
    """Builds one part after another into a folder, from the commit alone."""

    def __init__(self, work: Path, target: Path) -> None:
        self._work = work
        self._target = target
        self._source = work / "source"
        self.version = versions.version_of(ROOT)
        self._time = distributions.commit_time(ROOT)
        distributions.export(ROOT, self._source)

    def distributions(self) -> Iterator[str]:
        """Wheels and source distributions, built twice: the bytes must be the same."""
        distributions.export(ROOT, self._work / "again")
        try:
            made = distributions.build(self._source, self._target / "distributions", self._time)
            again = distributions.build(self._work / "again", self._work / "built again", self._time)
        except distributions.BuildError as failure:
            yield str(failure)
            return
        for one, other in zip(made, again, strict=True):
            if one.read_bytes() != other.read_bytes():
                yield f"{one.name} has other bytes when it is built again."
        yield from checks.objections(made)

    def installation(self) -> Iterator[str]:
        """The wheels in an environment of their own, and the bill of what is in it."""
        wheels = sorted((self._target / "distributions").glob("*.whl"))
        yield from checks.installed(self._work / "installed", wheels, self.version)
        bill = self._target / f"paynotify-{self.version}.cdx.json"
        self._bill_tools.of_environment(self._work / "installed" / "bin" / "python", bill)
        installed = json.loads(bill.read_text("utf-8"))
        bill_of_materials.write(bill_of_materials.with_vendored_files(installed), bill)
        if objection := self._bill_tools.objection(bill):
            yield objection

    @cached_property
    def _bill_tools(self) -> bill_of_materials.BillTools:
        return bill_of_materials.BillTools(self._work / "bill-tools")

    def contract(self) -> Iterator[str]:
        """The documents that describe topics and HTTP calls; they break nothing of the last release's."""
        target = self._target / "contract"
        shutil.copytree(self._source / CONTRACT, target)
        for file in target.rglob("*.json"):
            json.loads(file.read_text("utf-8"))
        yield from breaking_changes(RELEASED)

    def chart(self, helm: str) -> Iterator[str]:
        """The chart's package, after Helm's own check of it; packaged twice, the bytes must be the same."""
        made, again = (
            self._package(helm, source, target)
            for source, target in ((self._source, self._target), (self._work / "again", self._work / "built again"))
        )
        if made.read_bytes() != again.read_bytes():
            yield f"{made.name} has other bytes when it is packaged again."
        done = subprocess.run(
            (helm, "lint", "--quiet", "--values", self._values(), made), capture_output=True, text=True
        )
        if done.returncode != 0:
            yield f"helm lint {made.name}: {done.stdout.strip()} {done.stderr.strip()}"

    def _package(self, helm: str, source: Path, target: Path) -> Path:
        command = (helm, "package", source / "helm" / "paynotify", "--destination", target / "chart")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return target / "chart" / f"paynotify-{self.version}.tgz"

    def _values(self) -> Path:
        """A complete set of values: without a merchant, the chart refuses to be rendered."""
        return self._source / "helm" / "paynotify" / "ci" / "plain-values.yaml"

    def images(self, engine: ContainerEngine, options: tuple[str, ...]) -> Iterator[str]:
        """The images, and the product's bill with the packages of its base."""
        for target, image in zip(TARGETS, image_names(self.version), strict=True):
            if not engine.build(target, image, options):
                yield f"`{engine.command}` did not build {image}. ENGINE= leaves images out, BASE= names another base."
                return
        product = image_names(self.version)[0]
        own = bill_of_materials.with_vendored_files(json.loads(engine.file(product, "/opt/paynotify/sbom.cdx.json")))
        whole = bill_of_materials.with_debian_packages(own, engine.file(product, "/var/lib/dpkg/status"))
        bill = self._target / f"paynotify-image-{self.version}.cdx.json"
        bill_of_materials.write(whole, bill)
        if objection := self._bill_tools.objection(bill):
            yield objection

    def checksums(self) -> None:
        """``SHA256SUMS`` of all files, as ``sha256sum --check`` reads it."""
        files = sorted(one for one in self._target.rglob("*") if one.is_file())
        lines = [f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.relative_to(self._target)}\n" for one in files]
        (self._target / "SHA256SUMS").write_text("".join(lines), "utf-8")


def image_names(version: str) -> tuple[str, ...]:
    """The images, in the order of `TARGETS`."""
    return f"paynotify:{version}", f"paynotify-trial:{version}"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1: something is not fit to be published; it is said what."""
    arguments = _parser().parse_args(argv)
    found = list(objections_to(ROOT))
    if found:
        return _refused("the commit", found)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as work:
        builder = Builder(Path(work), FOLDER)
        parts: dict[str, Callable[[], Iterator[str]]] = {
            "distributions": builder.distributions,
            "installation": builder.installation,
            "contract": builder.contract,
            "chart": lambda: builder.chart(arguments.helm),
        }
        if arguments.engine:
            engine, options = ContainerEngine(arguments.engine), tuple(arguments.image_option)
            parts["images"] = lambda: builder.images(engine, options)
        for name, build in parts.items():
            print(f"{name} …", flush=True)
            if found := list(build()):
                return _refused(name, found)
        builder.checksums()
        _report(builder.version, arguments.engine)
    return 0


def _refused(name: str, objections: Sequence[str]) -> int:
    print(f"Not fit to be published: {name}.", *objections, sep="\n", file=sys.stderr)
    return 1


def _report(version: str, engine: str) -> None:
    folder = str(FOLDER.relative_to(ROOT))
    print((FOLDER / "SHA256SUMS").read_text("utf-8"), end="")
    release = Release(
        version,
        folder,
        versions.release_date(ROOT) or UNRELEASED,
        is_tagged(ROOT, version),
        image_names(version) if engine else (),
        engine,
    )
    print(f"\nAll of it is in {folder} and fit to be published. Next, by hand (docs/releasing.md):")
    for number, step in enumerate(next_steps(release), 1):
        print(f"  {number}. {step}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    parser.add_argument("--helm", default="helm", metavar="PROGRAM", help="Helm (default: that on the PATH)")
    parser.add_argument("--engine", default="", metavar="COMMAND", help="container engine (default: build no images)")
    parser.add_argument("--image-option", action="append", default=[], metavar="NAME=VALUE", help="for `make image`")
    return parser


if __name__ == "__main__":
    sys.exit(main())
