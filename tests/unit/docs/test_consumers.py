"""The page for consumers knows every field, status, decision, check and reason that an event can have."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Final, get_args

import pytest

from paynotify.processors.providers.nevogate.interpretation import VERIFICATION
from paynotify.processors.resolve.events import MONEY_RETURNED
from paynotify.schemas.messages import AMOUNT_MISSING, PaymentStatus
from paynotify.schemas.status import WITHDRAWN, AmountCheck, Fulfilment, OrderCheck, Status, fulfilment

PAGE: Final = (Path(__file__).parents[3] / "docs/reference/events.md").read_text("utf-8")


def _rows(section: str) -> list[list[str]]:
    """The cells of a section's tables, without their heads."""
    text = re.split(rf"^##+ {section}$", PAGE, flags=re.MULTILINE)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (`.*) \|$(?!\n\| ---)", text, re.MULTILINE)
    return [re.split(r" *\| *", row) for row in rows]


def _words(cell: str) -> set[str]:
    return set(re.findall(r"`([a-z_ .]+)`", cell))


def _words_of(section: str) -> set[str]:
    return set().union(*(_words(cells[0]) for cells in _rows(section)))


def test_fields_of_an_event_are_explained() -> None:
    explained = {name.partition(".")[0] for name in _words_of("Fields")}
    assert set(PaymentStatus.__struct_fields__) - explained == {
        "provider",
        "merchant",
    }


def test_reasons_of_our_own_are_explained() -> None:
    withdrawn = {f"{status}_after_release" for status in WITHDRAWN}
    assert _words_of("Reasons") == {MONEY_RETURNED, AMOUNT_MISSING, VERIFICATION, *withdrawn}


def test_decisions_and_checks_are_explained() -> None:
    assert _words_of("Fulfilment") == set(get_args(Fulfilment))
    checks = {f"amount: {one}" for one in get_args(AmountCheck)} | {f"order: {one}" for one in get_args(OrderCheck)}
    assert set(re.findall(r"^\| `([a-z]+: [a-z]+)`", PAGE, re.MULTILINE)) == checks


@pytest.mark.parametrize("status", get_args(Status))
def test_decisions_of_a_status_are_those_of_the_code(status: Status) -> None:
    (cells,) = [cells for cells in _rows("Statuses") if status in _words(cells[0]) and len(cells) == 5]
    told = _words(cells[2])
    if "captured" in told:  # "as for `captured`"
        (captured,) = [one for one in _rows("Statuses") if _words(one[0]) == {"captured"}]
        told = _words(captured[2])
    possible = {
        fulfilment(status, amounts_match=matches, secured=secured, refunding_all=refunding, withdrawn=withdrawn)
        for matches, secured, refunding, withdrawn in product((False, True), repeat=4)
    }
    assert told & set(get_args(Fulfilment)) == possible
