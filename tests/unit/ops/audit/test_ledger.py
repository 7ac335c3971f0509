"""The audit's ledger: one outcome for each notification and lookup, and a difference for everything else."""

from __future__ import annotations

import uuid

import pytest

from paynotify.ops.audit.ledger import AuditLedger, LookupFlags, NotificationFlags, identity, identity_text

NAME = uuid.uuid4().bytes


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (NotificationFlags.STORED | NotificationFlags.LOOKUP, "lookup"),
        (NotificationFlags.STORED | NotificationFlags.DUPLICATE, "duplicate"),
        (NotificationFlags.STORED | NotificationFlags.REJECTED, "rejected"),
        (NotificationFlags.STORED | NotificationFlags.ALERT, "alert"),
        (NotificationFlags.STORED | NotificationFlags.OPEN, "in_work"),
        (
            NotificationFlags.STORED
            | NotificationFlags.REPLAYED
            | NotificationFlags.REJECTED
            | NotificationFlags.LOOKUP,
            "lookup",
        ),
        (
            NotificationFlags.STORED | NotificationFlags.REPLAYED | NotificationFlags.REJECTED | NotificationFlags.OPEN,
            "rejected",
        ),
    ],
)
def test_notification_with_one_outcome_is_accounted_for(flags: int, word: str) -> None:
    ledger = AuditLedger("nevogate")
    ledger.notification(NAME, flags)
    assert list(ledger.differences()) == []
    sums = ledger.sums().notifications
    assert sums["stored"] == sums[word] == 1
    assert sum(sums.values()) == 2


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (NotificationFlags.STORED, "has no outcome"),
        (NotificationFlags.LOOKUP, "is lookup but was never stored"),
        (NotificationFlags.STORED | NotificationFlags.LOOKUP | NotificationFlags.REJECTED, "is lookup and rejected"),
    ],
)
def test_notification_without_exactly_one_outcome_is_a_difference(flags: int, expected: str) -> None:
    ledger = AuditLedger("nevogate")
    ledger.notification(NAME, flags)
    (found,) = ledger.differences()
    assert expected in str(found)
    assert identity_text(NAME) in str(found)


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (LookupFlags.ASKED | LookupFlags.ANSWERED, "answered"),
        (LookupFlags.ASKED | LookupFlags.DEAD, "dead"),
        (LookupFlags.ASKED | LookupFlags.WAITING, "waiting"),
        (LookupFlags.ASKED | LookupFlags.OPEN, "in_work"),
        (LookupFlags.ASKED | LookupFlags.DEAD | LookupFlags.OPEN, "in_work"),  # replayed and not yet fetched
        (LookupFlags.ASKED | LookupFlags.DEAD | LookupFlags.ANSWERED, "answered"),
    ],
)
def test_lookup_that_ended_or_waits_is_accounted_for(flags: int, word: str) -> None:
    ledger = AuditLedger("nevogate")
    ledger.lookup(NAME, flags)
    assert list(ledger.differences()) == []
    assert ledger.sums().lookups[word] == 1


def test_lookup_without_outcome_and_outcome_without_lookup_are_differences() -> None:
    ledger = AuditLedger("nevogate")
    ledger.lookup(NAME, LookupFlags.ASKED)
    ledger.lookup(uuid.uuid4().bytes, LookupFlags.ANSWERED)
    differences = " ".join(str(one) for one in ledger.differences())
    assert "neither response nor dead letter" in differences
    assert "was never published" in differences


def test_identity_is_the_uuid_or_a_digest() -> None:
    name = str(uuid.uuid4())
    assert identity_text(identity(name.encode())) == name
    assert len(identity(b"a-word")) == len(identity(b"x" * 36)) == 16
