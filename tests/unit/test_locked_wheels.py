"""`make wheels` reads the locks as pip does on the machine that is asked about."""

from __future__ import annotations

import re

from tests.image.wheels import LOCKS, locked, text_of


def test_locks_are_read_whole_but_for_other_systems() -> None:
    for lock in LOCKS:
        text = text_of(lock)
        pinned = set(re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE))
        found = {one.requirement.name: one for one in locked(text, "aarch64")}
        assert pinned - found.keys() <= {"colorama"}
        assert all(re.fullmatch(r"\S+==\S+( --hash=sha256:[0-9a-f]{64})+", one.line) for one in found.values())


def test_markers_are_judged_for_the_machine_asked_about() -> None:
    hashed = f" \\\n    --hash=sha256:{'0' * 64}\n"
    text = (
        f"a==1 ; platform_machine == 'aarch64'{hashed}b==2 ; sys_platform == 'win32'{hashed}c==3{hashed}    # via a\n"
    )
    assert [one.requirement.name for one in locked(text, "aarch64")] == ["a", "c"]
    assert [one.requirement.name for one in locked(text, "x86_64")] == ["c"]
