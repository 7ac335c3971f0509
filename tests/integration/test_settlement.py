"""Payments that settle silently, with workers killed in between: each is asked for once, and none is forgotten."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from paynotify.schemas import messages
from paynotify.schemas.messages import FollowUp, Observation
from paynotify.schemas.times import rfc3339
from tests.fakes.observations import observation
from tests.integration.conftest import DEADLINE_SECONDS, Installation
from tests.long_form import LONG
from tests.topics_reader import header, send

pytestmark = pytest.mark.kafka

PAYMENTS = 400
REFERENCES = 100
WORKER = {"settlement": {"gather_seconds": 0.5, "jitter_seconds": 0}, "batch_records": 20}


def seen(number: int, at: datetime, *, settled: bool) -> Observation:
    """A payment that was due two days ago; nobody has looked since."""
    due = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    follow = FollowUp(
        reference=f"57-9-{number}",
        due=rfc3339(due),
        until=rfc3339(due + timedelta(days=8)),
        settles_by=rfc3339(due),
    )
    status, more = ("captured", None) if settled else ("authorised", follow)
    return observation(f"57-9-{number}", status, observed_at=rfc3339(at), follow=more)  # type: ignore[arg-type]


def observed(numbers: Sequence[int], at: datetime, *, settled: bool) -> Iterator[tuple[bytes, bytes, dict[str, str]]]:
    for number in numbers:
        one = seen(number, at, settled=settled)
        yield f"shop-uk/57-9-{number}".encode(), messages.encode(one), {"ce_id": f"{number}/{settled}"}


def looks(installation: Installation) -> Counter[str]:
    """How often each payment was asked for; asserts that one id has one content."""
    contents: dict[str, bytes] = {}
    for record in installation.records("lookups.trustpayments"):
        assert contents.setdefault(header(record, "ce_id"), record.value) == record.value
    arguments = [orjson.loads(value)["arguments"] for value in contents.values()]
    assert all(one["cause"] == "settlement due" for one in arguments)
    references = [one["references"].split() for one in arguments]
    assert all(len(one) <= REFERENCES for one in references)
    return Counter(name for one in references for name in one)


def statuses(installation: Installation) -> Counter[str]:
    newest = {record.key: orjson.loads(record.value)["status"] for record in installation.records("payments.latest")}
    return Counter(newest.values())


@pytest.mark.parametrize(
    ("step", "batch"), [(step, batch) for step in range(1, 7) for batch in (18, 24)] if LONG else [(3, 22), (4, 24)]
)
def test_payment_is_asked_for_once_though_the_worker_is_killed(
    installation: Installation, step: int, batch: int
) -> None:
    installation.configure(worker=WORKER)
    topic = installation.topic("observations")
    sold_at = datetime.now(UTC) - timedelta(days=3)
    send(installation.kafka, topic, observed(range(PAYMENTS), sold_at, settled=False))
    child = installation.worker("resolve", kill_at=f"resolve.all/{step}/{batch}", ready=False)
    assert child.wait(DEADLINE_SECONDS), child.end()
    assert child.exit_code == -signal.SIGKILL, child.end()
    child = installation.worker("resolve")
    installation.until(lambda: len(looks(installation)) == PAYMENTS, child)
    installation.until_read("resolve", "observations", child=child)
    assert set(looks(installation).values()) == {1}, "a standstill of two days is made up for by one look"
    code, said = installation.finished("audit", "--since", "1h")
    assert code == 0, said
    code, said = installation.finished("trace", "shop-uk/57-9-7")
    assert code == 0, said
    assert "look up transaction (settlement due)" in said
    send(installation.kafka, topic, observed(range(PAYMENTS), datetime.now(UTC), settled=True))
    installation.until(lambda: statuses(installation)["captured"] == PAYMENTS, child)
    assert child.stop() == 0


def test_payments_are_followed_by_whoever_owns_their_partition(installation: Installation) -> None:
    """One of two workers is killed between the timers and the responses; the other takes over what it followed."""
    installation.configure(worker={**WORKER, "session_timeout_seconds": 6})
    topic = installation.topic("observations")
    sold_at = datetime.now(UTC) - timedelta(days=3)
    first = installation.worker("resolve", state="first")
    second = installation.worker("resolve", state="second")
    send(installation.kafka, topic, observed(range(PAYMENTS), sold_at, settled=False))
    installation.until(lambda: len(looks(installation)) > PAYMENTS // 8, first)
    first.kill()
    installation.until(lambda: len(looks(installation)) == PAYMENTS, second)
    send(installation.kafka, topic, observed(range(PAYMENTS), datetime.now(UTC), settled=True))
    installation.until(lambda: statuses(installation)["captured"] == PAYMENTS, second)
    installation.until_read("resolve", "observations", child=second)
    assert set(looks(installation).values()) == {1}
    assert second.stop() == 0
