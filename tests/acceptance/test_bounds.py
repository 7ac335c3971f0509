"""What nobody can read, and a provider that is away for long: no partition stops, and coming back is no storm."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import pytest
from kafka import KafkaProducer

from paynotify.sandbox.accounts import default_merchants
from paynotify.sandbox.probes import probe
from paynotify.sandbox.processes import Child, wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from paynotify.schemas.ids import time_ordered_id
from paynotify.schemas.times import rfc3339
from tests.acceptance.knocking import soon
from tests.acceptance.ledger import Observer, assert_right, header, settle
from tests.acceptance.shopping import buy
from tests.fault.evidence import Groups
from tests.long_form import LONG

pytestmark = pytest.mark.kafka

PARTITIONS: Final = 2
DEADLINE_SECONDS: Final = 1800.0 if LONG else 120.0
#: On each partition of each input topic: 10,000 in all, and in the long form on each input.
POISONS: Final = 5_000 if LONG else 167
NESTED_BYTES: Final = 64 * 1024

INPUTS: Final = (
    *(
        name(provider)
        for provider in default_merchants()
        for name in (topics.notifications, topics.lookups, topics.responses)
    ),
    *(topic for provider in default_merchants() for topic in topics.retry_steps(provider)),
    topics.known("nevogate"),
    topics.OBSERVATIONS,
    topics.EXPECTED,
    topics.ORDERS,
    topics.REQUESTED,
    topics.CHARGES,
)

#: The provider is away for longer than the whole ladder of these waits; with the usual ones that would be hours.
LADDER_SECONDS: Final = [0.2, 0.4, 0.8, 1.6, 3.2]
AWAY_SECONDS: Final = 60.0 if LONG else 12.0
BOUGHT: Final = 60
UNSETTLED: Final[dict[str, dict[str, Any]]] = {
    "trustpayments": {"settlestatus": "10"},
    "nevogate": {"result": "PENDING", "response_url": False, "notify": True},
}
SETTLED: Final[dict[str, dict[str, Any]]] = {
    "trustpayments": {"settlestatus": "100", "notify": True},
    "nevogate": {"result": "SUCCESSFUL"},
}


@pytest.fixture(scope="module")
def sandbox(start: Callable[[Plan], Sandbox]) -> Sandbox:
    return start(
        Plan(
            workers=((), ()),
            consumers=False,
            partitions=PARTITIONS,
            charges={"shop-hu": {}},
            with_url_token=("shop-hu",),
            simulators={"time_scale": 60.0, "latency_seconds": 0.01},
            simulator={"trustpayments": {"visible_within_seconds": 0.0}},
            configuration={"worker": {"retry_delays_seconds": LADDER_SECONDS}},
        )
    )


@pytest.fixture
def groups(sandbox: Sandbox) -> Iterator[Groups]:
    one = Groups(sandbox.bootstrap, sandbox.prefix)
    yield one
    one.close()


def nested(opening: bytes, closing: bytes) -> bytes:
    """JSON of the size of the largest body, as deep as it can be."""
    depth = NESTED_BYTES // (len(opening) + len(closing))
    return opening * depth + closing * depth


#: Kinds of what is not what it should be; the last two are of the size of the largest body.
POISON: Final = (
    b"",
    b"\0\xff" * 50,
    b"null",
    b"[]",
    b'{"merchant":',
    b'{"merchant": {}, "payment_id": [], "status": 1}',
    b'{"lookup_id": 1e999}',
    b'"' + b"\\ud800" * 10 + b'"',
    nested(b"[", b"]"),
    nested(b'{"a":', b"}"),
)


def poison(number: int) -> bytes:
    """One kind after the other; the large ones only in the beginning."""
    return POISON[number % (len(POISON) if number < 2 * len(POISON) else len(POISON) - 2)]


def headers_of(topic: str) -> list[tuple[str, bytes]]:
    """As on a genuine record, so that it is the value that is wrong."""
    provider = next((one for one in default_merchants() if one in topic), "trustpayments")
    merchant = {"omnikassa": "shop-nl", "trustpayments": "shop-uk", "nevogate": "shop-hu"}[provider]
    texts = {
        "ce_id": time_ordered_id(),
        "ce_source": f"/notifications/{provider}/{merchant}",
        "ce_time": rfc3339(),
        "ce_type": "payment.notification.received.v1",
        "content-type": "application/json",
        "http-method": "POST",
        "lookups": "[]",
        "received-at": rfc3339(),
    }
    return [(name, text.encode()) for name, text in texts.items()]


def test_partition_of_any_input_passes_unreadable_records(sandbox: Sandbox, observer: Observer, groups: Groups) -> None:
    producer = KafkaProducer(bootstrap_servers=sandbox.bootstrap, acks="all", linger_ms=20, compression_type="gzip")
    for topic in INPUTS:
        for partition in range(PARTITIONS):
            for number in range(POISONS):
                headers = headers_of(topic) if number % 2 else []
                producer.send(sandbox.topic(topic), poison(number), b"shop/poison", headers, partition)
    producer.flush()
    producer.close()
    bought = {provider: buy(sandbox, provider, 3) for provider in sandbox.providers}
    all_read = wait_for(lambda: not groups.behind(), within_seconds=DEADLINE_SECONDS, every=0.5)
    assert all_read, f"records are left unread: {groups.behind()}"
    books = settle(sandbox, observer, DEADLINE_SECONDS)
    assert all(name in books[provider]["payments"] for provider, names in bought.items() for name in names)
    for worker in sandbox.workers:
        assert worker.running, worker.end()
        assert probe(management_port(worker), "/livez")[0] == 200


def management_port(child: Child) -> int:
    return int(child.wait_for_event("management_listening")["port"])


def calls(sandbox: Sandbox, provider: str) -> int:
    return int(sandbox.providers[provider].counters().get("calls", 0))


@pytest.mark.parametrize("provider", ["trustpayments", "nevogate"])
def test_provider_back_after_all_retries_is_asked_once_for_each_payment(
    start: Callable[[Plan], Sandbox], provider: str
) -> None:
    sandbox = start(
        Plan(
            workers=((), ()),
            merchants={provider: ("shop",)},
            with_url_token=("shop",) if provider == "nevogate" else (),
            consumers=False,
            partitions=PARTITIONS,
            simulators={"time_scale": 60.0, "latency_seconds": 0.01},
            simulator={
                "trustpayments": {"visible_within_seconds": 0.0},
                # a call that this machine answers too late is made again, for one more result
                "nevogate": {"resend_after_seconds": 600.0},
            },
            configuration={"worker": {"retry_delays_seconds": LADDER_SECONDS}},
        )
    )
    observer = Observer(sandbox)
    control = sandbox.providers[provider]
    began = time.monotonic()
    control.fault("unavailable", for_seconds=None)
    orders = [{"order_id": f"AWAY{number}", "amount": 100 + number, **UNSETTLED[provider]} for number in range(BOUGHT)]
    payments = control.pay_all(orders)
    for payment in payments[::2]:  # what was news when it was told of is old by the time it is asked for
        control.change(payment, **SETTLED[provider])
    last_step = topics.retry(provider, len(LADDER_SECONDS))
    waiting = BOUGHT + len(payments[::2])

    def all_wait() -> bool:
        observer.read()
        names = {header(record, "ce_id") for record in observer.records[last_step]}
        return len(names) >= waiting and time.monotonic() - began > AWAY_SECONDS

    soon(all_wait, DEADLINE_SECONDS, "not every lookup waits on the last step")
    before = calls(sandbox, provider)
    control.clear_faults()
    assert_right(sandbox, observer)
    asked = calls(sandbox, provider) - before
    lookups = {header(record, "ce_id") for record in observer.records[topics.lookups(provider)]}
    assert asked <= len(lookups), f"{asked} calls for {len(lookups)} lookups"
    assert observer.records[topics.DEAD] == []
    assert_in_order_of_due_time(observer, provider)
    last = {key: told[-1]["status"] for key, told in observer.events().items()}
    newest = {f"shop/{payment}" for payment in payments[::2]}
    assert {last[key] for key in newest} == {"captured"}
    observer.close()


def assert_in_order_of_due_time(observer: Observer, provider: str) -> None:
    """On each partition of each retry topic no record waits behind one that is due later."""
    for step in range(1, topics.RETRY_STEPS + 1):
        due: dict[int, list[datetime]] = defaultdict(list)
        for record in observer.records[topics.retry(provider, step)]:
            due[record.partition].append(datetime.fromisoformat(header(record, "not-before")))
        assert all(times == sorted(times) for times in due.values()), f"step {step}"
