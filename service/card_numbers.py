"""Finds card numbers that nobody has masked, and masks them before they are stored.

Providers send masked numbers only. A number in full comes by mistake, such as a customer who typed it into a field for
remarks, and a topic with one is in scope of PCI DSS for as long as it is kept.

A card number is 13 to 19 digits, in one piece or in the groups in which cards show them, from an issuer's range and
with the right check digit (Luhn). It stands alone: digits within a longer word (`ORD-4111…`, a UUID, a hash, an IBAN, a
path) are a reference. One in ten random numbers has a right check digit, so a value whose field is known to hold an id
is left as it is: with a masked order id a payment would belong to no order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from paynotify.schemas.cloudevents import MASKED_CARD_NUMBERS

#: Issuers' ranges: first and last beginning of their numbers, and how many digits those have.
_ISSUERS: Final = tuple(
    (str(first).encode(), str(last).encode(), frozenset(lengths))
    for first, last, lengths in (
        (4, 4, (13, 16, 19)),  # Visa
        (51, 55, (16,)),  # Mastercard
        (2221, 2720, (16,)),
        (34, 34, (15,)),  # American Express
        (37, 37, (15,)),
        (300, 305, (14,)),  # Diners Club
        (36, 36, (14,)),
        (38, 39, (14,)),
        (3528, 3589, range(16, 20)),  # JCB
        (6011, 6011, range(16, 20)),  # Discover
        (644, 659, range(16, 20)),
        (62, 62, range(16, 20)),  # UnionPay
        (5018, 5018, range(13, 20)),  # Maestro
        (5020, 5020, range(13, 20)),
        (5038, 5038, range(13, 20)),
        (5893, 5893, range(13, 20)),
        (6304, 6304, range(13, 20)),
        (6759, 6759, range(13, 20)),
        (6761, 6763, range(13, 20)),
    )
)

_MIN_DIGITS: Final = 13

# The first look must cost next to nothing, as it is taken at every call: with what may separate groups taken out, and
# every digit made a zero, a number in any form is a run of zeros.
_ZEROS: Final = b"0" * _MIN_DIGITS
_ENCODED_GROUPS: Final = b"0000%000000"  # of which the first two after the percent sign are those of %20
_DIGITS: Final = bytes(0x30 if one in b"0123456789" else 0x25 if one == 0x25 else 0x20 for one in range(256))
_SEPARATORS: Final = b" +.-"

#: Digits as numbers, and those of every second place doubled, their digits added up.
_PLAIN: Final = bytes((one - 0x30) % 256 for one in range(256))
_DOUBLED: Final = bytes((2 * one // 10 + 2 * one % 10) % 256 for one in ((value - 0x30) % 256 for value in range(256)))

# It begins with digits, for which the search is quick; what may stand before them is looked at afterwards.
_CANDIDATE: Final = re.compile(
    rb"""
    (?:
        (?P<whole> [2-6][0-9]{12,18} )
        (?! [-./][0-9A-Za-z] | %2[DEFdef][0-9A-Za-z] )
      |
        (?P<groups>
            [2-6][0-9]{3} (?P<by>[ +.-]|%20) [0-9]{4} (?P=by) [0-9]{4} (?P=by) [0-9]{1,4} (?P<more> (?P=by) [0-9]{3} )?
          | 3[0-9]{3} (?P<of>[ +.-]|%20) [0-9]{6} (?P=of) [0-9]{4,5}
        )
        (?! [-+./ ][0-9]{4} | %20[0-9]{4} )
    )
    (?! [0-9A-Za-z_] )
    """,
    re.VERBOSE,
)
_BEFORE: Final = re.compile(
    rb"""
    (?: (?<![0-9A-Za-z_]) | (?<=%[0-9A-Fa-f]{2}) | (?<=\\[nrt]) )       # begins a word, perhaps after an escape
    (?<! [0-9A-Za-z][-./_] ) (?<! [0-9A-Za-z]%2[DEFdef] )               # and is no part of a longer one
    """,
    re.VERBOSE,
)
_BEFORE_GROUPS: Final = re.compile(rb"(?<! [0-9A-Za-z][0-9][ +] ) (?<! [0-9A-Za-z][0-9]%20 )", re.VERBOSE)
_NO_DIGIT: Final = re.compile(rb"%20|[^0-9]")

#: How far before a number its field's name may begin.
_NAME_BYTES: Final = 96
_FIELD: Final = re.compile(
    rb"""
    (?:
        (?:\A|[&?]) (?P<form>[^&=?]{1,64}) =
      | "(?P<json>[^"]{1,64})"\s*:\s*"?
      | name="(?P<part>[^"]{1,64})"\r?\n\r?\n
    )\Z
    """,
    re.VERBOSE,
)
_BEFORE_JSON_NUMBER: Final = re.compile(rb"[:\[,]\s*\Z")
_AFTER_JSON_NUMBER: Final = re.compile(rb"\s*[,\]}]")


class Masked(NamedTuple):
    """A text without card numbers, and how many it had."""

    text: bytes
    cards: int


class CardNumbers:
    """Masks card numbers. The values of ``id_fields`` are ids, whatever they look like; case does not matter."""

    def __init__(self, id_fields: Iterable[str] = ()) -> None:
        self._ids = frozenset(name.lower().encode() for name in id_fields)

    def masked(self, text: bytes) -> Masked | None:
        """The text with each card number replaced by a marker of the same length; None if it has none."""
        digits = text.translate(_DIGITS, _SEPARATORS)
        # `in` takes longer than `find`: it first tries what it looks for as a number. Who writes blanks as %20 writes
        # none as a plus sign; a single character is searched for very fast
        if digits.find(_ZEROS) < 0 and (
            digits.find(b"%") < 0 or text.find(b"+") >= 0 or digits.find(_ENCODED_GROUPS) < 0
        ):
            return None
        count, parts, end = 0, [], 0
        for found in _CANDIDATE.finditer(text):
            length = _card_length(found)
            if length and _stands_alone(found) and not self._is_id(text, found.start()):
                start = found.start()
                parts += [text[end:start], _marker(text, start, start + length)]
                end, count = start + length, count + 1
        return Masked(b"".join((*parts, text[end:])), count) if count else None

    def _is_id(self, text: bytes, start: int) -> bool:
        field = _FIELD.search(text, max(0, start - _NAME_BYTES), start)
        return field is not None and field[field.lastgroup or 0].lower() in self._ids


def header(count: int) -> tuple[str, bytes]:
    """The header of a record whose value, or query, had so many card numbers."""
    return (MASKED_CARD_NUMBERS, str(count).encode())


def _stands_alone(found: re.Match[bytes]) -> bool:
    """Whether the candidate is no end of something longer."""
    text, start = found.string, found.start()
    if not _BEFORE.match(text, start):
        return False
    return found["groups"] is None or _BEFORE_GROUPS.match(text, start) is not None


def _card_length(found: re.Match[bytes]) -> int:
    """How many bytes of the candidate are a card number; 0 if none are."""
    if found["whole"]:
        return len(found[0]) if is_card_number(found[0]) else 0
    texts = [found[0]]
    if found["more"]:
        texts.append(found[0][: -len(found["more"])])  # what follows a number of 16 digits may be its security code
    return next((len(text) for text in texts if is_card_number(_NO_DIGIT.sub(b"", text))), 0)


def is_card_number(digits: bytes) -> bool:
    """Whether an issuer has such numbers, and the check digit is right."""
    if (sum(digits[::-2].translate(_PLAIN)) + sum(digits[-2::-2].translate(_DOUBLED))) % 10:
        return False  # nine of ten random numbers, for a tenth of the look at the issuers
    return any(len(digits) in lengths and first <= digits[: len(first)] <= last for first, last, lengths in _ISSUERS)


def _marker(text: bytes, start: int, end: int) -> bytes:
    """As long as the number. One that is a JSON number stays one, or nobody could read the rest of the JSON."""
    if (
        text[start:end].isdigit()
        and text[:1] in b"{["
        and _BEFORE_JSON_NUMBER.search(text, max(0, start - _NAME_BYTES), start)
        and _AFTER_JSON_NUMBER.match(text, end)
    ):
        return b"1".ljust(end - start, b"0")
    return b"X" * (end - start)
