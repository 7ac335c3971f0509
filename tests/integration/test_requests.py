"""The example biller and the operator's requests on real topics; a thread answers as the charge stage would."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from msgspec.structs import replace

from paynotify.sandbox.billing.bills import COLUMNS
from paynotify.schemas import topics
from paynotify.schemas.messages import PaymentRequest, RequestedPayment, decode, encode
from tests import topics_reader
from tests.fakes import configurations
from tests.integration.conftest import ROOT, Installation

pytestmark = pytest.mark.kafka

TRANSACTION: Final = "6a5e3c4fb0d14bd6a7b0f1c2d3e4f506"
CHARGES: Final = {
    "public_url": "http://127.0.0.1:1",
    "limits": {"EUR": {"per_charge": 500_000, "per_reference": 500_000, "per_day": 100_000_000}},
}
CHARGE: Final = (
    "charge",
    "--merchant",
    "shop-hu",
    "--order",
    "O-1",
    "--amount",
    "19.90",
    "--currency",
    "EUR",
    "--reference",
    TRANSACTION,
)

Verdict = Callable[[RequestedPayment], PaymentRequest]


@pytest.fixture
def shop(installation: Installation) -> Installation:
    """Topics, and a merchant that may charge."""
    merchants = configurations.merchants()
    merchants[2]["charges"] = CHARGES
    installation.configure(merchants=merchants)
    return installation


def _answer(request: RequestedPayment, state: Any, status: Any, reason: Any = None) -> PaymentRequest:
    return PaymentRequest(
        event_id="e",
        request_id=request.request_id,
        merchant=request.merchant,
        provider="nevogate",
        action=request.action,
        state=state,
        reason=reason,
        order_id=request.order_id,
        payment_id=TRANSACTION,
        amount=request.amount,
        status=status,
        at="2026-11-23T00:00:00Z",
    )


@contextmanager
def _stage(shop: Installation, verdict: Verdict) -> Iterator[None]:
    """Answers every request, also one seen before, until the block ends."""
    ready, ended = threading.Event(), threading.Event()

    async def answer() -> None:
        servers = {"bootstrap_servers": shop.kafka}
        name = shop.topic(topics.REQUESTED)
        async with (
            AIOKafkaProducer(**servers, acks="all") as producer,
            AIOKafkaConsumer(name, **servers, auto_offset_reset="earliest") as consumer,
        ):
            await consumer.seek_to_beginning()
            ready.set()
            while not ended.is_set():
                batches = await consumer.getmany(timeout_ms=100)
                for request in (decode(one.value, RequestedPayment) for batch in batches.values() for one in batch):
                    key = f"{request.merchant}/{request.request_id}".encode()
                    last = verdict(request)
                    for event in (replace(last, state="received", status=None), last):
                        await producer.send(shop.topic(topics.REQUESTS), encode(event), key)
                await producer.flush()

    thread = threading.Thread(target=lambda: asyncio.run(answer()))
    thread.start()
    try:
        assert ready.wait(30)
        yield
    finally:
        ended.set()
        thread.join(30)


def _biller(shop: Installation, file: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    command = [
        sys.executable,
        "-m",
        "paynotify.sandbox.billing.biller",
        "--config",
        str(shop.file),
        "--csv",
        str(file),
        "--json",
        "--month",
        "2026-11",
        *options,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def _bills(file: Path, count: int) -> Path:
    lines = [f"c-{number},{number:032x},{number % 90 + 1}.50,EUR,2026-11/c-{number}" for number in range(count)]
    file.write_text("\n".join([",".join(COLUMNS), *lines]), "utf-8")
    return file


def _becomes(request: RequestedPayment) -> PaymentRequest:
    number = int((request.order_id or "").rpartition("-")[2])
    if number % 10 == 0:
        return _answer(request, "refused", None, "over_day_limit")
    if number % 10 == 1:
        return _answer(request, "done", "failed", "provider_code")
    return _answer(request, "done", "captured")


def test_month_is_billed_once_even_if_the_biller_starts_twice(shop: Installation, tmp_path: Path) -> None:
    file = _bills(tmp_path / "bills.csv", 1000)
    with _stage(shop, _becomes):
        code, first, said = _biller(shop, file, "--wait", "60")
        assert code == 0, said
        again = _biller(shop, file, "--wait", "60")[1]
    assert (len(first["paid"]), len(first["unpaid"]), first["open"], first["uncertain"]) == (800, 200, [], [])
    assert {one["why"] for one in first["unpaid"]} == {"refused: over_day_limit", "failed: provider_code"}
    assert again == first
    assert sum(first["sums"]["EUR"][f"{one}_value"] for one in ("paid", "unpaid")) == sum(
        100 * (number % 90 + 1) + 50 for number in range(1000)
    )
    asked = [decode(one.value, RequestedPayment) for one in shop.records(topics.REQUESTED)]
    assert len(asked) == 2000
    assert len({one.request_id for one in asked}) == 1000


def test_uncertain_or_unanswered_bills_are_listed_and_exit_with_1(shop: Installation, tmp_path: Path) -> None:
    file = _bills(tmp_path / "bills.csv", 3)
    with _stage(shop, lambda request: _answer(request, "uncertain", None, "no_answer")):
        code, found, said = _biller(shop, file, "--wait", "2")
    assert code == 1
    assert [one["why"] for one in found["uncertain"]] == ["no_answer"] * 3
    assert "3 of 3 bills are not settled after 2 s" in said
    assert _biller(shop, _bills(tmp_path / "more.csv", 4), "--month", "2026-12", "--wait", "0.5")[0] == 1


def test_operators_request_is_published_and_followed(shop: Installation) -> None:
    with _stage(shop, lambda request: _answer(request, "done", "authorised")):
        code, said = shop.finished(*CHARGE, "--yes", "--wait", "30", "--request-id", "r-1")
        assert code == 0, said
        assert f"done: authorised, payment shop-hu/{TRANSACTION}" in said
        words = ("--by", "anna", "--reason", "case 4711")
        code, said = shop.finished("capture", f"shop-hu/{TRANSACTION}", "--yes", "--wait", "30", *words)
        assert code == 1, said
    asked = {one.key: one for one in shop.records(topics.REQUESTED)}
    assert len(asked) == 2
    assert topics_reader.header(asked[b"shop-hu/r-1"], "ce_id") == "r-1"
    code, said = shop.finished("history", "--merchant", "shop-hu", "--since", "1h")
    assert code == 0, said
    _, charged, captured = said.splitlines()
    assert " charge " in charged
    assert "request_id=r-1" in charged
    assert charged.endswith("done 1 of 1")
    assert f"shop-hu/{TRANSACTION}" in captured
    assert "anna (" in captured
    assert "case 4711" in captured


def test_without_topics_a_request_says_what_to_do_and_publishes_nothing(bare_installation: Installation) -> None:
    code, said = bare_installation.finished(*CHARGE, "--yes")
    assert code == 2
    assert "Create it with `paynotify topics apply`" in said
    assert "Traceback" not in said


def test_without_brokers_a_request_says_so(tmp_path: Path) -> None:
    file = configurations.write(tmp_path, configurations.document("127.0.0.1:9", "", tmp_path))
    command = [sys.executable, "-m", "paynotify.ops.main", *CHARGE, "--yes", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 3
    assert "No Kafka broker answered at 127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
