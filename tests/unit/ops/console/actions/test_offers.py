"""What pages offer to do with what they show, to those who may."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

import pytest

from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role
from paynotify.ops.console.actions.offers import list_offers, order_offers, payment_offers
from paynotify.ops.console.lists.filters import DeadFilter, OverdueFilter, RejectedFilter
from paynotify.schemas.status import Status

VIEWER: Final = Identity("vera", "basic", {EVERY_MERCHANT: Role.VIEWER})
OPERATOR: Final = Identity("olga", "basic", {"shop-uk": Role.OPERATOR})
CASHIER: Final = Identity("anna", "basic", {"shop-uk": Role.CASHIER})


def test_replay_has_the_filter_of_its_list_without_its_page() -> None:
    wanted = RejectedFilter(reason=("bad_signature",), key=("shop-uk/1", "shop-uk/2"), since="24h", before=(1, 2))
    ((title, href),) = list_offers(OPERATOR, wanted)
    assert (title, urlsplit(href).path) == ("Replay these", "/actions/replay")
    given = [("reason", "bad_signature"), ("key", "shop-uk/1"), ("key", "shop-uk/2"), ("since", "24h")]
    assert sorted(parse_qsl(urlsplit(href).query)) == sorted([("kind", "rejected"), *given])
    assert "kind=dead" in list_offers(OPERATOR, DeadFilter())[0][1]
    assert list_offers(OPERATOR, OverdueFilter()) == list_offers(VIEWER, wanted) == []


@pytest.mark.parametrize(
    ("identity", "status", "offered"),
    [
        (VIEWER, "authorised", []),
        (OPERATOR, None, ["Look up again"]),
        (OPERATOR, "authorised", ["Look up again", "Correct"]),
        (CASHIER, "authorised", ["Look up again", "Correct", "Capture", "Void"]),
        (CASHIER, "captured", ["Look up again", "Correct"]),
    ],
)
def test_payment_offers_what_its_status_and_the_role_allow(
    identity: Identity, status: Status | None, offered: list[str]
) -> None:
    assert [title for title, _ in payment_offers(identity, "shop-uk", "57-9-1", status)] == offered
    assert payment_offers(OPERATOR, "shop-nl", "57-9-1", status) == []


def test_order_offers_a_lookup() -> None:
    assert order_offers(OPERATOR, "shop-uk", "a/b") == [
        ("Look up again", "/actions/look-up?merchant=shop-uk&order=a%2Fb")
    ]
    assert order_offers(VIEWER, "shop-uk", "a/b") == []
