"""The life of a payment, drawn and told from the table of transitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, get_args

from docs._site.svg import Arrow, Box, svg
from paynotify.processors.resolve.transitions import ALLOWED, NEWEST_WINS
from paynotify.schemas.generate import markdown
from paynotify.schemas.status import FINAL, Status

REFERENCE: Final = Path(__file__).parents[1] / "reference"
PICTURE: Final = REFERENCE / "life-of-a-payment.svg"
PAGE: Final = REFERENCE / "life-of-a-payment.md"

#: What the picture puts together, in the order of the statuses' table.
GROUPS: Final[Mapping[str, tuple[Status, ...]]] = {
    "started": ("pending",),
    "reserved or held": ("authorised", "suspended", "unknown"),
    "ended without money": ("declined", "cancelled", "expired", "failed"),
    "captured": ("captured",),
    "money went back": ("partially_refunded", "refunded", "charged_back"),
}

_INTRODUCTION: Final = """\
# Life of a payment

<!-- Generated from the table of transitions by `python -m docs._site.draw`. Do not edit. -->

A payment's status only moves along this table. What a provider reports beside it is refused and counted
(`paynotify_refused_transitions_total`), so a published status is never taken back. An operator's
[correction](../operations/correct.md) is the one way around it.

![The life of a payment: {description}](life-of-a-payment.svg)
"""
_HEADER: Final = ("from", "to", "to, only by a newer response", "final")
_NOTES: Final = """\
*Newer* means that the provider's state is later than every state before it. These moves can be undone by later ones, so
an old response, or one that is processed again after a crash, must not cause them.

*Final* says that no later event is expected. A refund, a chargeback or a late success may still follow.

Captured money of a bank's debit that comes back without a refund becomes `unknown` with the reason `money_returned`.
[Payment events](events.md) says what each status means for ERP and warehouse.
"""


def moves() -> dict[tuple[str, str], tuple[tuple[Status, Status], ...]]:
    """The transitions between and within groups."""
    group = {status: name for name, members in GROUPS.items() for status in members}
    found: dict[tuple[str, str], list[tuple[Status, Status]]] = {}
    for before in get_args(Status):
        for after in get_args(Status):
            if after in ALLOWED[before]:
                found.setdefault((group[before], group[after]), []).append((before, after))
    return {groups: tuple(pairs) for groups, pairs in found.items()}


def page() -> str:
    """The Markdown page."""
    table = markdown.table(_HEADER, map(_row, get_args(Status)))
    return "\n".join([_INTRODUCTION.format(description=described()), *table, "", _NOTES])


def _row(status: Status) -> tuple[str, ...]:
    newest = {after for before, after in NEWEST_WINS if before == status}
    always = ALLOWED[status] - newest
    final = "yes" if status in FINAL else ""
    return f"`{status}`", _words(always), _words(newest), final


def _words(statuses: frozenset[Status] | set[Status]) -> str:
    return ", ".join(f"`{one}`" for one in get_args(Status) if one in statuses)


def described() -> str:
    """The picture in words."""
    return "; ".join(
        f"from {before} to {after}" if before != after else f"within {before}" for before, after in moves()
    )


def picture() -> str:
    """The drawing."""
    boxes = dict(_boxes())
    return svg("The life of a payment", f"A payment moves {described()}.", tuple(boxes.values()), tuple(_arrows(boxes)))


def _boxes() -> Iterator[tuple[str, Box]]:
    yield "pending", Box("status", 16, 153, 110, 34, ("pending",))
    yield from _column("reserved or held", 220, 90)
    yield from _column("ended without money", 220, 300)
    yield "captured", Box("status", 500, 153, 110, 34, ("captured",))
    yield from _column("money went back", 700, 90)


def _column(group: str, x: int, y: int) -> Iterator[tuple[str, Box]]:
    members = GROUPS[group]
    yield group, Box("group", x, y, 190, 34 + 42 * len(members), (group,))
    for number, status in enumerate(members):
        yield status, Box("status", x + 20, y + 30 + 42 * number, 150, 32, (status,))


def _arrows(boxes: Mapping[str, Box]) -> Iterator[Arrow]:
    """One arrow for each pair of groups with a transition between them."""
    held, ended, back = boxes["reserved or held"], boxes["ended without money"], boxes["money went back"]
    pending, captured = boxes["pending"], boxes["captured"]
    over, under = 40, ended.y + ended.height // 2
    ways = {
        ("started", "reserved or held"): Arrow((pending.right, held.left)),
        ("started", "captured"): Arrow(
            (
                (pending.middle[0], pending.y),
                (pending.middle[0], 66),
                (captured.middle[0] - 20, 66),
                (captured.middle[0] - 20, captured.y),
            )
        ),
        ("started", "ended without money"): Arrow((pending.bottom, (pending.middle[0], under), ended.left)),
        ("started", "money went back"): Arrow(
            ((pending.middle[0] - 20, pending.y), (pending.middle[0] - 20, over), (back.middle[0], over), back.top),
            "first seen when it was refunded already",
            (pending.middle[0], over - 8),
        ),
        ("reserved or held", "captured"): Arrow((held.right, captured.left)),
        ("reserved or held", "ended without money"): Arrow((held.bottom, ended.top)),
        ("reserved or held", "money went back"): Arrow(
            ((held.x + held.width, held.y + 24), (650, held.y + 24), (650, back.y + 40), (back.x, back.y + 40))
        ),
        ("reserved or held", "reserved or held"): Arrow(
            ((held.x + 60, held.y), (held.x + 60, held.y - 14), (held.x + 130, held.y - 14), (held.x + 130, held.y)),
        ),
        ("ended without money", "captured"): Arrow(
            ((ended.x + ended.width, ended.y + 60), (captured.middle[0], ended.y + 60), captured.bottom),
            "a late success",
            (ended.x + ended.width + 10, ended.y + 54),
            rare=True,
        ),
        ("ended without money", "reserved or held"): Arrow(
            ((ended.x + 130, ended.y), (held.x + 130, held.y + held.height)), rare=True
        ),
        ("ended without money", "money went back"): Arrow(
            ((ended.x + ended.width, ended.y + 120), (back.middle[0], ended.y + 120), back.bottom), rare=True
        ),
        ("captured", "money went back"): Arrow((captured.right, back.left)),
        ("money went back", "money went back"): Arrow(
            (
                (back.x + 190, back.y + 46),
                (back.x + 206, back.y + 46),
                (back.x + 206, back.y + 130),
                (back.x + 190, back.y + 130),
            )
        ),
    }
    for groups in moves():
        yield ways[groups]
