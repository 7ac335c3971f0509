"""An answer that no key verifies is kept, and read again once the right key is there."""

from __future__ import annotations

import json
from typing import Final

import pytest

from tests.fakes.accounts import OMNIKASSA_KEY, vectors
from tests.integration.conftest import Installation
from tests.topics_reader import header, send

pytestmark = pytest.mark.kafka

POI_ID: Final = 2004
OTHER_KEY: Final = "c2VjcmV0"


def test_unverifiable_page_is_read_again_after_a_key_change(bare_installation: Installation) -> None:
    installation = bare_installation
    key_file = installation.directory / "signing-key"
    key_file.write_text(OTHER_KEY, "utf-8")
    page = next(str(one["body"]) for one in vectors("omnikassa")["vectors"] if one["id"] == "S03")
    (order,) = json.loads(page)["orderResults"]
    installation.configure(
        merchants=[
            {
                "id": "shop-nl",
                "provider": "omnikassa",
                "poi_id": int(order["poiId"]),
                "base_url": "http://127.0.0.1:9",
                "signing_keys": [{"file": str(key_file)}],
            }
        ]
    )
    installation.apply_topics()
    headers = {
        "ce_id": "r-1",
        "ce_source": "/providers/omnikassa/shop-nl",
        "ce_time": "2026-06-01T12:00:00.000Z",
        "http-status": "200",
        "fact_results-version": "2",
        "lookups": "[]",
    }
    send(installation.kafka, installation.topic("responses.omnikassa"), [(b"shop-nl", page.encode(), headers)])
    worker = installation.worker("interpret")
    installation.until(lambda: installation.count("lookups.dead") == 1, worker)
    (dead,) = installation.records("lookups.dead")
    assert (header(dead, "reason"), dead.value) == ("unverified_answer", page.encode())
    assert installation.count("observations") == 0

    key_file.write_text(OMNIKASSA_KEY, "utf-8")

    def read_again() -> bool:
        code, said = installation.finished("replay", "dead", "--reason", "unverified_answer", "--yes")
        assert code == 0, said
        installation.until_read("interpret.omnikassa", "responses.omnikassa", child=worker)
        return installation.count("observations") == 1

    # a worker looks for changed files once a second; what dies again is replayed again
    installation.until(read_again, worker)
    (observation,) = installation.records("observations")
    assert json.loads(observation.value)["payment_id"] == order["omnikassaOrderId"]
    assert worker.stop() == 0
