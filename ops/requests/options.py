"""Parses and validates the options of a request before anything is published."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime
from typing import Final

from ops.common.merchants import find_merchant
from schemas.configuration.merchants import NevogateMerchant, provider_of
from schemas.configuration.model import Configuration
from schemas.errors import ConfigurationError, UnreadableError
from schemas.ids import time_ordered_id
from schemas.money import Money, from_major
from schemas.times import parse_time, rfc3339

_PAYMENT_ID: Final = re.compile(r"[0-9a-f]{32}\Z")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}\Z")
_MAX_ID_LENGTH: Final = 255


def add_payment(parser: argparse.ArgumentParser) -> None:
    """Add the positional argument that names an authorised payment."""
    parser.add_argument("payment", metavar="MERCHANT/PAYMENT", help="key of the authorised payment")


def charging_merchant(configuration: Configuration, merchant_id: str) -> NevogateMerchant:
    """The configured merchant with this id.

    Raises:
        ConfigurationError: no merchant has this id, or the merchant's provider does not support charges by request.
    """
    merchant = find_merchant(configuration, merchant_id)
    if not isinstance(merchant, NevogateMerchant):
        raise ConfigurationError(
            f"The merchant must be one of nevogate, but {merchant_id} is one of {provider_of(merchant)}. "
            "Other providers do not support requests."
        )
    return merchant


def parse_payment(text: str) -> tuple[str, str]:
    """The merchant's id and the payment's id in ``MERCHANT/PAYMENT``.

    Raises:
        ConfigurationError: the text does not have this form.
    """
    merchant, _, payment = text.partition("/")
    if not merchant or not _PAYMENT_ID.match(payment):
        raise ConfigurationError(
            f"The payment must be MERCHANT/PAYMENT, with PAYMENT as 32 lower-case hex digits; got {text!r}."
        )
    return merchant, payment


def parse_payment_id(option: str, text: str) -> str:
    """A payment's id at the gateway.

    Raises:
        ConfigurationError: the text is not a payment id.
    """
    if not _PAYMENT_ID.match(text):
        raise ConfigurationError(f"{option} must be a payment id of 32 lower-case hex digits, got {text!r}.")
    return text


def parse_order_id(text: str) -> str:
    """The order's id.

    Raises:
        ConfigurationError: the gateway would refuse the id, or the id is an e-mail address.
    """
    if not 0 < len(text) <= _MAX_ID_LENGTH or not text.isprintable() or "@" in text:
        raise ConfigurationError(
            f"--order must be 1 to {_MAX_ID_LENGTH} printable characters without personal data "
            f"(no e-mail address), got {text[:50]!r}."
        )
    return text


def parse_amount(text: str | None, currency: str | None) -> Money | None:
    """The amount of ``--amount`` and ``--currency``; None if neither was given.

    Raises:
        ConfigurationError: only one of the two was given, or the amount is not positive and exact in its currency.
    """
    if text is None and currency is None:
        return None
    if text is None or currency is None:
        raise ConfigurationError("--amount and --currency must be given together, as in --amount 19.90 --currency EUR.")
    try:
        money = from_major(text, currency)
    except UnreadableError:
        money = Money(0, "EUR")
    if not money.value:
        raise ConfigurationError(
            "--amount must be greater than 0 with no more decimals than the currency has, and --currency must be an "
            f"ISO 4217 code (--amount 19.90 --currency EUR); got {text!r} and {currency!r}."
        )
    return money


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
    if text is not None and (not 0 < len(text) <= _MAX_ID_LENGTH or not text.isprintable()):
        raise ConfigurationError(f"--user must be 1 to {_MAX_ID_LENGTH} printable characters, got {text[:50]!r}.")
    return text
