"""Parses what an operator says of a payment that is to be corrected."""

from __future__ import annotations

from paynotify.ops.common.amounts import parse_amount
from paynotify.ops.common.merchants import find_merchant
from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.ids import MAX_ID_LENGTH
from paynotify.schemas.money import Money


def parse_payment(text: str, configuration: Configuration) -> tuple[Merchant, bytes]:
    """The merchant and the key of the payment in ``MERCHANT/PAYMENT``.

    Raises:
        ConfigurationError: the text does not have this form, or the merchant is not configured.
    """
    merchant_id, slash, payment = text.partition("/")
    if not merchant_id or not slash or not 0 < len(payment) <= MAX_ID_LENGTH:
        raise ConfigurationError(f"The payment must be MERCHANT/PAYMENT, got {text[:MAX_ID_LENGTH]!r}.")
    return find_merchant(configuration, merchant_id), text.encode()


def parse_amounts(amount: str | None, paid: str | None, currency: str | None) -> tuple[Money | None, Money | None]:
    """The amount to be paid and the captured one; None where it was not given.

    Raises:
        ConfigurationError: an amount is not exact in the currency, or has none.
    """
    if currency is not None and amount is None and paid is None:
        raise ConfigurationError("--currency must be given with --amount or --paid.")
    to_be_paid, captured = (
        parse_amount(text, currency, option) if text is not None else None
        for option, text in (("--amount", amount), ("--paid", paid))
    )
    return to_be_paid, captured
