"""Trust Payments' hash of a notification, and the narrow form that makes a forged split of signed values harder.

Sources: the vendor's help pages (URL notification, response site security) and its Magento and WooCommerce modules. The
hash joins values without separators and leaves names out, so a signed message can be split again without the password.
Each field's name and form are therefore checked too.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Final

import msgspec

from paynotify.processors.providers.form import Fields
from paynotify.processors.providers.trustpayments.codes import SETTLE_STATUSES
from paynotify.processors.providers.trustpayments.contract import TrustPaymentsMerchant
from paynotify.processors.providers.trustpayments.records import is_order_reference
from paynotify.schemas.errors import RejectedNotificationError

#: The fields of the system rules STR-8, STR-9 and STR-10. More only as the merchant's ``extra_fields``.
DEFAULT_FIELDS: Final = frozenset(
    (
        b"transactionreference",
        b"requestreference",
        b"orderreference",
        b"sitereference",
        b"errorcode",
        b"settlestatus",
        b"paymenttypedescription",
        b"notificationreference",
        b"responsesitesecurity",
    )
)

_CHECKED: Final = frozenset((b"errorcode", b"settlestatus", b"sitereference", b"transactionreference"))
_UNSIGNED: Final = frozenset((b"notificationreference", b"responsesitesecurity"))
_DIGITS: Final = re.compile(rb"[0-9]{1,9}\Z")
_NAME: Final = re.compile(rb"[A-Za-z0-9_]{1,50}\Z")


class Form(msgspec.Struct, frozen=True, gc=False):
    """A notification's decoded fields in wire order, the first value of each name, the names that are neither default
    nor configured, and the hash it came with."""

    fields: Fields
    values: Mapping[bytes, bytes]
    unknown: frozenset[bytes]
    signature: bytes

    def first(self, name: bytes) -> bytes:
        """The field's first value, empty where it is absent."""
        return self.values.get(name, b"")


def form_of(fields: Fields, merchant: TrustPaymentsMerchant) -> Form:
    """The form with these fields. The merchant may add fields to a rule at any time, so some names may be unknown."""
    values = dict(reversed(fields))
    unknown = frozenset(values.keys() - _known(merchant.extra_fields, merchant.repeated_fields))
    return Form(fields, values, unknown, values.get(b"responsesitesecurity", b""))


def check_hash(form: Form, passwords: tuple[str, ...]) -> None:
    """Verify the SHA-256 over the values in byte order of their names, repeats in wire order, then the password.

    Raises:
        RejectedNotificationError: none of the passwords made the hash.
    """
    signed = sorted([one for one in form.fields if one[0] not in _UNSIGNED], key=itemgetter(0))
    text = b"".join([value for _, value in signed])
    for password in passwords:
        digest = hashlib.sha256(text + password.encode()).hexdigest().encode()
        if hmac.compare_digest(digest, form.signature):
            return
    raise RejectedNotificationError("bad_signature", "no active notification password made the hash")


def check_names(form: Form, reference: str | None, merchant: TrustPaymentsMerchant) -> None:
    """Refuse repeated fields: names are not hashed, so such a field may be a piece of another's value. An unknown field
    may be one too, but where the form names a transaction, at worst that is looked up once in vain.

    Raises:
        RejectedNotificationError: a known field is repeated without being among the merchant's ``repeated_fields``, or
            a field is unknown and the form names no transaction.
    """
    if form.unknown and reference is None:
        raise RejectedNotificationError(
            "unexpected_field", f"{_shown(min(form.unknown))} is not in the merchant's extra_fields"
        )
    if len(form.values) == len(form.fields):
        return
    repeated = _bytes(merchant.repeated_fields) | form.unknown
    for name, times in Counter(name for name, _ in form.fields).items():
        if times > 1 and name not in repeated:
            raise RejectedNotificationError(
                "unexpected_field", f"{_shown(name)} is repeated and not in repeated_fields"
            )


@lru_cache(maxsize=256)
def _known(extra: tuple[str, ...], repeated: tuple[str, ...]) -> frozenset[bytes]:
    return DEFAULT_FIELDS | _bytes(extra) | _bytes(repeated)


@lru_cache(maxsize=256)
def _bytes(names: tuple[str, ...]) -> frozenset[bytes]:
    return frozenset(name.encode() for name in names)


def _shown(name: bytes) -> str:
    return name.decode() if _NAME.match(name) else "a field"


def check_values(form: Form, reference: str | None, merchant: TrustPaymentsMerchant) -> None:
    """Check the documented form of the values that a lookup depends on; ``reference`` is the transaction's, if valid.

    Raises:
        RejectedNotificationError: a value is malformed, or another site's, or the form names nothing to look up.
    """
    for name, value in form.fields:
        if name not in _CHECKED:
            continue
        if name == b"errorcode" and not _DIGITS.match(value):
            raise RejectedNotificationError("malformed", "errorcode is not a number")
        if name == b"settlestatus" and value and value.decode("ascii", "replace") not in SETTLE_STATUSES:
            raise RejectedNotificationError("malformed", "settlestatus is not one of the documented values")
        if name == b"sitereference" and value != merchant.site_reference.encode():
            raise RejectedNotificationError(
                "malformed", "sitereference is another site's than the configured site_reference"
            )
        if name == b"transactionreference" and value and reference is None:
            raise RejectedNotificationError("malformed", "transactionreference is not three numbers joined by hyphens")
    if reference is None and not _usable_order(form.first(b"orderreference")):
        raise RejectedNotificationError("malformed", "the form names neither a transaction nor an order")


def _usable_order(value: bytes) -> bool:
    """An order reference can be queried if it is text; bytes that are not UTF-8 matter only where it is needed."""
    try:
        return is_order_reference(value.decode())
    except UnicodeDecodeError:
        return False
