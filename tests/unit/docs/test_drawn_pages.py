"""The pictures and pages that are drawn from the code agree with it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import get_args

import pytest

from docs._site import draw, flow, life
from paynotify.processors.resolve.transitions import ALLOWED
from paynotify.schemas import topics
from paynotify.schemas.status import Status

#: On no picture: what a stage remembers, and the topic that only tells the brokers' time.
_LEFT_OUT = re.compile(r"-changelog$|^paynotify\.clock$")


@pytest.mark.parametrize("path", draw.documents(), ids=lambda path: path.name)
def test_drawn_file_is_up_to_date(path: object) -> None:
    assert path.read_text("utf-8") == draw.documents()[path], "run `make docs`"  # type: ignore[attr-defined,index]  # a Path


def test_flow_shows_every_topic() -> None:
    drawn = {line for kind, _, _, lines in flow.BOXES.values() if kind == "topic" for line in lines}
    there = {flow.general(one.name) for one in topics.all_topics() if not _LEFT_OUT.search(one.name)}
    assert drawn == there


def test_flow_leads_through_every_box() -> None:
    ends = {name for before, after, _ in flow.edges() for name in (before, after)}
    assert ends == set(flow.BOXES)


def test_life_of_a_payment_has_every_transition() -> None:
    told = {(before, after) for pairs in life.moves().values() for before, after in pairs}
    assert told == {(before, after) for before in get_args(Status) for after in ALLOWED[before]}
    assert sorted(status for group in life.GROUPS.values() for status in group) == sorted(get_args(Status))


@pytest.mark.parametrize("picture", [flow.picture, life.picture], ids=["flow", "life"])
def test_picture_has_a_text_alternative_and_asks_nobody(picture: object) -> None:
    text = picture()  # type: ignore[operator]  # a function
    root = ET.fromstring(text)
    names = {"svg": "http://www.w3.org/2000/svg"}
    assert (root.findtext("svg:title", "", names), len(root.findtext("svg:desc", "", names)) > 40) != ("", False)
    assert text.count("http") == 1  # the name of the format
    assert "prefers-color-scheme:dark" in text
