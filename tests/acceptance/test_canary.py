"""Secrets, cards, names and addresses are planted in all that providers and strangers can send; none comes out.

Topics with raw calls and answers keep them by design, as they came; so do the pull tokens in OmniKassa's lookups.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import httpx
import pytest

from paynotify.sandbox.probes import probe
from paynotify.sandbox.script import REQUIRED_PLAN, Player
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from paynotify.schemas.providers import provider_names
from tests.acceptance.knocking import soon
from tests.acceptance.ledger import Observer, assert_right
from tests.acceptance.shopping import buy
from tests.fakes.otlp_receiver import OtlpReceiver, otlp_receiver

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 60.0
DAY_SECONDS: Final = 8.0

#: What providers add to notifications and answers, by its place there.
PLANTED: Final = {
    "maskedpan": "411111######C4RD",
    "CardPan": "500000******C4RD",
    "expirydate": "12/2031CNRY",
    "billingfirstname": "Firstname-CNRY",
    "billinglastname": "Surname-CNRY",
    "billingemail": "billing-CNRY@mail.example",
    "billingpremise": "Street-CNRY 1",
    "consumerName": "Consumer-CNRY",
    "shippingMail": "shipping-CNRY@mail.example",
    "errormessage": "Errormessage-CNRY",
    "ResultMessage": "Resultmessage-CNRY",
    "UserId": "Userid-CNRY",
    "customerip": "Customerip-CNRY",
    "Anum": "Authcode-CNRY",
}
#: In requests of providers and strangers; a stored call keeps none of them but User-Agent and X-Request-Id.
DROPPED_HEADERS: Final = {
    "Authorization": "Bearer Authorization-CNRY",
    "Cookie": "session=Cookie-CNRY",
    "X-Forwarded-For": "Forwarded-CNRY",
    "Referer": "https://Referer-CNRY.example/",
    "traceparent": "00-Traceparent-CNRY-01",
    "X-Api-Key": "Apikey-CNRY",
}
KEPT_HEADERS: Final = {"User-Agent": "Useragent-CNRY", "X-Request-Id": "Requestid-CNRY"}

#: What a stranger writes wherever a text fits; letters only, for the places where nothing else does.
STRANGER: Final = "StrangerCanary"

RAW: Final = frozenset(
    (
        *map(topics.notifications, provider_names()),
        *map(topics.responses, provider_names()),
        topics.REJECTED,
        topics.DEAD,
        topics.ALERTS,
    )
)
#: Their records are as they came, apart from the headers that say why they are there.
ADDED_HEADERS: Final = frozenset(
    ("reason", "original-topic", "original-partition", "original-offset", "attempts", "first-seen", "not-before")
)
FIELDS: Final = ["baseamount", "currencyiso3a", "requesttypedescription", "parenttransactionreference"]


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as running:
        yield running


@pytest.fixture(scope="module")
def sandbox(receiver: OtlpReceiver) -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("KAFKA", raising=False)
        # the shop has asked the gateway to send what had better not be sent
        patch.setattr("paynotify.sandbox.simulators.trustpayments.spec._EXTRA_FIELDS", [*FIELDS, *PLANTED])
        plan = Plan(
            simulators={
                "time_scale": 60.0,
                "planted": PLANTED,
                "planted_headers": {**DROPPED_HEADERS, **KEPT_HEADERS},
            },
            simulator={"trustpayments": {"visible_within_seconds": 60.0}},
            partitions=2,
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "500"},
            **REQUIRED_PLAN,
        )
        with Sandbox(plan) as one:
            yield one


@pytest.fixture(scope="module")
def observer(sandbox: Sandbox) -> Iterator[Observer]:
    one = Observer(sandbox)
    yield one
    one.close()


@pytest.fixture(scope="module")
def answers(sandbox: Sandbox, observer: Observer) -> list[str]:
    """A short day with everything that goes wrong in it, and strangers; all that strangers were answered."""
    player = Player(sandbox, seconds=DAY_SECONDS, payments=54, seed=11)
    player.start()
    try:
        heard = _knocked(sandbox)
        soon(lambda: player.over, DEADLINE_SECONDS, "the day did not end")
    finally:
        player.stop()
    player.finish()
    for provider in sandbox.providers:
        buy(sandbox, provider)
    assert_right(sandbox, observer)
    return [*heard, *_managed(sandbox), *_garbled(sandbox)]


def _strange_bodies() -> dict[str, tuple[str, bytes]]:
    members = {name: f"{STRANGER}{name}" for name in (*PLANTED, "authentication", "eventName", "signature", "x")}
    return {
        "form": ("application/x-www-form-urlencoded", "&".join(f"{k}={quote(v)}" for k, v in members.items()).encode()),
        "own field": ("application/x-www-form-urlencoded", f"{STRANGER}=1&responsesitesecurity={STRANGER}".encode()),
        "JSON": ("application/json", json.dumps({**members, "poiId": 2004, "expiry": "2099-01-01T00:00:00Z"}).encode()),
        "alert": ("application/json", json.dumps({f"alert{STRANGER}": members}).encode()),
        "call": ("application/json", json.dumps({"commonData": {**members, "transactionId": "e" * 32}}).encode()),
        "no id": ("application/json", json.dumps({"commonData": {"transactionId": STRANGER}}).encode()),
        "content type": (f"text/{STRANGER}; charset={STRANGER}", STRANGER.encode()),
        "torn": ("application/json", f'{{"{STRANGER}": "{STRANGER}'.encode()),
        "too long": ("text/plain", STRANGER.encode() * 8000),
    }


def _knocked(sandbox: Sandbox) -> list[str]:
    """What strangers are answered who speak HTTP."""
    headers = {name: value.replace("CNRY", STRANGER) for name, value in {**DROPPED_HEADERS, **KEPT_HEADERS}.items()}
    merchants = {provider: names[0] for provider, names in sandbox.plan.merchants.items()}
    heard = []
    with httpx.Client(headers=headers, timeout=10) as client:
        for content_type, body in _strange_bodies().values():
            for provider, merchant in merchants.items():
                path = f"/notifications/{provider}/{merchant}"
                for method, where in (
                    ("POST", path),
                    ("POST", f"{path}?TransactionId={STRANGER}&{STRANGER}={STRANGER}"),
                    ("POST", f"{path}/{STRANGER}"),
                    (STRANGER.upper(), path),
                    ("DELETE", f"{path}?{STRANGER}"),
                ):
                    answer = client.request(
                        method, sandbox.ingest_address + where, content=body, headers={"Content-Type": content_type}
                    )
                    heard.append(_told(answer))
        for where in (f"/notifications/{STRANGER}/{STRANGER}", f"/{STRANGER}", f"/notifications/nevogate/{STRANGER}"):
            heard.append(_told(client.post(sandbox.ingest_address + where, content=STRANGER)))
    return heard


def _managed(sandbox: Sandbox) -> list[str]:
    """What strangers are answered who have found the management ports."""
    with httpx.Client(timeout=10) as client:
        return [
            _told(client.request(method, f"http://127.0.0.1:{port}/{STRANGER}?{STRANGER}"))
            for port in _management_ports(sandbox)
            for method in ("GET", "POST", STRANGER.upper())
        ]


def _told(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.reason_phrase} {dict(answer.headers)} {answer.text}"


def _garbled(sandbox: Sandbox) -> list[str]:
    """What strangers are answered who don't speak HTTP."""
    heard = []
    for port in (int(sandbox.ingest_address.rpartition(":")[2]), *_management_ports(sandbox)):
        for said in (
            f"{STRANGER}\r\n\r\n",
            f"GET / HTTP/{STRANGER}\r\n\r\n",
            f"GET /{STRANGER * 9000} HTTP/1.1\r\n\r\n",
        ):
            # it may close in the middle of what is said
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, contextlib.suppress(OSError):
                connection.sendall(said.encode())
                connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(65536):
                    heard.append(part.decode("latin-1"))
    return heard


def _management_ports(sandbox: Sandbox) -> list[int]:
    processes = [child for child in (sandbox.ingest, *sandbox.workers) if child is not None and child.running]
    return [int(child.wait_for_event("management_listening")["port"]) for child in processes]


def marks(sandbox: Sandbox) -> dict[str, list[bytes]]:
    """Everything that must not come out, in every form it could take; the first form is the plain one."""
    found = {name: [value.encode()] for name, value in {**PLANTED, **DROPPED_HEADERS, **KEPT_HEADERS}.items()}
    found["any planted text"] = [b"CNRY", b"C4RD"]
    found["a stranger's text"] = [STRANGER.encode(), STRANGER.upper().encode(), STRANGER.lower().encode()]
    for file in (sandbox.directory / "secrets").rglob("*"):
        if file.is_file():
            found[f"{file.parent.name} {file.name}"] = _forms(file.read_text("utf-8").strip())
    users = {"password": "username", "api-key": "store_name"}
    for account in sandbox.accounts:
        for name, user in users.items():
            file = sandbox.directory / "secrets" / account.name / name
            if file.is_file():
                pair = f"{account.merchant[user]}:{file.read_text('utf-8').strip()}"
                found[f"{account.name} basic"] = [base64.b64encode(pair.encode())]
    tokens = [json.loads(one["body"])["authentication"] for one in sandbox.providers["omnikassa"].sent()]
    assert tokens
    found["pull tokens"] = [token.encode() for token in tokens]
    return found


def _forms(secret: str) -> list[bytes]:
    raw = secret.encode()
    return [raw, base64.b64encode(raw), quote_plus(secret).encode(), raw.hex().encode(), json.dumps(secret).encode()]


def found_in(wanted: Mapping[str, list[bytes]], text: bytes) -> list[str]:
    return [name for name, forms in wanted.items() if any(form in text for form in forms)]


def parts(record: Any, *, only: frozenset[str] = frozenset()) -> bytes:
    """The record whole, or of its headers only some."""
    if only:
        return b"\n".join(value for name, value in record.headers if name in only)
    headers = b"\n".join(name.encode() + b"=" + value for name, value in record.headers)
    return b"\n".join((record.key or b"", record.value or b"", headers))


@pytest.mark.usefixtures("answers")
def test_planted_marks_arrived(sandbox: Sandbox, observer: Observer) -> None:
    """Otherwise its absence elsewhere would prove nothing."""
    raw = b"\n".join(parts(record) for record in observer.all_of(RAW))
    there = set(found_in(marks(sandbox), raw))
    assert there >= {*PLANTED, *KEPT_HEADERS, "a stranger's text", "pull tokens"}
    for topic in (topics.REJECTED, topics.DEAD, topics.ALERTS):
        assert observer.records[topic], f"nothing on {topic}"
    for provider in sandbox.providers:
        raw = b"\n".join(parts(one) for one in observer.records[topics.responses(provider)])
        assert PLANTED["billingemail"].encode() in raw


@pytest.mark.usefixtures("answers")
def test_records_keep_no_header_that_nobody_needs(sandbox: Sandbox, observer: Observer) -> None:
    every = b"\n".join(parts(record) for record in observer.all_of(list(observer.records)))
    kept = set(found_in(marks(sandbox), every))
    assert not kept & set(DROPPED_HEADERS)
    assert [name for name in kept if name.startswith("shop-")] == [], "our own secrets are on a topic"


@pytest.mark.usefixtures("answers")
def test_topics_of_results_hold_nothing_secret_or_personal(sandbox: Sandbox, observer: Observer) -> None:
    wanted = marks(sandbox)
    for topic in observer.records:
        if topic in RAW:
            added = b"\n".join(parts(record, only=ADDED_HEADERS) for record in observer.records[topic])
            assert found_in(wanted, added) == [], topic
            continue
        by_design = {"pull tokens"} if topic.startswith(f"lookups.{provider_names()[0]}") else set()
        every = b"\n".join(parts(record) for record in observer.records[topic])
        assert set(found_in(wanted, every)) - by_design == set(), topic
    for topic in (topics.OBSERVATIONS, topics.STATUS, topics.LATEST, topics.OPERATIONS):
        assert observer.records[topic]


@pytest.mark.usefixtures("answers")
def test_spans_hold_nothing_secret_or_personal(sandbox: Sandbox, receiver: OtlpReceiver) -> None:
    names = {one.name.partition(" ")[0] for one in receiver.spans}
    assert names >= {"POST", "send", "process", *sandbox.providers}
    assert {one.attributes.get("http.response.status_code") for one in receiver.spans} >= {200, 404, 405, 413}
    wire = b"".join(receiver.raw)
    assert found_in(marks(sandbox), wire) == []
    assert sandbox.ingest_address.encode() not in wire


@pytest.mark.usefixtures("answers")
def test_logs_hold_nothing_secret_or_personal(sandbox: Sandbox) -> None:
    wanted = marks(sandbox)
    assert sandbox.broker is not None
    logs = [*sandbox.logs.glob("*.log"), sandbox.broker.log_path]
    assert len(logs) > len(sandbox.children())
    for log in logs:
        assert found_in(wanted, log.read_bytes()) == [], log.name


def test_ingress_responses_hold_nothing_secret_or_personal(sandbox: Sandbox, answers: list[str]) -> None:
    statuses = {answer.partition(" ")[0] for answer in answers}
    assert statuses >= {"200", "404", "405", "413"}
    assert found_in(marks(sandbox), "\n".join(answers).encode()) == []


@pytest.mark.usefixtures("answers")
def test_management_ports_show_nothing_secret_or_personal(sandbox: Sandbox) -> None:
    ports = _management_ports(sandbox)
    assert len(ports) == 1 + len(sandbox.workers)
    for port in ports:
        for page in ("/metrics", "/livez", "/readyz"):
            status, text = probe(port, page)
            assert status == 200, text
            assert found_in(marks(sandbox), text.encode()) == [], page


@pytest.mark.usefixtures("answers")
def test_operators_tools_show_nothing_secret_or_personal(sandbox: Sandbox, observer: Observer, tmp_path: Path) -> None:
    config = ("--config", str(sandbox.config_path))
    page = tmp_path / "payment.html"
    chosen = {name.partition("/")[0]: name for name in observer.events()}
    assert len(chosen) == len(sandbox.accounts)
    told = [sandbox.command("trace", name, *more, *config) for name in chosen.values() for more in ((), ("--json",))]
    told.append(sandbox.command("trace", next(iter(chosen.values())), "--html", str(page), *config))
    told.append(page.read_text("utf-8"))
    told.append(sandbox.command("replay", "all", *config))
    told.append(sandbox.command("audit", "--since", "1h", "--json", *config))
    assert all(told)
    assert found_in(marks(sandbox), "\n".join(told).encode()) == []
