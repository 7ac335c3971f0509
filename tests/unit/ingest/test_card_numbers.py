"""Calls with a card number in them are stored without it."""

from __future__ import annotations

import base64
import gzip
from typing import Final

import pytest
from prometheus_client import generate_latest

from paynotify.ingest.sent_headers import MAX_VALUE_BYTES, OPTIONAL_HEADERS
from paynotify.schemas.configuration.encryption import EncryptionKey, EncryptionSettings
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.records import Record
from paynotify.service.value_cipher import ValueCipher
from tests.fakes.webhook_caller import call_ingress
from tests.unit.ingest import test_answers
from tests.unit.ingest.test_app import CONFIGURATION, TRANSACTION, Log, Web

CARD: Final = b"4111111111111111"
FORM: Final = b"transactionreference=57-9-1&note=" + CARD
MASKED_FORM: Final = b"transactionreference=57-9-1&note=XXXXXXXXXXXXXXXX"
SHOP: Final = "/notifications/trustpayments/shop-uk"


def roomy(more: str = "") -> Web:
    return Web(configuration=CONFIGURATION.replace("max_body_bytes: 100", "max_body_bytes: 1000") + more)


def stored(log: Log) -> tuple[bytes, bytes, dict[str, bytes]]:
    _, key, value, headers = log.records[-1]
    return key, value, headers


def metric(web: Web) -> bytes:
    return next(
        line
        for line in generate_latest(web.meters.registry).splitlines()
        if line.startswith(b'paynotify_ingest_card_numbers_masked_total{provider="trustpayments"}')
    )


def test_number_in_a_body_is_masked_marked_and_counted() -> None:
    web = roomy()
    caller = call_ingress(web.ingress, SHOP, body=[FORM])
    assert caller.told()[0] == 200
    key, value, headers = stored(web.log)
    assert (key, value, headers["masked-card-numbers"]) == (b"shop-uk/57-9-1", MASKED_FORM, b"1")
    assert metric(web).endswith(b" 1.0")


def test_call_without_a_number_is_stored_untouched() -> None:
    web = roomy()
    body = FORM.replace(CARD, b"4111111111111112")
    call_ingress(web.ingress, SHOP, body=[body])
    _, value, headers = stored(web.log)
    assert value == body
    assert "masked-card-numbers" not in headers
    assert metric(web).endswith(b" 0.0")


def test_number_in_a_query_is_masked_and_does_not_become_a_key() -> None:
    web = roomy()
    query = b"TransactionId=" + TRANSACTION + b"&card=4111+1111+1111+1111"
    call_ingress(web.ingress, "/notifications/nevogate/shop-hu", method="GET", query=query)
    key, value, headers = stored(web.log)
    assert (key, value) == (b"shop-hu/" + TRANSACTION, b"")
    assert headers["http-query"] == b"TransactionId=" + TRANSACTION + b"&card=XXXXXXXXXXXXXXXXXXX"
    assert headers["masked-card-numbers"] == b"1"


def test_number_in_a_compressed_body_is_masked() -> None:
    web = roomy()
    call_ingress(web.ingress, SHOP, body=[gzip.compress(FORM)], headers=[(b"content-encoding", b"gzip")])
    assert stored(web.log)[1] == MASKED_FORM


def test_number_is_masked_before_the_value_is_encrypted() -> None:
    key = base64.b64encode(bytes(32)).decode()
    web = roomy(f"encryption: {{keys: [{{id: k1, key: {{value: '{key}'}}}}]}}\n")
    call_ingress(web.ingress, SHOP, body=[FORM])
    topic, name, value, headers = web.log.records[-1]
    cipher = ValueCipher(
        KafkaSettings(topic_prefix="test."),
        EncryptionSettings(keys=(EncryptionKey(id="k1", key=SecretRef(value=key)),)),
    )
    record = cipher.record(Record(topic, 0, 0, name, value, tuple(headers.items()), 0.0))
    assert record.value == MASKED_FORM
    assert list(headers)[-1] == "encryption-key"


def test_number_in_a_configured_id_field_stays() -> None:
    web = roomy("card_numbers: {id_fields: [note]}\n")
    call_ingress(web.ingress, SHOP, body=[FORM])
    assert stored(web.log)[1] == FORM


@pytest.mark.parametrize("name", OPTIONAL_HEADERS)
def test_number_in_a_stored_header_is_masked_marked_and_counted_each_time(name: bytes) -> None:
    web = roomy()
    for _ in range(2):
        call_ingress(web.ingress, SHOP, body=[b"transactionreference=57-9-1"], headers=[(name, b"shop/1 " + CARD)])
        _, _, headers = stored(web.log)
        assert headers[name.decode()] == b"shop/1 XXXXXXXXXXXXXXXX"
        assert headers["masked-card-numbers"] == b"1"
    assert metric(web).endswith(b" 2.0")


def test_numbers_of_body_query_and_headers_are_counted_together() -> None:
    web = roomy()
    call_ingress(web.ingress, SHOP, query=b"card=" + CARD, body=[FORM], headers=[(b"user-agent", CARD)])
    assert stored(web.log)[2]["masked-card-numbers"] == b"3"
    assert metric(web).endswith(b" 3.0")


def test_number_that_the_limit_of_a_header_would_cut_is_masked_whole() -> None:
    web = roomy()
    filling = b"x" * (MAX_VALUE_BYTES - 13)
    call_ingress(web.ingress, SHOP, body=[FORM], headers=[(b"user-agent", filling + b" " + CARD)])
    assert stored(web.log)[2]["user-agent"] == filling + b" XXXXXXXXXXXX"


@pytest.mark.parametrize("value", [CARD + CARD, b"a" + CARD, b"0f1c8d8e4a0b4c199b3c7f8f6f3f2d11", b"4111111111111112"])
def test_id_of_a_request_that_is_no_card_number_is_stored_as_sent(value: bytes) -> None:
    web = roomy()
    call_ingress(web.ingress, SHOP, headers=[(b"x-request-id", value)])
    _, _, headers = stored(web.log)
    assert headers["x-request-id"] == value
    assert "masked-card-numbers" not in headers


def test_number_in_a_header_that_is_configured_to_hold_an_id_stays() -> None:
    web = roomy("card_numbers: {id_fields: [X-Request-Id]}\n")
    call_ingress(web.ingress, SHOP, headers=[(b"x-request-id", CARD)])
    assert stored(web.log)[2]["x-request-id"] == CARD


def test_boundary_of_digits_still_separates_the_parts_of_a_masked_form() -> None:
    web = roomy()
    body = b'--%b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--%b--\r\n' % (CARD, CARD)
    call_ingress(web.ingress, SHOP, body=[body], headers=[(b"content-type", b"multipart/form-data; boundary=" + CARD)])
    _, value, headers = stored(web.log)
    boundary = headers["content-type"].partition(b"boundary=")[2]
    assert CARD not in value
    assert value.count(b"--" + boundary) == 2


def test_route_stores_its_headers_without_card_numbers_but_with_ids() -> None:
    web = Web(configuration=test_answers.CONFIGURATION)
    sent = {"x-smartpay-signature": b"aGVhZA..c2lnbg", "x-smartpay-event-type": CARD, "x-smartpay-event-id": CARD}
    call_ingress(
        web.ingress, test_answers.PATH, body=[b"{}"], headers=[(name.encode(), value) for name, value in sent.items()]
    )
    _, _, headers = stored(web.log)
    assert headers["x-smartpay-signature"] == b"aGVhZA..c2lnbg"
    assert headers["x-smartpay-event-type"] == b"XXXXXXXXXXXXXXXX"
    assert headers["x-smartpay-event-id"] == CARD
    assert headers["masked-card-numbers"] == b"1"


def test_id_of_one_header_is_a_card_number_in_another() -> None:
    web = roomy("card_numbers: {id_fields: [user-agent]}\n")
    for name in (b"user-agent", b"content-type"):
        call_ingress(web.ingress, SHOP, headers=[(name, CARD)])
    assert stored(web.log)[2]["content-type"] == b"XXXXXXXXXXXXXXXX"
