"""Compares the simulators' ledgers with what was published, booked and released."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from paynotify.sandbox.observer import Observer

#: Money movements: the ERP's kinds of booking, which the provider's ledger and the events have under the same name.
_BOOKED: Final = ("paid", "refunded", "charged_back")
#: Amounts that an event must have as the ledger has them; ``refunding`` is no movement yet.
_AMOUNTS: Final = (*_BOOKED, "refunding")

Books = Mapping[str, Mapping[str, Any]]


@dataclass(slots=True)
class VerificationResult:
    """The differences, each with its payment. ``pairs`` counts payments by provider, true and published status."""

    payments: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)
    pairs: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    booked: Counter[str] = field(default_factory=Counter)
    parcels: Counter[str] = field(default_factory=Counter)

    @property
    def holds(self) -> bool:
        return not (self.lost or self.wrong or self.twice or self.broken_rules)


def statuses(books: Books, observer: Observer) -> Iterator[tuple[str, str, str, str]]:
    """Provider, payment, true status and last published status of every payment; empty if nothing was published."""
    for provider, payment_id, truth, last in _compared(books, observer):
        yield provider, payment_id, truth["status"], last["status"] if last else ""


def _compared(books: Books, observer: Observer) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
    """Provider, payment, truth and newest event of every payment; the event is empty if nothing was published."""
    for provider, book in books.items():
        for payment_id, truth in book["payments"].items():
            seen = observer.payments.get(f"{truth['merchant']}/{payment_id}")
            yield provider, payment_id, truth, seen.last if seen else {}


def missed(overdue: Mapping[str, Sequence[str]], observer: Observer) -> list[str]:
    """The orders for which ``payments.overdue`` has other events than ``overdue`` expects."""
    names = sorted(overdue.keys() | observer.overdue.keys())
    return [
        f"{name}: payments.overdue has {observer.overdue.get(name, [])}, must have {list(overdue.get(name, ()))}"
        for name in names
        if list(overdue.get(name, ())) != observer.overdue.get(name, [])
    ]


def settled(books: Books, observer: Observer) -> bool:
    """Whether everything is published, and the providers wait for no acknowledgement, no call and no night."""
    quiet = not any(book.get(name) for book in books.values() for name in ("waiting", "unanswered", "unsettled"))
    published = all(true == published for _, _, true, published in statuses(books, observer))
    return quiet and published and not any(_other_amounts(books, observer))


def _other_amounts(books: Books, observer: Observer) -> Iterator[str]:
    """The payments whose newest event has other amounts than the provider's ledger."""
    for provider, payment_id, truth, last in _compared(books, observer):
        for name in _AMOUNTS if last else ():
            published = (last.get(name) or {"value": 0})["value"]
            if published != truth[name]:
                yield f"{provider} {payment_id}: {name} {truth[name]} at the provider, {published} published"


def verify(books: Books, observer: Observer, erp: Path, warehouse: Path) -> VerificationResult:
    """Compare the providers' ledgers with the topics, the ERP's bookings and the warehouse's parcels."""
    result = VerificationResult()
    for provider, payment_id, true, published in statuses(books, observer):
        result.payments += 1
        result.pairs[provider, true, published] += 1
        if not published:
            result.lost.append(f"{provider} {payment_id}: {true} at the provider, nothing published")
        elif published != true:
            result.wrong.append(f"{provider} {payment_id}: {true} at the provider, {published} published")
    result.wrong += [*_other_amounts(books, observer), *observer.contradictions, *observer.unaccounted()]
    _verify_bookings(books, erp, result)
    _verify_parcels(books, observer, warehouse, result)
    for name in ("unanswered", "uncaused"):
        calls = books["nevogate"]["calls"] if "nevogate" in books else {}
        for payment_id in books.get("nevogate", {}).get(name, ()):
            result.broken_rules.append(f"nevogate {payment_id}: Result calls {name}: {calls[payment_id]}")
    return result


def _verify_bookings(books: Books, erp: Path, result: VerificationResult) -> None:
    booked: Counter[tuple[str, str]] = Counter()
    for payment_id, kind, value in _rows(erp, "SELECT payment_id, kind, value FROM bookings"):
        booked[payment_id, kind] += value
        result.booked[kind] += 1
    for book in books.values():
        for payment_id, truth in book["payments"].items():
            for kind in _BOOKED:
                true, found = truth[kind], booked[payment_id, kind]
                if found > true:
                    result.twice.append(f"{payment_id}: {kind} {true} at the provider, the ERP booked {found}")
                elif found < true:
                    result.wrong.append(f"{payment_id}: {kind} {true} at the provider, the ERP booked {found}")


def _verify_parcels(books: Books, observer: Observer, warehouse: Path, result: VerificationResult) -> None:
    truths = {name: truth for book in books.values() for name, truth in book["payments"].items()}
    for payment_id, state, released_by in _rows(warehouse, "SELECT payment_id, state, released_by FROM parcels"):
        result.parcels[state] += 1
        result.parcels["released in all"] += released_by is not None
        truth = truths.get(payment_id)
        if released_by is not None and (truth is None or not truth["paid"]):
            result.wrong.append(f"{payment_id}: goods were released although nothing was paid")
    decided = Counter(payment_id for (payment_id,) in _rows(warehouse, "SELECT payment_id FROM decisions"))
    for name, seen in observer.payments.items():
        payment_id = name.partition("/")[2]
        if decided[payment_id] > len(seen.events):
            result.twice.append(f"{payment_id}: {len(seen.events)} events, {decided[payment_id]} decisions")
        elif decided[payment_id] < len(seen.events):
            result.wrong.append(f"{payment_id}: {len(seen.events)} events, {decided[payment_id]} decisions")


def applied(database: Path) -> int:
    """The number of distinct events that an example consumer has applied."""
    return int(_rows(database, "SELECT count(*) FROM applied")[0][0])


def _rows(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(query).fetchall()
