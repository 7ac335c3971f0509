"""Parses and validates the options of a request before anything is published."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime
from typing import Final

from paynotify.ops.common.merchants import find_merchant
from paynotify.processors.providers.charging import ChargeGateway
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.configuration.merchants import ChargingMerchant, Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.ids import MAX_ID_LENGTH, time_ordered_id
from paynotify.schemas.times import parse_time, rfc3339

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}\Z")


def add_payment(parser: argparse.ArgumentParser) -> None:
    """Add the positional argument that names an authorised payment."""
    parser.add_argument("payment", metavar="MERCHANT/PAYMENT", help="key of the authorised payment")


def charging_merchant(configuration: Configuration, merchant_id: str) -> ChargingMerchant:
    """The configured merchant with this id.

    Raises:
        ConfigurationError: no merchant has this id, or the merchant's provider does not support charges by request.
    """
    merchant = find_merchant(configuration, merchant_id)
    if not isinstance(merchant, ChargingMerchant):
        charging = [name for name, spec in provider_specs().items() if spec.charge_gateway is not None]
        raise ConfigurationError(
            f"The merchant must be one of {' or '.join(charging)}, but {merchant_id} is one of "
            f"{provider_of(merchant)}. Other providers do not support requests."
        )
    return merchant


def _gateway(merchant: Merchant) -> ChargeGateway:
    gateway = provider_specs()[provider_of(merchant)].charge_gateway
    assert gateway is not None, "a provider with a charges section has a gateway"
    return gateway


def parse_payment(configuration: Configuration, text: str) -> tuple[str, str]:
    """The merchant's id and the payment's id in ``MERCHANT/PAYMENT``.

    Raises:
        ConfigurationError: the text does not have this form, or the merchant can't be charged by request.
    """
    merchant_id, slash, payment = text.partition("/")
    if not merchant_id or not slash:
        raise ConfigurationError(f"The payment must be MERCHANT/PAYMENT, got {text!r}.")
    gateway = _gateway(charging_merchant(configuration, merchant_id))
    if not gateway.is_payment_id(payment):
        raise ConfigurationError(
            f"The payment must be MERCHANT/PAYMENT, with PAYMENT as {gateway.payment_id_form}; got {text!r}."
        )
    return merchant_id, payment


def parse_payment_id(option: str, text: str, merchant: ChargingMerchant) -> str:
    """A payment's id at the merchant's provider.

    Raises:
        ConfigurationError: the text is not a payment id.
    """
    gateway = _gateway(merchant)
    if not gateway.is_payment_id(text):
        raise ConfigurationError(f"{option} must be a payment id of {gateway.payment_id_form}, got {text!r}.")
    return text


def parse_order_id(text: str) -> str:
    """The order's id.

    Raises:
        ConfigurationError: the gateway would refuse the id, or the id is an e-mail address.
    """
    if not 0 < len(text) <= MAX_ID_LENGTH or not text.isprintable() or "@" in text:
        raise ConfigurationError(
            f"--order must be 1 to {MAX_ID_LENGTH} printable characters without personal data "
            f"(no e-mail address), got {text[:50]!r}."
        )
    return text


def parse_request_id(text: str | None) -> str:
    """The request's id; a new one if none was given.

    Raises:
        ConfigurationError: the text is not a valid request id.
    """
    if text is None:
        return time_ordered_id()
    if not _REQUEST_ID.match(text):
        raise ConfigurationError(
            f"--request-id must be 1 to 100 letters, digits and . _ : - (first a letter or digit), got {text[:50]!r}."
        )
    return text


def parse_expiry(text: str | None) -> str | None:
    """The time at which the request expires; None if none was given.

    Raises:
        ConfigurationError: the text is not an RFC 3339 time, or the time has passed.
    """
    if text is None:
        return None
    expiry = parse_time(text)
    if expiry is None or expiry <= datetime.now(UTC):
        raise ConfigurationError(
            f"--expires must be a future RFC 3339 time such as 2030-01-31T12:00:00Z, got {text!r}."
        )
    return rfc3339(expiry)


def parse_user_id(text: str | None) -> str | None:
    """The customer's id at the gateway; None if none was given.

    Raises:
        ConfigurationError: the gateway would refuse the id.
    """
    if text is not None and (not 0 < len(text) <= MAX_ID_LENGTH or not text.isprintable()):
        raise ConfigurationError(f"--user must be 1 to {MAX_ID_LENGTH} printable characters, got {text[:50]!r}.")
    return text
