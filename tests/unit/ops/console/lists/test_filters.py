"""The filters of the lists: read from an address, written back to it, and the same as the options of the commands."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import fields, replace
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.ops.console.lists.attention import ATTENTION
from paynotify.ops.console.lists.command_line import history_command, replay_command
from paynotify.ops.console.lists.definitions import console_lists
from paynotify.ops.console.lists.filters import (
    ActionsFilter,
    DeadFilter,
    ListFilter,
    OverdueFilter,
    RejectedFilter,
    WrongFilterError,
    parse_filter,
)
from paynotify.ops.history import command as history
from paynotify.ops.replay import command as replay
from paynotify.schemas.configuration.kafka import KafkaSettings

MERCHANTS: Final = ("shop-uk", "shop-hu")
LISTS: Final = console_lists(KafkaSettings())
TEXTS: Final = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@st.composite
def filters(draw: st.DrawFn, kinds: tuple[type[ListFilter], ...] = tuple(one.filter for one in LISTS)) -> ListFilter:
    kind = draw(st.sampled_from(kinds))
    values: dict[str, Any] = {}
    for one in fields(kind):
        if one.name in ("since", "until"):
            values[one.name] = draw(
                st.sampled_from({"since": ("", "24h"), "until": ("", "2026-11-29T10:00:00Z")}[one.name])
            )
        elif one.name == "before":
            values[one.name] = draw(st.sampled_from(((), ("2026-11-29T10:00:00.000Z", 3, 70), ("a/b", 'c"d'))))
        else:
            words = MERCHANTS if one.metadata.get("merchants") else one.metadata["words"]
            texts = st.sampled_from(words) if words is not None else TEXTS.map(str.strip).filter(bool)
            values[one.name] = tuple(draw(st.lists(texts, max_size=3, unique=True))) or one.default
    return kind(**values) if values["since"] == "" or values["until"] == "" else kind(**{**values, "since": ""})


@given(filters())
def test_address_of_a_list_is_read_back_as_the_same_filter(wanted: ListFilter) -> None:
    pairs = parse_qsl(wanted.query().removeprefix("?"), strict_parsing=bool(wanted.query()))
    assert parse_filter(type(wanted), pairs, MERCHANTS) == wanted


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("reason", "tea")], "reason must be one of malformed, "),
        ([("merchant", "shop-of-others")], "merchant must be one of shop-uk, shop-hu; got 'shop-of-others'."),
        ([("colour", "red")], "There is no filter 'colour' here. There are merchant, since, until"),
        ([("since", "yesterday")], "since must be an RFC 3339 time such as"),
        ([("since", "2026-11-29T10:00:00Z"), ("until", "2026-11-28T10:00:00Z")], "since must be before until"),
        ([("before", "[]")], "before names no row"),
        ([("before", "nothing")], "before names no row"),
        ([("before", f"[{2**70}]")], "before names no row"),
        ([("before", "[1.5]")], "before names no row"),
        ([("key", str(one)) for one in range(60)], "key has more than 50 values"),
        ([("key", "x" * 300)], "or too long a one"),
    ],
)
def test_wrong_filter_is_told_with_what_is_possible(pairs: list[tuple[str, str]], expected: str) -> None:
    with pytest.raises(WrongFilterError) as caught:
        parse_filter(RejectedFilter, pairs, MERCHANTS)
    assert expected in str(caught.value)


def test_field_that_was_left_empty_in_the_form_is_not_given() -> None:
    assert parse_filter(
        RejectedFilter, [("since", ""), ("key", " "), ("reason", "stale")], MERCHANTS
    ) == RejectedFilter(reason=("stale",))


def test_default_counts_until_another_word_is_given() -> None:
    assert parse_filter(OverdueFilter, [], MERCHANTS).state == ("raised",)
    both = parse_filter(OverdueFilter, [("state", "raised"), ("state", "cleared")], MERCHANTS)
    assert both.state == ("raised", "cleared")
    assert both.query() == "?state=raised&state=cleared"


@given(filters((RejectedFilter, DeadFilter)))
def test_filter_is_the_argument_list_of_a_replay(wanted: Any) -> None:
    kind = "rejected" if isinstance(wanted, RejectedFilter) else "dead"
    parser = argparse.ArgumentParser()
    replay.configure(parser)
    name, subcommand, *options = shlex.split(replay_command(kind, wanted))  # type: ignore[arg-type]  # its two kinds
    read = parser.parse_args(options)
    assert (name, subcommand, read.kind) == ("paynotify", "replay", kind)
    assert not read.yes, "what is taken from a page only lists"
    for one in ("reason", "merchant", "provider", "key"):
        assert tuple(getattr(read, one)) == getattr(wanted, one), one
    assert (read.since or "", read.until or "") == (wanted.since, wanted.until)


def test_filter_of_the_operators_log_is_the_argument_list_of_history() -> None:
    parser = argparse.ArgumentParser()
    history.configure(parser)
    wanted = ActionsFilter(by=("anna b",), command=("replay", "correct"), merchant=("shop-uk",), since="24h")
    read = parser.parse_args(shlex.split(history_command(wanted))[2:])
    assert history_command(replace(wanted, ended=("no",))) == "", "history has no such option"
    assert (read.by, read.command, read.merchant, read.since) == (["anna b"], ["replay", "correct"], ["shop-uk"], "24h")


def test_saved_filters_of_the_first_page_are_addresses_of_lists() -> None:
    lists = {one.path: one for one in LISTS}
    for title, path, shape, wanted in ATTENTION:
        shown = lists[path]
        assert shown.shape is shape, title
        assert parse_filter(shown.filter, parse_qsl(wanted.query().removeprefix("?")), MERCHANTS) == wanted, title


def test_older_page_has_the_same_filter() -> None:
    wanted = DeadFilter(reason=("unavailable",), since="24h")
    older = wanted.older(("2026-11-29T10:00:00.000Z", 0, 7))
    assert replace(older, before=()) == wanted
    assert older.query().startswith("?since=24h&before=%5B%222026")
