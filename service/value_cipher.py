"""Encrypts the values of the topics that hold what providers and callers sent, and decrypts them again.

AES-256-GCM with a random nonce before each value. Topic and key of the record are authenticated with it, so that a
value that was moved to another record can't be decrypted. The header `ENCRYPTION_KEY` names the key and is the last one
that is written; a record without it is not encrypted. So encryption may begin or end at any time, and records of both
kinds lie on one topic.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from paynotify.schemas import topics
from paynotify.schemas.cloudevents import ENCRYPTION_KEY
from paynotify.schemas.configuration.encryption import EncryptionKey, EncryptionSettings
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.configuration.secrets import Secret
from paynotify.schemas.errors import SecretError, UnreadableError
from paynotify.schemas.records import Headers, Output, Record

_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32


class _Aead(Protocol):
    """The part of `cryptography`'s AESGCM that is used; the module is imported only where there are keys."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes: ...


class _Key:
    """A configured key. It is read once: another key has another id, or nothing of before could be read."""

    __slots__ = ("aead", "header")

    def __init__(self, settings: EncryptionKey) -> None:
        self.header = (ENCRYPTION_KEY, settings.id.encode())
        self.aead = _aead(Secret(settings.key).reveal(), settings.id)


class ValueCipher:
    """Encrypts and decrypts by the configuration's keys. Without any it changes nothing.

    Raises:
        SecretError: a key can't be read, or is none.
    """

    def __init__(self, kafka: KafkaSettings, settings: EncryptionSettings | None) -> None:
        self._topics = frozenset(kafka.topic(one) for one in topics.raw_topics())
        self._dead = kafka.topic(topics.DEAD)
        self._keys = {} if settings is None else {one.id: _Key(one) for one in settings.keys}
        encrypts = settings is not None and settings.encrypt
        self._first = self._keys[settings.keys[0].id] if encrypts and settings is not None else None

    @property
    def encrypts(self) -> bool:
        """Whether new values are encrypted."""
        return self._first is not None

    def encrypted(self, topic: str, key: bytes | None, value: bytes) -> tuple[bytes, tuple[str, bytes]]:
        """The value as it is stored, and the header that belongs to it. Only if it `encrypts`."""
        assert self._first is not None
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._first.aead.encrypt(nonce, value, _place(topic, key)), self._first.header

    def outputs(self, outputs: Sequence[Output]) -> Sequence[Output]:
        """The records as they are published."""
        return outputs if self._first is None else [self.output(one) for one in outputs]

    def output(self, output: Output) -> Output:
        """The record as it is published."""
        if self._first is None or output.value is None or not self._holds_raw(output.topic, output.headers):
            return output
        if any(name == ENCRYPTION_KEY for name, _ in output.headers):
            return output  # it could not be decrypted, and is passed on as it is
        value, header = self.encrypted(output.topic, output.key, output.value)
        return replace(output, value=value, headers=(*output.headers, header))

    def records(self, records: Sequence[Record]) -> Sequence[Record]:
        """The records as they were before they were encrypted.

        Raises:
            SecretError: a record's key is not configured.
            UnreadableError: a value was not encrypted by this key for this record.
        """
        if self._keys:
            return [self.record(one) for one in records]
        for one in records:
            # without keys a look at the last header has to do, as each stage takes it at each record
            if one.headers and one.headers[-1][0] == ENCRYPTION_KEY:
                self.record(one)
        return records

    def record(self, record: Record) -> Record:
        """One record as it was before it was encrypted; as `records`."""
        name = record.header(ENCRYPTION_KEY)
        if not name or record.value is None:
            return record
        place = f"{record.topic}/{record.partition}/{record.offset}"
        key = self._keys.get(name)
        if key is None:
            raise SecretError(
                f"The value of {place} is encrypted with a key that is not configured. "
                f"Add the key with the id {name[:32]!r} to encryption.keys."
            )
        nonce, sealed = record.value[:_NONCE_BYTES], record.value[_NONCE_BYTES:]
        value = None
        # a record whose processing failed was dead-lettered with its value as it lay on the original topic
        for topic in filter(None, (record.topic, record.header("original-topic"))):
            if value is None and len(sealed) >= _TAG_BYTES:
                value = _decrypted(key.aead, nonce, sealed, _place(topic, record.key))
        if value is None:
            raise UnreadableError(f"the value of {place} was not encrypted with the key {name[:32]!r} for this record")
        return replace(record, value=value, headers=tuple(one for one in record.headers if one[0] != ENCRYPTION_KEY))

    def _holds_raw(self, topic: str, headers: Headers) -> bool:
        if topic != self._dead:
            return topic in self._topics
        # dead lookups are searched for by their content, and hold only ids
        original = next((value for name, value in headers if name == "original-topic"), b"")
        return original.decode("utf-8", "replace") in self._topics


def cipher_of(configuration: Configuration) -> ValueCipher:
    """The configuration's cipher.

    Raises:
        SecretError: a key can't be read, or is none.
    """
    return ValueCipher(configuration.kafka, configuration.encryption)


def _place(topic: str, key: bytes | None) -> bytes:
    return topic.encode() + b"\0" + (key or b"")


def _aead(text: str, name: str) -> _Aead:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise SecretError(
            f"The key {name!r} of encryption.keys is not 32 bytes in base64. Make one with `openssl rand -base64 32`."
        )
    return AESGCM(raw)


def _decrypted(aead: _Aead, nonce: bytes, sealed: bytes, place: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag

    try:
        return aead.decrypt(nonce, sealed, place)
    except InvalidTag:
        return None
