"""Finds the process's token for the brokers, by the configuration."""

from __future__ import annotations

import threading
from typing import Final

import msgspec

from paynotify.schemas.configuration.kafka import KafkaSettings, OAuthSettings
from paynotify.service.msk_signer import MskSigner
from paynotify.service.oauth_token import BrokerToken, FetchedToken, FileToken
from paynotify.service.token_endpoint import TokenEndpoint

_lock: Final = threading.Lock()
_tokens: Final[dict[bytes, BrokerToken]] = {}


def broker_token(kafka: KafkaSettings) -> BrokerToken | None:
    """The token; None where another mechanism is used. All clients of the process get the same one.

    Raises:
        ConfigurationError: a file can't be read, or a library is not installed.
    """
    settings = kafka.sasl_oauth
    if settings is None:
        return None
    key = msgspec.json.encode(settings)
    with _lock:
        if key not in _tokens:
            _tokens[key] = _open(settings)
        return _tokens[key]


def _open(settings: OAuthSettings) -> BrokerToken:
    if settings.token_file is not None:
        return FileToken(settings.token_file, settings.extensions)
    source = MskSigner(settings.aws_region) if settings.aws_region is not None else TokenEndpoint(settings)
    return FetchedToken(source, settings.extensions)
