"""What an operator gives with a request: each word checked, each wrong one told in a sentence."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from schemas.configuration.merchants import NevogateMerchant, provider_of
from schemas.configuration.model import Configuration
from schemas.errors import ConfigurationError, UnreadableError
from schemas.ids import time_ordered_id
from schemas.money import Money, from_major
from schemas.times import parse_time, rfc3339

_TRANSACTION: Final = re.compile(r"[0-9a-f]{32}\Z")
_REQUEST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}\Z")
_LONGEST_ORDER: Final = 255
_LONGEST_USER: Final = 255


def merchant_of(configuration: Configuration, name: str) -> NevogateMerchant:
    """The merchant of that id.

    Raises:
        ConfigurationError: there is none, or its provider can't be asked for charges.
    """
    for merchant in configuration.merchants:
        if merchant.id == name:
            if not isinstance(merchant, NevogateMerchant):
                raise ConfigurationError(
                    f"The merchant {name} is of {provider_of(merchant)}; requests are only for merchants of nevogate."
                )
            return merchant
    known = ", ".join(sorted(one.id for one in configuration.merchants))
    raise ConfigurationError(f"The configuration has no merchant {name!r}; it knows {known}.")


def payment_of(text: str) -> tuple[str, str]:
    """Merchant and payment of ``MERCHANT/PAYMENT``.

    Raises:
        ConfigurationError: it is not of that form.
    """
    merchant, _, payment = text.partition("/")
    if not merchant or not _TRANSACTION.match(payment):
        raise ConfigurationError("Name the payment as MERCHANT/PAYMENT, with the payment's 32 lower-case hex digits.")
    return merchant, payment


def transaction(option: str, text: str) -> str:
    """A payment's id at the gateway.

    Raises:
        ConfigurationError: the text is none.
    """
    if not _TRANSACTION.match(text):
        raise ConfigurationError(f"{option} is no payment's id. Give its 32 lower-case hex digits.")
    return text


def order(text: str) -> str:
    """An order's id.

    Raises:
        ConfigurationError: the gateway would not take it, or it is an e-mail address.
    """
    if not 0 < len(text) <= _LONGEST_ORDER or not text.isprintable() or "@" in text:
        raise ConfigurationError(
            f"--order is no order's id. Give 1 to {_LONGEST_ORDER} printable characters, and nothing personal."
        )
    return text


def amount(text: str | None, currency: str | None) -> Money | None:
    """The amount two options give, none where neither was given.

    Raises:
        ConfigurationError: they give no amount above zero, exact in its currency.
    """
    if text is None and currency is None:
        return None
    if text is None or currency is None:
        raise ConfigurationError("--amount and --currency go together. Give, say, --amount 19.90 --currency EUR.")
    try:
        money = from_major(text, currency)
    except UnreadableError:
        money = Money(0, "EUR")
    if not money.value:
        raise ConfigurationError(
            f"--amount {text!r} --currency {currency!r} is no amount. Give, say, --amount 19.90 --currency EUR, "
            "above zero and with no more digits than the currency has."
        )
    return money


def request_id(text: str | None) -> str:
    """The request's id, a new one where none was given.

    Raises:
        ConfigurationError: it is no id.
    """
    if text is None:
        return time_ordered_id()
    if not _REQUEST.match(text):
        raise ConfigurationError("--request-id is no id. Give 1 to 100 letters, digits and . _ : -")
    return text


def expires(text: str | None) -> str | None:
    """When the request expires.

    Raises:
        ConfigurationError: it is no time, or over.
    """
    if text is None:
        return None
    moment = parse_time(text)
    if moment is None or moment <= datetime.now(UTC):
        raise ConfigurationError(f"--expires {text!r} is no time to come. Give, say, 2030-01-31T12:00:00Z.")
    return rfc3339(moment)


def user(text: str | None) -> str | None:
    """A customer's id at the gateway, if one was given.

    Raises:
        ConfigurationError: the gateway would not take it.
    """
    if text is not None and (not 0 < len(text) <= _LONGEST_USER or not text.isprintable()):
        raise ConfigurationError(f"--user is no customer's id. Give 1 to {_LONGEST_USER} printable characters.")
    return text
