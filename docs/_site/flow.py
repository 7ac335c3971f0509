"""The flow of records through processes and topics, drawn; every topic is on the drawing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from docs._site.svg import Arrow, Box, Kind, svg
from paynotify.schemas.providers import provider_names

PICTURE: Final = Path(__file__).parents[1] / "explanation" / "flow.svg"

_ROW: Final = 60
_HEIGHT: Final = 36
#: The columns: where each begins, and how wide its boxes are.
_COLUMNS: Final[Mapping[str, tuple[int, int]]] = {
    "side": (16, 210),
    "middle": (270, 190),
    "orders": (520, 200),
    "waits for orders": (520, 130),
    "charges": (760, 200),
    "waits for charges": (760, 136),
    "shops": (520, 440),
}

#: Each box: what it is, its column and row, and its lines. A topic's line is its name, with ``P`` for the provider and
#: ``N`` for the step.
BOXES: Final[Mapping[str, tuple[Kind, str, int, tuple[str, ...]]]] = {
    "provider": ("outside", "middle", 0, ("provider",)),
    "ingest": ("process", "middle", 1, ("ingest",)),
    "notifications": ("topic", "middle", 2, ("notifications.P",)),
    "verify": ("process", "middle", 3, ("verify",)),
    "lookups": ("topic", "middle", 4, ("lookups.P",)),
    "fetch": ("process", "middle", 5, ("fetch",)),
    "responses": ("topic", "middle", 6, ("responses.P",)),
    "interpret": ("process", "middle", 7, ("interpret",)),
    "observations": ("topic", "middle", 8, ("observations",)),
    "resolve": ("process", "middle", 9, ("resolve",)),
    "results": ("topic", "middle", 10, ("payments.status", "payments.latest")),
    "unverified": ("topic", "side", 1, ("notifications.P.retry.N", "lookups.P.known")),
    "ended": ("topic", "side", 2, ("notifications.rejected", "notifications.duplicates", "notifications.alerts")),
    "interface": ("outside", "side", 4, ("provider's API",)),
    "retries": ("topic", "side", 5, ("lookups.P.retry.N",)),
    "odd": ("topic", "side", 7, ("lookups.dead", "operations")),
    "operator": ("outside", "side", 9, ("operator: paynotify …",)),
    "actions": ("topic", "side", 10, ("operators.actions", "reconciliations")),
    "shop": ("outside", "shops", 1, ("shops",)),
    "expected": ("topic", "orders", 3, ("payments.expected",)),
    "orders": ("process", "orders", 5, ("orders",)),
    "order events": ("topic", "waits for orders", 7, ("payments.orders",)),
    "overdue": ("topic", "orders", 10, ("payments.overdue", "providers.silent")),
    "requested": ("topic", "charges", 3, ("payments.requested",)),
    "charges": ("process", "charges", 5, ("charges, calls the API",)),
    "charge events": ("topic", "waits for charges", 7, ("payments.charges",)),
    "requests": ("topic", "charges", 10, ("payments.requests",)),
    "deliver": ("process", "middle", 12, ("deliver",)),
    "deliveries": ("topic", "side", 12, ("deliveries.state", "deliveries.dead", "deliveries.replayed")),
    "subscriber": ("outside", "orders", 12, ("subscribers",)),
}

#: What flows from which box to which; ``<>`` in both directions.
EDGES: Final = """
provider > ingest; ingest > notifications; notifications > verify; verify > lookups; lookups > fetch
fetch > responses; responses > interpret; interpret > observations; observations > resolve; resolve > results
verify <> unverified; verify > ended; fetch <> interface; fetch <> retries
fetch > odd; interpret > odd; resolve > odd; operator > actions; operator > observations
shop > expected; expected > orders; orders <> order events; resolve > order events; orders > overdue
orders > lookups; orders > observations
shop > requested; requested > charges; charges <> charge events; resolve > charge events; charges > requests
charges > responses
results > deliver; overdue > deliver; requests > deliver; deliver <> deliveries; deliver > subscriber
"""

_DESCRIPTION: Final = (
    "Top to bottom: a provider calls the ingress, which stores the call on notifications.P. verify turns it into a "
    "lookup, fetch asks the provider's API and stores the response, interpret reads observations from it, and resolve "
    "publishes payments.status and payments.latest. Shops write payments.expected and payments.requested, which orders "
    "and charges work on. deliver calls subscribers with the results. A record that a stage can't process is "
    "dead-lettered."
)


def general(topic: str) -> str:
    """A topic's name as it is drawn: ``P`` for the provider, ``N`` for the step."""
    for provider in provider_names():
        topic = re.sub(rf"\.{provider}(?=\.|$)", ".P", topic)
    return re.sub(r"\.retry\.\d$", ".retry.N", topic)


def picture() -> str:
    """The drawing."""
    boxes = {name: _box(*row) for name, row in BOXES.items()}
    return svg("How records flow", _DESCRIPTION, tuple(boxes.values()), tuple(_arrows(boxes)))


def edges() -> Iterator[tuple[str, str, bool]]:
    """From, to, and whether back too."""
    for edge in re.split(r"[;\n]", EDGES.strip()):
        before, sign, after = re.split(r" (<?>) ", edge.strip())
        yield before, after, sign == "<>"


def _box(kind: Kind, column: str, row: int, lines: tuple[str, ...]) -> Box:
    x, width = _COLUMNS[column]
    height = _HEIGHT if len(lines) < 3 else _HEIGHT + 22
    return Box(kind, x, 16 + row * _ROW, width, height, lines)


def _arrows(boxes: Mapping[str, Box]) -> Iterator[Arrow]:
    for before, after, both in edges():
        yield Arrow(_points(boxes[before], boxes[after]), both=both)


def _points(before: Box, after: Box) -> tuple[tuple[int, int], ...]:
    """A straight line between the sides that face each other; where boxes share a column, in the right of it."""
    if after.x >= before.x + before.width:
        return before.right, after.left
    if after.x + after.width <= before.x:
        # under what stands between two boxes that are far apart
        far = before.x - after.x - after.width > before.width
        return ((before.x + 12, before.y + before.height) if far else before.left), after.right
    x = min(before.x + before.width, after.x + after.width) - 40
    if after.height == before.height and after.width == before.width:
        x = before.middle[0] if after.y - before.y == _ROW else x
    if after.y > before.y:
        return (x, before.y + before.height), (x, after.y)
    return (x, before.y), (x, after.y + after.height)
