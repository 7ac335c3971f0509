"""What a person who runs the product has to know of: one event for each case, beside the metrics that count them."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from paynotify.schemas.money import Money
from paynotify.schemas.reasons import DeadReason
from paynotify.schemas.status import Status
from paynotify.schemas.times import TimeText

#: ``money_taken_back``: a newer response says that captured money is not captured, and the transition was refused.
#: ``money_returned``: captured money came back without a refund. ``over_refunded``: a refund beyond what was captured.
#: ``odd_elements``: a page or query with elements that could not be read. ``corrected``: an operator's correction.
OperationsKind = Literal["money_taken_back", "money_returned", "over_refunded", "odd_elements", "corrected"]
OPERATIONS_KINDS: Final[tuple[OperationsKind, ...]] = get_args(OperationsKind)

#: The elements that one event names; a page may hold thousands of odd ones.
MAX_ELEMENTS: Final = 50


class NamedElement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The place of an odd element, such as ``orderResults/3``, and why it could not be read."""

    place: str
    reason: DeadReason


class OperationsEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One case that a person has to know of (on ``operations``). It holds no text from outside and no personal data.

    ``cause`` is the id of what it was noticed at: of an observation, a status event, a correction, a response or a
    lookup. So the same case always has the same ``event_id``. ``status`` is what is published of the payment; of
    ``money_taken_back``, ``refused`` is what the provider says instead. ``elements`` are the first odd ones of
    ``elements_total``. Fields that do not apply are absent.
    """

    event_id: str
    kind: OperationsKind
    provider: str
    merchant: str
    cause: str
    at: TimeText
    payment_id: str | None = None
    status: Status | None = None
    previous_status: Status | None = None
    refused: Status | None = None
    captured: Money | None = None
    refunded: Money | None = None
    elements: tuple[NamedElement, ...] = ()
    elements_total: int = 0
