"""Others' files that the console serves: as their authors publish them, and no others."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from paynotify.ops.console.vendored_files import VENDORED_FILES, VENDORED_LICENCES, VendoredFile

STATIC = Path(__file__).parents[4] / "ops" / "console" / "static"


@pytest.mark.parametrize("one", VENDORED_FILES, ids=lambda one: one.name)
def test_vendored_file_has_the_bytes_of_the_table(one: VendoredFile) -> None:
    assert hashlib.sha256((STATIC / "vendor" / one.name).read_bytes()).hexdigest() == one.sha256


def test_table_has_every_vendored_file_and_a_licence_of_each_package() -> None:
    assert {one.name for one in VENDORED_FILES} == {file.name for file in (STATIC / "vendor").iterdir()}
    licensed = {one.package for one in VENDORED_FILES if one.path == "LICENSE"}
    assert licensed == {one.package for one in VENDORED_FILES} == set(VENDORED_LICENCES)


def test_templates_name_no_other_host_and_have_no_inline_code_or_style() -> None:
    for file in (STATIC.parent / "templates").rglob("*.html"):
        text = file.read_text("utf-8")
        for address in re.findall(r'(?:src|href|action|hx-get|hx-sse:connect)="([^"]*)"', text):
            assert re.match(r"(/(?!/)|#|\?|\{\{)", address), (file, address)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|\shx-on|javascript:|<script(?![^>]*\ssrc=)", text), file
