"""Counters behind a merchant's charge limits: amounts charged by day and by initial payment.

State keys: ``day`` and ``reference`` (amounts counted), each also behind ``back`` (amounts returned).
"""

from __future__ import annotations

from typing import Final

import msgspec

from paynotify.processors.charges import validation
from paynotify.processors.charges.state_machine import ChargeRequest
from paynotify.processors.charges.write_batch import WriteBatch
from paynotify.schemas import messages

#: Prefix of the keys of returned amounts.
_GIVEN_BACK: Final = b"back\0"

_SUMS: Final = msgspec.json.Decoder(dict[str, int])


class SpendingCounters:
    """The counters as one batch sees them."""

    def __init__(self, writes: WriteBatch) -> None:
        self._writes = writes

    def on_reference(self, request: ChargeRequest) -> dict[str, int]:
        """Amounts that count against the request's initial payment, by day."""
        return self._standing(_reference_key(request), request)

    def on_day(self, request: ChargeRequest) -> int:
        """The amount that counts against the request's merchant and currency on its day."""
        return self._standing(_day_key(request), request).get(request.day, 0)

    def _sums(self, key: bytes) -> dict[str, int]:
        value = self._writes.get(key)
        return _SUMS.decode(value) if value is not None else {}

    def count(self, request: ChargeRequest) -> None:
        """Count the charge against the limits of its day and initial payment."""
        for key in (_day_key(request), _reference_key(request)):
            self._writes.put(key, self._added(key, request))

    def give_back(self, request: ChargeRequest) -> None:
        """Return the charge's amount to the limits. Separate sums: a crash may lose a return but never repeat one."""
        for key in (_day_key(request), _reference_key(request)):
            self._writes.put_last(_GIVEN_BACK + key, self._added(_GIVEN_BACK + key, request))

    def _added(self, key: bytes, request: ChargeRequest) -> bytes:
        assert request.amount is not None
        sums = validation.within(self._sums(key), request.day)
        return messages.encode({**sums, request.day: sums.get(request.day, 0) + request.amount.value})

    def _standing(self, key: bytes, request: ChargeRequest) -> dict[str, int]:
        """Amounts that count against a limit, by day."""
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
