"""The filter of a TRANSACTIONQUERY: its values, and which records match it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from paynotify.sandbox.simulators.trustpayments.settings import TIME

GatewayRecord = dict[str, str]

_PERIOD: Final = ("starttimestamp", "endtimestamp")
_FILTERS: Final = (
    "sitereference",
    "transactionreference",
    "parenttransactionreference",
    "orderreference",
    "requesttypedescription",
    "accounttypedescription",
    "paymenttypedescription",
    "currencyiso3a",
    "starttimestamp",
    "endtimestamp",
    "pan",
    "customerip",
)
_REFERENCE: Final = re.compile(r"[0-9]+-[0-9]+-[0-9]+\Z")


def filter_values(filters: Any) -> dict[str, list[str]]:
    """The filter's values by field.

    Raises:
        ValueError: naming the field that is wrong.
    """
    wanted = {}
    for name, alternatives in (filters if isinstance(filters, dict) else {}).items():
        if name not in _FILTERS:
            raise ValueError(name)
        try:
            listed = alternatives if isinstance(alternatives, list) else [alternatives]
            wanted[name] = [str(one["value"]) for one in listed]
        except (KeyError, TypeError):
            raise ValueError(name) from None
        if name in _PERIOD and not all(re.match(TIME, value) for value in wanted[name]):
            raise ValueError(name)
    return wanted


def odd_references(wanted: Mapping[str, list[str]]) -> bool:
    """Whether a transaction is named that cannot exist, for which the gateway refuses the query as a whole."""
    names = ("transactionreference", "parenttransactionreference")
    return any(not _REFERENCE.match(value) for name in names for value in wanted.get(name, ()))


def matches(record: GatewayRecord, wanted: Mapping[str, list[str]]) -> bool:
    """Whether the record has one of the wanted values in each field."""
    started = record["transactionstartedtimestamp"]
    for name, values in wanted.items():
        if name == "starttimestamp":
            if started < min(values):
                return False
        elif name == "endtimestamp":
            if started > max(values):
                return False
        elif record.get(name) not in values:
            return False
    return True
