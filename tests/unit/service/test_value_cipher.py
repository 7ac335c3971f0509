"""Values at rest: what is encrypted, what decrypts it again, and what happens where that is not possible."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from paynotify.schemas import topics
from paynotify.schemas.configuration.encryption import EncryptionKey, EncryptionSettings
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.errors import SecretError, UnreadableError
from paynotify.schemas.records import Headers, Output, Record
from paynotify.service import value_cipher
from paynotify.service.value_cipher import ValueCipher

KAFKA: Final = KafkaSettings(topic_prefix="prod_")
TOPIC: Final = "prod_notifications.trustpayments"
BODY: Final = b"billingemail=joe%40shop.example"
HEADERS: Final[Headers] = (("ce_id", b"n-1"), ("traceparent", b"00-a-b-01"))
OLD: Final = base64.b64encode(bytes(range(32))).decode()
NEW: Final = base64.b64encode(bytes(range(32, 64))).decode()


def cipher(*keys: tuple[str, str], **settings: Any) -> ValueCipher:
    made = tuple(EncryptionKey(id=name, key=SecretRef(value=text)) for name, text in keys)
    return ValueCipher(KAFKA, EncryptionSettings(keys=made, **settings) if made else None)


def output(topic: str = TOPIC, **changes: Any) -> Output:
    return replace(Output(topic, b"shop/57-9-1", BODY, HEADERS), **changes)


def stored(of: Output) -> Record:
    return Record(of.topic, 2, 7, of.key, of.value, of.headers, 0.0)


def test_value_comes_back_and_only_the_key_id_shows() -> None:
    both = cipher(("2026-11", NEW))
    written = both.output(output())
    assert written.value is not None
    assert b"joe" not in written.value
    assert written.headers == (*HEADERS, ("encryption-key", b"2026-11"))
    assert len(written.value) == len(BODY) + 28
    assert both.output(output()).value != written.value, "equal values can't be told from each other"
    assert both.record(stored(written)) == stored(output())
    assert both.records([stored(written), stored(output())]) == [stored(output())] * 2, "both kinds lie on a topic"


def test_rotated_keys_read_what_each_has_encrypted() -> None:
    before = cipher(("old", OLD)).output(output())
    now = cipher(("new", NEW), ("old", OLD))
    assert now.record(stored(before)) == stored(output())
    assert now.output(output()).headers[-1] == ("encryption-key", b"new")
    with pytest.raises(SecretError, match=r"prod_notifications\.trustpayments/2/7 is encrypted with a key") as missing:
        cipher(("new", NEW)).record(stored(before))
    assert "'old'" in str(missing.value)


def test_encryption_that_ended_still_reads() -> None:
    before = cipher(("old", OLD)).output(output())
    ended = cipher(("old", OLD), encrypt=False)
    assert not ended.encrypts
    assert ended.outputs([output()]) == [output()]
    assert ended.record(stored(before)) == stored(output())


def test_without_keys_nothing_changes_and_nothing_encrypted_is_taken_for_plain() -> None:
    none = cipher()
    outputs, records = [output()], [stored(output())]
    assert none.outputs(outputs) is outputs
    assert none.records(records) is records
    with pytest.raises(SecretError, match="Add the key with the id 'old'"):
        none.records([stored(output()), stored(cipher(("old", OLD)).output(output()))])


@pytest.mark.parametrize(
    "change",
    [
        {"topic": "prod_responses.trustpayments"},
        {"key": b"shop/57-9-2"},
        {"key": None},
        {"value": b""},
        {"value": b"x" * 40},
    ],
)
def test_value_belongs_to_its_topic_and_key(change: dict[str, Any]) -> None:
    one = cipher(("old", OLD))
    with pytest.raises(UnreadableError, match="was not encrypted with the key 'old' for this record"):
        one.record(replace(stored(one.output(output())), **change))


def test_other_key_of_the_same_id_reads_nothing() -> None:
    written = cipher(("old", OLD)).output(output())
    with pytest.raises(UnreadableError):
        cipher(("old", NEW)).record(stored(written))


def test_raw_topics_alone_are_encrypted() -> None:
    one = cipher(("old", OLD))

    def encrypts(name: str, headers: Headers = HEADERS) -> bool:
        return one.output(output(f"prod_{name}", headers=headers)).headers != headers

    raw = {topic.name for topic in topics.all_topics() if encrypts(topic.name)}
    assert raw == {
        *(f"notifications.{name}" for name in ("omnikassa", "trustpayments", "nevogate", "smartpay")),
        *(f"responses.{name}" for name in ("omnikassa", "trustpayments", "nevogate", "smartpay")),
        *(f"notifications.smartpay.retry.{step}" for step in range(1, 6)),
        "notifications.rejected",
        "notifications.alerts",
    }
    assert encrypts(topics.DEAD, (*HEADERS, ("original-topic", b"prod_responses.nevogate")))
    assert not encrypts(topics.DEAD, (*HEADERS, ("original-topic", b"prod_lookups.nevogate")))
    assert not encrypts(topics.DEAD)


def test_tombstone_stays_one_and_an_empty_value_is_hidden() -> None:
    one = cipher(("old", OLD))
    assert one.output(output(value=None)) == output(value=None)
    empty = one.output(output(value=b""))
    assert one.record(stored(empty)).value == b""
    assert empty.value


def test_record_that_was_dead_lettered_as_it_lay_can_be_read() -> None:
    one = cipher(("old", OLD))
    written = one.output(output())
    letter = output("prod_lookups.dead", value=written.value, headers=(*written.headers, ("original-topic", b"x")))
    assert one.output(letter) == letter, "it is not encrypted a second time"
    letter = replace(letter, headers=(*written.headers, ("original-topic", TOPIC.encode())))
    assert one.record(stored(letter)).value == BODY


@pytest.mark.parametrize("text", ["short", "", "=" * 44, OLD[:-4], OLD + OLD])
def test_key_that_is_none_is_named_and_never_shown(text: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    key = EncryptionKey(id="old", key=SecretRef(file=str(file)))
    with pytest.raises(SecretError) as refused:
        ValueCipher(KAFKA, EncryptionSettings(keys=(key,)))
    assert not text or text not in str(refused.value)


def test_ids_of_keys_differ() -> None:
    key = EncryptionKey(id="old", key=SecretRef(value=OLD))
    with pytest.raises(ValueError, match="different ids"):
        EncryptionSettings(keys=(key, key))


def test_nothing_is_imported_without_keys() -> None:
    assert not [name for name in vars(value_cipher) if name.startswith("AESGCM")]
