"""What recurring charges have come to: by day and by reference payment, for the merchant's limits.

State keys: ``day`` and ``reference`` (what was counted), each also behind ``back`` (what was given back of it).
"""

from __future__ import annotations

from typing import Final

import msgspec

from processors.charges import validation
from processors.charges.state_machine import ChargeRequest
from processors.charges.write_batch import WriteBatch
from schemas import messages

#: Before the key of what was counted: what no longer stands there.
_GIVEN_BACK: Final = b"back\0"

_SUMS: Final = msgspec.json.Decoder(dict[str, int])


class SpendingCounters:
    """The sums of one batch's journal."""

    def __init__(self, journal: WriteBatch) -> None:
        self._journal = journal

    def on_reference(self, request: ChargeRequest) -> dict[str, int]:
        """What stands against the request's reference payment, by day."""
        return self._standing(_reference_key(request), request)

    def on_day(self, request: ChargeRequest) -> int:
        """What stands against the request's merchant and currency on its day."""
        return self._standing(_day_key(request), request).get(request.day, 0)

    def _sums(self, key: bytes) -> dict[str, int]:
        value = self._journal.get(key)
        return _SUMS.decode(value) if value is not None else {}

    def count(self, request: ChargeRequest) -> None:
        """Let the charge stand in the limits of its day and reference."""
        for key in (_day_key(request), _reference_key(request)):
            self._journal.put(key, self._added(key, request))

    def give_back(self, request: ChargeRequest) -> None:
        """Take the charge out of the limits: in sums of their own, which a crash may lose but never repeat."""
        for key in (_day_key(request), _reference_key(request)):
            self._journal.put_last(_GIVEN_BACK + key, self._added(_GIVEN_BACK + key, request))

    def _added(self, key: bytes, request: ChargeRequest) -> bytes:
        assert request.amount is not None
        sums = validation.within(self._sums(key), request.day)
        return messages.encode({**sums, request.day: sums.get(request.day, 0) + request.amount.value})

    def _standing(self, key: bytes, request: ChargeRequest) -> dict[str, int]:
        """What stands in a limit, by day."""
        back = self._sums(_GIVEN_BACK + key)
        counted = validation.within(self._sums(key), request.day)
        return {day: value - back.get(day, 0) for day, value in counted.items()}


def _day_key(request: ChargeRequest) -> bytes:
    assert request.amount is not None
    return b"day\0" + f"{request.asked.merchant}/{request.amount.currency}".encode()


def _reference_key(request: ChargeRequest) -> bytes:
    assert request.amount is not None
    text = f"{request.asked.merchant}/{request.amount.currency}/{request.asked.reference_payment_id}"
    return b"reference\0" + text.encode()
