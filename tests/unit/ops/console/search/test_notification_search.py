"""An accepted notification is found by its id on the topics, and leads to its payment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.requests import HTTPConnection

from paynotify.ops.console.access.guard import Identify, local_user
from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.ops.console.search.notification_search import made_at
from paynotify.schemas import topics
from paynotify.schemas.ids import derived_id, time_ordered_id
from tests.fakes.console_browser import console_browser
from tests.fakes.console_topics import NAMES, record
from tests.fakes.memory_topics import MemoryTopics

ID = time_ordered_id()


async def of_other_merchant(connection: HTTPConnection) -> Identity:
    return Identity("anna", "basic", {"shop-hu": Role.CASHIER})


async def led(folder: Path, text: str, key: str = "shop-uk/57-9-1", identify: Identify = local_user) -> str:
    PaymentIndex(folder / "index.sqlite", NAMES, "test").close()
    topic = topics.notifications("trustpayments")
    found = [record(topic, 0, at, key, b"body", ce_id=one) for at, one in enumerate((time_ordered_id(), ID))]
    opened = console_browser(
        folder / "index.sqlite", folder, open_reader=lambda: MemoryTopics({topic: found}), identify=identify
    )
    async with opened as client:
        answer = await client.get("/search", params={"q": text})
    return str(answer.headers.get("location", ""))


async def test_id_of_a_notification_leads_to_its_payment(tmp_path: Path) -> None:
    assert await led(tmp_path, ID) == "/payments/shop-uk/57-9-1"


async def test_notification_that_names_no_payment_leads_to_its_record(tmp_path: Path) -> None:
    assert await led(tmp_path, ID, key="shop-nl") == "/records/notifications.trustpayments/0/1"


async def test_notification_of_a_merchant_that_may_not_be_seen_leads_nowhere(tmp_path: Path) -> None:
    assert await led(tmp_path, ID, identify=of_other_merchant) == ""


@pytest.mark.parametrize(
    "text", [time_ordered_id(), ID[:20], derived_id("x"), "57-9-2"], ids=("unknown", "cut", "other", "payment")
)
async def test_other_ids_lead_nowhere(tmp_path: Path, text: str) -> None:
    assert await led(tmp_path, text) == ""


async def test_brokers_that_are_away_are_told(tmp_path: Path) -> None:
    PaymentIndex(tmp_path / "index.sqlite", NAMES, "test").close()
    async with console_browser(tmp_path / "index.sqlite", tmp_path) as client:
        assert "No Kafka broker answered." in (await client.get("/search", params={"q": ID})).text
        assert "No Kafka broker" not in (await client.get("/search", params={"q": ID[:20]})).text


def test_time_of_an_id_is_that_of_its_making() -> None:
    at = made_at(time_ordered_id())
    assert at is not None
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert made_at(derived_id("x")) is None
