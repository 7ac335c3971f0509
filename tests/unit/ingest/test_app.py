"""The application by itself: every row of the table of responses."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client import generate_latest

from paynotify.ingest.app import Ingress, provider_in
from paynotify.ingest.limits import Slots
from paynotify.ingest.metrics import IngestMetrics
from paynotify.ingest.notification import RecordHeaders
from paynotify.ingest.record_group import Told
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.ingress import RESPONSES, RequestOutcome
from paynotify.schemas.providers import provider_names
from paynotify.schemas.routes import token_digest
from tests.fakes.webhook_caller import call_ingress

CONFIGURATION = """
sandbox: true
kafka: {topic_prefix: "test."}
ingest: {max_body_bytes: 100, body_deadline_seconds: 0.05, max_in_flight: 2, rate_per_second: 1, burst: 5}
merchants:
  - {id: shop-nl, provider: omnikassa, poi_id: 1, base_url: "https://nl.example", signing_keys: [{value: k}]}
  - {id: shop-uk, provider: trustpayments, site_reference: s, notification_passwords: [{value: p}],
     webservices_url: "https://uk.example", username: u, password: {value: p}}
  - {id: shop-hu, provider: nevogate, store_name: s, api_key: {value: k}, base_url: "https://hu.example"}
  - {id: guarded, provider: nevogate, store_name: s, api_key: {value: k}, base_url: "https://hu.example",
     url_tokens: [{value: right}]}
"""
TRANSACTION = b"ab" * 16


class Log:
    """A log in memory with a set result: stored, not stored, or refused at once."""

    def __init__(self, response: bool | None = True) -> None:
        self.response = response
        self.records: list[tuple[str, bytes, bytes, dict[str, bytes]]] = []

    def publish(self, topic: str, key: bytes, value: bytes, headers: RecordHeaders, told: Told) -> bool:
        if self.response is None:
            return False
        self.records.append((topic, key, value, dict(headers)))
        told(self.response)
        return True


class Web:
    """The application with a log, and a client for it."""

    def __init__(self, response: bool | None = True, configuration: str = "") -> None:
        self.configuration: Configuration = parse(configuration or CONFIGURATION, "test.yaml")
        self.log = Log(response)
        self.slots = Slots(self.configuration.ingest.max_in_flight)
        self.meters = IngestMetrics(provider_names(), tuple(outcome.value for outcome in RequestOutcome))
        self.ingress = Ingress(self.configuration, self.log, self.slots, self.meters)

    def call(self, path: str, **more: Any) -> tuple[int, dict[bytes, bytes], bytes]:
        """The status, headers and body of the response to a call."""
        return call_ingress(self.ingress, path, **more).told()

    def count(self, provider: str, outcome: str) -> float:
        labels = {"provider": provider, "outcome": outcome}
        return self.meters.registry.get_sample_value("paynotify_ingest_requests_total", labels) or 0.0


def test_notification_is_stored_untouched_under_its_key() -> None:
    web = Web()
    body = b"errorcode=0&transactionreference=57-9-1&x=%FF\x00\xff"
    status, headers, response = web.call("/notifications/trustpayments/shop-uk", body=[body[:7], body[7:]])
    assert (status, response) == (200, b"")
    assert headers == {b"content-length": b"0"}
    topic, key, value, written = web.log.records[0]
    assert (topic, key, value) == ("test.notifications.trustpayments", b"shop-uk/57-9-1", body)
    assert written["ce_source"] == b"/notifications/trustpayments/shop-uk"
    assert web.count("trustpayments", "stored") == 1


def test_nevogate_return_url_is_stored_with_an_empty_body() -> None:
    web = Web()
    query = b"shop=1&TransactionId=" + TRANSACTION
    status, _, _ = web.call("/notifications/nevogate/shop-hu", method="GET", query=query)
    assert status == 200
    topic, key, value, written = web.log.records[0]
    assert (topic, key, value) == ("test.notifications.nevogate", b"shop-hu/" + TRANSACTION, b"")
    assert (written["http-method"], written["http-query"]) == (b"GET", query)


def test_webshop_has_one_queue() -> None:
    web = Web()
    web.call("/notifications/omnikassa/shop-nl", body=[b'{"poiId": 1}'])
    assert web.log.records[0][1] == b"shop-nl"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "*",
        "/notifications",
        "/notifications/",
        "/notifications/trustpayments",
        "/notifications//shop-uk",
        "/notifications/stripe/shop-uk",
        "/notifications/omnikassa/shop-uk",
        "/notifications/trustpayments/shop-uk/",
        "/notifications/trustpayments/../omnikassa/shop-nl",
        "/notifications/trustpayments/\udcff\x00",
        "//notifications/trustpayments/shop-uk",
        "/Notifications/trustpayments/shop-uk",
        "/metrics",
    ],
)
def test_unknown_management_path_is_404(path: str) -> None:
    web = Web()
    assert (web.call(path))[0] == 404
    assert web.log.records == []


def test_provider_in_a_path_is_known_only_if_it_is_named() -> None:
    assert provider_in("/notifications/trustpayments/stranger") == "trustpayments"
    assert provider_in("/notifications/stranger/shop-uk") == "unknown"
    assert provider_in("/trustpayments") == "unknown"


def test_event_of_the_banks_newer_webhooks_is_refused_and_counted() -> None:
    """A 200 would tell the bank that it was processed; after a 400 the bank repeats it for days."""
    web = Web()
    headers = [
        (b"content-type", b"application/rabo-smartpay-webhook-v3+json"),
        (b"x-smartpay-signature", b"eyJhbGciOiJFUzI1NiJ9..c2ln"),
    ]
    status, response_headers, body = web.call("/notifications/omnikassa/shop-nl", headers=headers, body=[b"{}"])
    assert (status, response_headers[b"content-length"], body) == (400, b"0", b"")
    assert web.log.records == []
    assert web.slots.taken == 0
    text = generate_latest(web.meters.registry).decode()
    assert 'paynotify_ingest_requests_total{outcome="other_protocol",provider="omnikassa"} 1.0' in text


def test_header_of_one_providers_newer_webhooks_means_nothing_on_anothers_route() -> None:
    web = Web()
    status, _, _ = web.call("/notifications/nevogate/shop-hu", headers=[(b"x-smartpay-signature", b"x")])
    assert status == 200


@pytest.mark.parametrize(
    ("path", "method", "allow"),
    [
        ("/notifications/trustpayments/shop-uk", "GET", b"POST"),
        ("/notifications/omnikassa/shop-nl", "PUT", b"POST"),
        ("/notifications/nevogate/shop-hu", "DELETE", b"POST, GET"),
        ("/notifications/nevogate/shop-hu", "HEAD", b"POST, GET"),
    ],
)
def test_wrong_method_gets_405_with_the_allowed_ones(path: str, method: str, allow: bytes) -> None:
    status, headers, _ = Web().call(path, method=method)
    assert (status, headers[b"allow"]) == (405, allow)


def test_large_body_is_refused_by_its_head_or_while_it_is_read() -> None:
    web = Web()
    path = "/notifications/omnikassa/shop-nl"
    assert (web.call(path, headers=[(b"content-length", b"101")], otherwise=RequestOutcome.TOO_SLOW))[0] == 413
    assert (web.call(path, headers=[(b"content-length", b"9" * 40)], otherwise=RequestOutcome.TOO_SLOW))[0] == 413
    assert (web.call(path, body=[b"x" * 60, b"x" * 60], otherwise=RequestOutcome.TOO_SLOW))[0] == 413
    assert web.slots.taken == 0
    assert web.count("omnikassa", "too_large") == 3
    assert (web.call(path, body=[b"x" * 100]))[0] == 200


def test_content_length_of_thousands_of_digits_is_handled() -> None:
    web = Web()
    path, zeros = "/notifications/omnikassa/shop-nl", b"0" * 5000
    assert (web.call(path, headers=[(b"content-length", zeros + b"2")], body=[b"ok"]))[0] == 200
    assert (web.call(path, headers=[(b"content-length", zeros)], body=[b""]))[0] == 200
    assert (web.call(path, headers=[(b"content-length", zeros + b"101")], otherwise=RequestOutcome.TOO_SLOW))[0] == 413
    assert (web.call(path, headers=[(b"content-length", b"9" * 5000)], otherwise=RequestOutcome.TOO_SLOW))[0] == 413


def test_body_of_a_slow_sender_is_refused() -> None:
    web = Web()
    status, headers, _ = web.call("/notifications/omnikassa/shop-nl", body=[b"x"], otherwise=RequestOutcome.TOO_SLOW)
    assert (status, headers[b"connection"]) == (408, b"close")
    assert web.slots.taken == 0


def test_sender_who_disconnects_stores_nothing() -> None:
    web = Web()
    assert (web.call("/notifications/omnikassa/shop-nl", body=[b"x"], otherwise=RequestOutcome.GONE))[0] == 400
    assert web.log.records == []
    assert web.slots.taken == 0


def test_route_has_its_own_rate() -> None:
    web = Web()
    web.log.response = None
    responses = [web.call("/notifications/omnikassa/shop-nl") for _ in range(6)]
    assert [status for status, _, _ in responses] == [503] * 5 + [429]
    assert responses[-1][1][b"retry-after"] == b"5"
    web.slots.taken = 0
    assert (web.call("/notifications/trustpayments/shop-uk"))[0] == 503


@pytest.mark.parametrize("response", [False, None])
def test_notification_not_stored_is_never_a_success(response: bool | None) -> None:
    status, headers, _ = Web(response).call("/notifications/omnikassa/shop-nl")
    assert (status, headers[b"retry-after"]) == (503, b"5")


def test_refused_record_releases_its_slot() -> None:
    web = Web(None)
    web.call("/notifications/omnikassa/shop-nl")
    assert web.slots.taken == 0


def test_request_beyond_all_slots_is_refused_at_once() -> None:
    web = Web()
    web.slots.taken = web.slots.limit
    status, headers, _ = web.call("/notifications/omnikassa/shop-nl", otherwise=RequestOutcome.TOO_SLOW)
    assert (status, headers[b"retry-after"]) == (503, b"5")
    assert web.slots.taken == web.slots.limit


def test_success_is_counted_and_timed() -> None:
    web = Web()
    web.call("/notifications/omnikassa/shop-nl")
    text = generate_latest(web.meters.registry).decode()
    assert 'paynotify_ingest_stored_total{provider="omnikassa"} 1.0' in text
    assert 'paynotify_ingest_publish_seconds_count{provider="omnikassa"} 1.0' in text
    assert "shop-nl" not in text


def test_outcome_has_a_response_and_only_stored_is_a_success() -> None:
    assert set(RESPONSES) == set(RequestOutcome)
    assert [outcome for outcome, response in RESPONSES.items() if response.status < 400] == [RequestOutcome.STORED]


@pytest.mark.parametrize(
    ("path", "query", "stored_query"),
    [
        ("/notifications/nevogate/guarded/right", b"", b""),
        ("/notifications/nevogate/guarded", b"token=right&a=1", b"a=1"),
        ("/notifications/nevogate/guarded", b"a=1&token=right", b"a=1"),
        ("/notifications/nevogate/guarded", b"a=1&token=right&b=2", b"a=1&b=2"),
        ("/notifications/nevogate/guarded", b"a=1&token=%72i%67ht&b=2", b"a=1&b=2"),
        ("/notifications/nevogate/guarded", b"token=right&a=1&token=right", b"a=1"),
    ],
)
def test_url_token_is_stored_as_its_digest_only(path: str, query: bytes, stored_query: bytes) -> None:
    web = Web()
    status, _, _ = web.call(path, query=query)
    assert status == 200
    _, _, _, written = web.log.records[0]
    assert written["url-token"] == token_digest(b"right").encode()
    assert written.get("http-query", b"") == stored_query
    assert not any(b"right" in value for value in written.values())


def test_url_token_of_any_text_is_decoded_and_never_stored() -> None:
    web = Web()
    token = "a+b/c=" * 100
    web.call("/notifications/nevogate/guarded", query=f"token={quote(token, safe='')}".encode())
    _, _, _, written = web.log.records[0]
    assert written["url-token"] == token_digest(token.encode()).encode()
    assert "http-query" not in written


def test_path_with_a_token_is_unknown_if_the_merchant_has_none() -> None:
    status, _, _ = Web().call("/notifications/nevogate/shop-hu/right")
    assert status == 404


def test_address_above_its_rate_is_refused_whatever_its_headers() -> None:
    limits = "ingest: {address_rate_per_second: 0.001, address_burst: 2}"
    web = Web(configuration=re.sub("ingest: {.*}", limits, CONFIGURATION))
    forwarded = [(b"x-forwarded-for", b"203.0.113.9")]
    codes = [
        (web.call("/notifications/omnikassa/shop-nl", body=[b"{}"], headers=headers))[0]
        for headers in ([], [], [], forwarded)
    ]
    assert codes == [200, 200, 429, 429]
    assert (web.call("/notifications/omnikassa/shop-nl", body=[b"{}"], address="192.0.2.2"))[0] == 200
    assert web.count("omnikassa", "over_rate") == 2


def test_long_body_counts_as_several_calls() -> None:
    web = Web(configuration=CONFIGURATION.replace("max_body_bytes: 100", "max_body_bytes: 65536"))
    path = "/notifications/trustpayments/shop-uk"
    long, short = b"x" * 4 * 4096, b"x" * 4096
    assert [call_ingress(web.ingress, path, body=[one]).told()[0] for one in (short, long, short)] == [200, 200, 429]
