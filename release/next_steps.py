"""What a person does after `make release`: nothing of it can be undone, so no program does it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: What the changelog says of a version that nobody has.
UNRELEASED: Final = "unreleased"


@dataclass(frozen=True, slots=True)
class Release:
    """What was built, and what is known about its commit."""

    version: str
    folder: str
    date: str
    tagged: bool
    images: tuple[str, ...]
    engine: str

    @property
    def tag(self) -> str:
        return f"v{self.version}"


def tag_objection(repository: Path, version: str) -> str:
    """Says when the version's tag is at another commit: that version is out already."""
    at = _commit_of(repository, f"refs/tags/v{version}")
    if at is None or at == _commit_of(repository, "HEAD"):
        return ""
    return f"The tag v{version} is at another commit, {at[:12]}. Raise the version, or check that commit out."


def is_tagged(repository: Path, version: str) -> bool:
    """Whether the version's tag is at the commit that is checked out."""
    return _commit_of(repository, f"refs/tags/v{version}") == _commit_of(repository, "HEAD")


def _commit_of(repository: Path, name: str) -> str | None:
    command = ("git", "-C", str(repository), "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}")
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def next_steps(release: Release) -> Iterator[str]:
    """The steps, in order: those that can't be undone come last."""
    if release.date == UNRELEASED:
        yield f"Date the section [{release.version}] of CHANGELOG.md, commit it, and run `make release` again."
        return
    if not release.tagged:
        yield f"git tag --sign {release.tag} --message 'paynotify {release.version}', and `make release` once more"
    yield f"gpg --armor --detach-sign {release.folder}/SHA256SUMS"
    yield f"git push origin {release.tag}"
    yield f"twine upload {release.folder}/distributions/*"
    for image in release.images:
        yield f"{release.engine} tag {image} REGISTRY/{image}, and {release.engine} push REGISTRY/{image}"
    if not release.images:
        yield "Build and push the images where a container engine is: no image was built here."
    yield "make chart KEY=… KEYRING=… REGISTRY=oci://REGISTRY/charts"
    yield f"Publish {release.folder}/contract, the bills of materials and SHA256SUMS beside the changelog's section."
    yield "python -m paynotify.schemas.generate.released --keep, and commit: it is what later ones are compared with."
