"""Calls with a card number in them are stored without it."""

from __future__ import annotations

import base64
import gzip
from typing import Final

from prometheus_client import generate_latest

from paynotify.schemas.configuration.encryption import EncryptionKey, EncryptionSettings
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.records import Record
from paynotify.service.value_cipher import ValueCipher
from tests.fakes.webhook_caller import call_ingress
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
