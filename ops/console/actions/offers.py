"""Which actions a page offers for what it shows: links to forms that are filled already."""

from __future__ import annotations

from urllib.parse import urlencode

from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.lists.filters import DeadFilter, ListFilter, RejectedFilter
from paynotify.schemas.status import Status

#: A title and an address.
Offer = tuple[str, str]

_KINDS = {RejectedFilter: "rejected", DeadFilter: "dead"}


def list_offers(identity: Identity, wanted: ListFilter) -> list[Offer]:
    """A replay of exactly what a list of rejected or dead-lettered records is cut to; nothing for other lists."""
    kind = _KINDS.get(type(wanted))
    if kind is None or not identity.may(Role.OPERATOR):
        return []
    pairs = [one for one in wanted.pairs() if one[0] != "before"]
    return [("Replay these", _path("replay", ("kind", kind), *pairs))]


def payment_offers(identity: Identity, merchant: str, payment_id: str, status: Status | None) -> list[Offer]:
    """What may be done with a payment in this status; None is one that no event was published of."""
    found = []
    key = f"{merchant}/{payment_id}"
    if identity.may(Role.OPERATOR, merchant):
        found.append(("Look up again", _path("look-up", ("merchant", merchant), ("payment", payment_id))))
        if status is not None:
            found.append(("Correct", _path("correct", ("payment", key))))
    if identity.may(Role.CASHIER, merchant) and status == "authorised":
        found += [("Capture", _path("capture", ("payment", key))), ("Void", _path("void", ("payment", key)))]
    return found


def order_offers(identity: Identity, merchant: str, order_id: str) -> list[Offer]:
    """A lookup of the order, also if nothing is known of its payment."""
    if not identity.may(Role.OPERATOR, merchant):
        return []
    return [("Look up again", _path("look-up", ("merchant", merchant), ("order", order_id)))]


def _path(action: str, *fields: tuple[str, str]) -> str:
    return f"/actions/{action}?{urlencode(fields)}"
