"""What a person is told to do after `make release`, and which commits are refused."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

from release.next_steps import UNRELEASED, Release, is_tagged, next_steps, tag_objection

READY: Final = Release("1.2.3", "build/release", "2027-01-31", True, ("paynotify:1.2.3",), "podman")


def git(folder: Path, *words: str) -> None:
    person = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    subprocess.run(("git", "-C", folder, *person, *words), check=True, capture_output=True)


def test_version_without_a_date_has_one_step_only() -> None:
    (step,) = next_steps(replace(READY, date=UNRELEASED))
    assert "Date the section [1.2.3]" in step


def test_steps_tag_before_anything_is_published() -> None:
    steps = list(next_steps(replace(READY, tagged=False)))
    assert steps[0].startswith("git tag --sign v1.2.3")
    assert list(next_steps(READY)) == steps[1:]
    assert steps.index("git push origin v1.2.3") < steps.index("twine upload build/release/distributions/*")


def test_images_are_pushed_with_the_engine_that_built_them() -> None:
    assert [one for one in next_steps(READY) if "podman push" in one]
    assert [one for one in next_steps(replace(READY, images=())) if "no image was built here" in one]


def test_tag_at_another_commit_is_an_objection(tmp_path: Path) -> None:
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "--message", "first")
    assert (tag_objection(tmp_path, "1.2.3"), is_tagged(tmp_path, "1.2.3")) == ("", False)
    git(tmp_path, "tag", "--no-sign", "v1.2.3")
    assert (tag_objection(tmp_path, "1.2.3"), is_tagged(tmp_path, "1.2.3")) == ("", True)
    git(tmp_path, "commit", "--allow-empty", "--message", "second")
    assert "Raise the version" in tag_objection(tmp_path, "1.2.3")
    assert not is_tagged(tmp_path, "1.2.3")
