"""Where the rows of each list are: its table, its order, and the words that it is cut by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from paynotify.ops.console.index.rows import REQUEST_STATES
from paynotify.ops.console.lists.listing import ListShape
from paynotify.schemas.messages import OPERATIONS_KINDS
from paynotify.schemas.status import Fulfilment, Status

_PLACE: Final = ("at", "partition", "offset")

#: By table: of an action the beginning stands for both its records, or the end if there is no beginning.
SHAPES: Final[Mapping[str, ListShape]] = {
    "payments": ListShape(
        "payments",
        ("observed_at", "merchant", "payment_id"),
        {"fulfilment": get_args(Fulfilment), "status": get_args(Status)},
    ),
    "overdue": ListShape("overdue", ("at", "merchant", "order_id"), {"state": ("raised", "cleared")}),
    "requests": ListShape("requests", ("at", "merchant", "request_id"), {"state": REQUEST_STATES}),
    "silent": ListShape("silent", ("at", "provider", "merchant"), shared=True),
    "cases": ListShape("cases", ("at", "event_id"), {"kind": OPERATIONS_KINDS}),
    "actions": ListShape(
        "actions",
        ("at", "action_id"),
        selected="*, (SELECT o.event FROM actions AS o WHERE o.action_id = actions.action_id AND o.ended) AS end_event",
        condition="(NOT ended OR NOT EXISTS "
        "(SELECT 1 FROM actions AS o WHERE o.action_id = actions.action_id AND NOT o.ended))",
    ),
    "reconciliations": ListShape(
        "reconciliations",
        ("at", "run_id"),
        selected='merchant, run_id, at, start, "end", source, compared, differences, unreadable, repair, queued, "by"',
    ),
    "rejected": ListShape("rejected", _PLACE),
    "dead": ListShape("dead", _PLACE),
}
