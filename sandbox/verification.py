"""The simulators' own truth of every payment beside what was published, booked and released."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sandbox.observer import Observer

#: What money moved, as the ERP books it and the provider's book calls it.
_BOOKED: Final = (("paid", "paid"), ("refunded", "refunded"))

Books = Mapping[str, Mapping[str, Any]]


@dataclass(slots=True)
class ProofResult:
    """Every difference names its payment. ``pairs`` counts payments by provider, true and published status."""

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


def statuses(books: Books, witness: Observer) -> Iterator[tuple[str, str, str, str]]:
    """Provider, payment, true status and last published status (empty where none) of every payment."""
    for provider, book in books.items():
        for payment_id, truth in book["payments"].items():
            seen = witness.payments.get(f"{truth['merchant']}/{payment_id}")
            yield provider, payment_id, truth["status"], seen.last["status"] if seen else ""


def missed(overdue: Mapping[str, Sequence[str]], witness: Observer) -> list[str]:
    """Where ``payments.overdue`` says anything else of the orders than it must."""
    names = sorted(overdue.keys() | witness.overdue.keys())
    return [
        f"{name}: overdue is {witness.overdue.get(name, [])}, must be {list(overdue.get(name, ()))}"
        for name in names
        if list(overdue.get(name, ())) != witness.overdue.get(name, [])
    ]


def settled(books: Books, witness: Observer) -> bool:
    """Whether nothing more is to be expected: all published, all notifications acknowledged, all calls answered."""
    quiet = all(book["waiting"] == 0 and not book.get("unanswered") for book in books.values())
    return quiet and all(true == published for _, _, true, published in statuses(books, witness))


def judge(books: Books, witness: Observer, erp: Path, warehouse: Path) -> ProofResult:
    """Compare everything with everything."""
    verdict = ProofResult()
    for provider, payment_id, true, published in statuses(books, witness):
        verdict.payments += 1
        verdict.pairs[provider, true, published] += 1
        if not published:
            verdict.lost.append(f"{provider} {payment_id}: {true} at the provider, nothing published")
        elif published != true:
            verdict.wrong.append(f"{provider} {payment_id}: {true} at the provider, {published} published")
    verdict.wrong += [*witness.contradictions, *witness.unaccounted()]
    _judge_bookings(books, erp, verdict)
    _judge_parcels(books, witness, warehouse, verdict)
    for name in ("unanswered", "uncaused"):
        calls = books["nevogate"]["calls"] if "nevogate" in books else {}
        for payment_id in books.get("nevogate", {}).get(name, ()):
            verdict.broken_rules.append(f"nevogate {payment_id}: Result calls {name}: {calls[payment_id]}")
    return verdict


def _judge_bookings(books: Books, erp: Path, verdict: ProofResult) -> None:
    booked: Counter[tuple[str, str]] = Counter()
    for payment_id, kind, value in _rows(erp, "SELECT payment_id, kind, value FROM bookings"):
        booked[payment_id, kind] += value
        verdict.booked[kind] += 1
    for book in books.values():
        for payment_id, truth in book["payments"].items():
            for kind, name in _BOOKED:
                true, found = truth[name], booked[payment_id, kind]
                if found > true:
                    verdict.twice.append(f"{payment_id}: {kind} {true} at the provider, the ERP booked {found}")
                elif found < true:
                    verdict.wrong.append(f"{payment_id}: {kind} {true} at the provider, the ERP booked {found}")


def _judge_parcels(books: Books, witness: Observer, warehouse: Path, verdict: ProofResult) -> None:
    truths = {name: truth for book in books.values() for name, truth in book["payments"].items()}
    for payment_id, state, released_by in _rows(warehouse, "SELECT payment_id, state, released_by FROM parcels"):
        verdict.parcels[state] += 1
        verdict.parcels["released in all"] += released_by is not None
        truth = truths.get(payment_id)
        if released_by is not None and (truth is None or not truth["paid"]):
            verdict.wrong.append(f"{payment_id}: goods released although nothing was paid")
    decided = Counter(payment_id for (payment_id,) in _rows(warehouse, "SELECT payment_id FROM decisions"))
    for name, seen in witness.payments.items():
        payment_id = name.partition("/")[2]
        if decided[payment_id] > len(seen.events):
            verdict.twice.append(f"{payment_id}: {len(seen.events)} events, {decided[payment_id]} decisions")
        elif decided[payment_id] < len(seen.events):
            verdict.wrong.append(f"{payment_id}: {len(seen.events)} events, {decided[payment_id]} decisions")


def applied(database: Path) -> int:
    """How many distinct events an example consumer has applied."""
    return int(_rows(database, "SELECT count(*) FROM applied")[0][0])


def _rows(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(query).fetchall()
