"""Input nobody should send: bytes, texts, JSON and forms, invented whole or built around genuine ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final
from urllib.parse import quote_plus

from hypothesis import strategies as st

LARGEST_BYTES: Final = 64 * 1024

#: Texts that have broken parsers before.
TEXTS: Final = (
    "",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\ufeff",
    "\u202e",
    "²",
    "٣",
    "é",
    "\U0001d7d8",
    ",",
    "'",
    '"',
    "\r\n",
    "\n",
    " ",
    "../..",
    "%",
    "%0",
    "%zz",
    "%00",
    "%u0041",
    "%25%32%35",
    "+",
    "-0",
    "00",
    "1e999",
    "-1e-999",
    "NaN",
    "Infinity",
    "0x10",
    "1_000",
    "9" * 19,
    "9" * 400,
    "1" + "0" * 20,
    "1.5",
    "0.0000001",
    "true",
    "null",
    "[]",
    "{}",
    "2026-06-01T12:00:00Z",
    "2026-06-01T12:00:00.123456789+01:00",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-02-30T00:00:00Z",
    "2026-06-01T12:00:00+99:99",
    "2026-06-01",
    "Mon, 01 Jun 2026 12:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "EUR",
    "eur",
    "XXXX",
    "57-9-1",
    "0" * 32,
    "merchant.order.status.changed",
    "a.b.c",
    "a" * 300,
    "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
    "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
)

texts: Final = st.sampled_from(TEXTS) | st.text(max_size=12)
numbers: Final = st.integers(-(2**70), 2**70) | st.sampled_from(
    (10**18, -(10**18), 10**30, 0.1, 1e16, -0.0, 2.0**53, 1e308)
)
scalars: Final = texts | numbers | st.sampled_from((None, True, False))
values: Final = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)

#: What is put into bytes at some place.
_PIECES: Final = (
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\\u0000",
    b"%",
    b"%00",
    b"%ff",
    b"%%%",
    b"+",
    b"&",
    b"=",
    b"&&",
    b";",
    b"[",
    b"]",
    b"{",
    b"}",
    b'"',
    b",",
    b":",
    b"\\",
    b"-",
    b"1e9999",
    b"9" * 5000,
    b"[" * 1500,
    b'{"a":' * 1500,
    b"null",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"",
)


@st.composite
def bent(draw: st.DrawFn, genuine: bytes) -> bytes:
    """The genuine bytes with up to three places overwritten, cut out or blown up."""
    raw = genuine
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, max(0, len(raw))))
        length = draw(st.sampled_from((0, 0, 1, 2, 16, 10_000)))
        piece = draw(st.sampled_from(_PIECES) | st.binary(max_size=8))
        raw = raw[:start] + piece + raw[start + length :]
    return raw[:LARGEST_BYTES]


@st.composite
def tampered(draw: st.DrawFn, genuine: Any) -> Any:
    """The genuine JSON value with up to three members anywhere in it replaced, removed or added."""
    document = copy.deepcopy(genuine)
    for _ in range(draw(st.integers(0, 3))):
        holder = document
        while inner := [one for one in _members(holder) if isinstance(one, dict | list) and one]:
            if draw(st.booleans()):
                break
            holder = draw(st.sampled_from(inner))
        _tamper(draw, holder)
    return document


def _members(holder: Any) -> list[Any]:
    return list(holder.values()) if isinstance(holder, dict) else list(holder)


def _tamper(draw: st.DrawFn, holder: Any) -> None:
    names = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    name = draw(st.sampled_from(names)) if names else None
    change = draw(st.sampled_from(("replace", "replace", "remove", "add")))
    if change == "remove" and name is not None:
        del holder[name]
    elif change == "replace" and name is not None:
        holder[name] = draw(values)
    elif isinstance(holder, dict):
        holder[draw(texts)] = draw(values)
    else:
        holder.append(draw(values))


@st.composite
def json_bytes(draw: st.DrawFn, genuine: Any, *, bends: bool = True) -> bytes:
    """A JSON text around the genuine value, perhaps with a name given twice, perhaps no longer JSON."""
    text = json.dumps(draw(tampered(genuine)), ensure_ascii=draw(st.booleans()))
    if text.startswith('{"') and draw(st.integers(0, 4)) == 0:
        name = text[1 : text.index(":")]
        text = f"{{{name}: {json.dumps(draw(values))}, {text[1:]}"
    raw = text.encode("utf-8", "surrogatepass")
    return draw(bent(raw)) if bends and draw(st.booleans()) else raw


@st.composite
def pairs(draw: st.DrawFn, genuine: Mapping[str, str]) -> list[tuple[str, str]]:
    """A form's fields around the genuine ones: changed, left out, repeated, added, in another order."""
    found = list(genuine.items())
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(found) - 1)) if found else 0
        change = draw(st.sampled_from(("replace", "remove", "repeat", "add", "move")))
        if change in ("replace", "repeat") and found:
            one = (found[place][0], draw(texts))
            found[place : place + (change == "replace")] = [one]
        elif change == "remove" and found:
            del found[place]
        elif change == "move" and found:
            found.insert(0, found.pop(place))
        else:
            found.insert(place, (draw(texts), draw(texts)))
    return found


def varied(given: Any, chance: Random) -> Any:
    """The same with one place in one of its bytes or texts overwritten, cut out, doubled or swapped.

    It costs a thousandth of what drawing another input does.
    """
    if isinstance(given, bytes):
        return _spliced(given, chance, lambda: chance.choice(_PIECES) or bytes((chance.randrange(256),)))
    if isinstance(given, str):
        return _spliced(given, chance, lambda: chance.choice(TEXTS) or chr(chance.randrange(0x2000)))
    if isinstance(given, tuple | list) and given:
        place = chance.randrange(len(given))
        return type(given)(varied(one, chance) if at == place else one for at, one in enumerate(given))
    return given


def _spliced(raw: Any, chance: Random, piece: Callable[[], Any]) -> Any:
    start = chance.randint(0, len(raw))
    end = min(len(raw), start + chance.choice((0, 1, 1, 2, 4, 16, 64)))
    middle = (piece, lambda: raw[:0], lambda: raw[start:end] * 2, lambda: raw[start:end][::-1])[chance.randrange(4)]()
    return (raw[:start] + middle + raw[end:])[:LARGEST_BYTES]


def form_bytes(fields: list[tuple[str, str]]) -> bytes:
    """The fields on the wire."""
    return "&".join(
        f"{quote_plus(name.encode('utf-8', 'surrogatepass'))}={quote_plus(value.encode('utf-8', 'surrogatepass'))}"
        for name, value in fields
    ).encode()


_RESULT: Final = b'{"ResultCode":"SUCCESSFUL","Currency":"EUR","TransactionId":"a4d6f6f27f2116da21da62d705dbd7ef",'

#: Bytes made to cost: each is as long as a notification may be.
EXTREMES: Final[Mapping[str, bytes]] = {
    "arrays": b"[" * LARGEST_BYTES,
    "objects": (b'{"a":' * LARGEST_BYTES)[:LARGEST_BYTES],
    "arrays that close": b"[" * (LARGEST_BYTES // 2) + b"]" * (LARGEST_BYTES // 2),
    "deepest JSON": b'{"AutoCommit":' + b'{"a":' * 1000 + b"1" + b"}" * 1001,
    "deepest arrays": b'{"errorCode":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "deep members": _RESULT + b'"AutoCommit":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "a deep amount": _RESULT + b'"Amount":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "one number": b"9" * LARGEST_BYTES,
    "a number inside": b'{"poiId":' + b"9" * (LARGEST_BYTES - 10) + b"}",
    "a decimal": b'{"Amount":0.' + b"1" * (LARGEST_BYTES - 14) + b"}",
    "an exponent": b'{"Amount":1e' + b"9" * (LARGEST_BYTES - 14) + b"}",
    "one string": b'"' + b"a" * (LARGEST_BYTES - 2) + b'"',
    "a long member": b'{"signature":"' + b"a" * (LARGEST_BYTES - 16) + b'"}',
    "surrogates": b'{"signature":"' + (b"\\ud800" * 20_000)[: LARGEST_BYTES - 16] + b'"}',
    "many names": b"{" + b",".join(b'"%d":0' % number for number in range(6000)) + b"}",
    "one name again": b"{" + b",".join([b'"a":{}'] * 9000) + b"}",
    "an array of objects": b'{"orderResults":[' + b",".join([b"{}"] * 20_000) + b"]}",
    "records": b'{"response":[{"errorcode":"0","records":[' + b",".join([b"{}"] * 20_000) + b"]}]}",
    "NUL": b"\0" * LARGEST_BYTES,
    "invalid UTF-8": b"\xff" * LARGEST_BYTES,
    "overlong UTF-8": b"\xc0\x80" * (LARGEST_BYTES // 2),
    "percent signs": b"%" * LARGEST_BYTES,
    "percent encoded": (b"%00%ff%25" * 8000)[:LARGEST_BYTES],
    "half encoded": (b"%2%g0%" * 11_000)[:LARGEST_BYTES],
    "ampersands": b"&" * LARGEST_BYTES,
    "equals": b"=" * LARGEST_BYTES,
    "many fields": (b"a=b&" * (LARGEST_BYTES // 4))[:LARGEST_BYTES],
    "fields as many as allowed": b"&".join([b"a" * 150 + b"=" + b"b" * 150] * 200),
    "plus signs": b"a=" + b"+" * (LARGEST_BYTES - 2),
    "almost a transaction": (b"transactionreference=1-" * 3000)[:LARGEST_BYTES],
    "digits after a name": b"transactionreference=" + b"1-" * 32_000,
    "almost an id": (b'"transactionId"' + b" " * 100) * 560,
    "blanks after a name": b'"transactionId"' + b" " * (LARGEST_BYTES - 15),
    "hex without end": b"TransactionId=" + b"a" * (LARGEST_BYTES - 14),
    "commas": b"," * LARGEST_BYTES,
    "spaces": b" " * LARGEST_BYTES,
    "line breaks": b"\r\n" * (LARGEST_BYTES // 2),
    "a date": b"2026-06-01T12:00:00." + b"1" * (LARGEST_BYTES - 20),
    "brackets": b"[]" * (LARGEST_BYTES // 2),
    "hyphens": b"-" * LARGEST_BYTES,
    "colons": b":" * LARGEST_BYTES,
    "a number to base 60": b"1" + b":1" * (LARGEST_BYTES // 2 - 1),
    "a list of numbers": b"[" + b"1," * (LARGEST_BYTES // 2 - 1) + b"]",
    "a list of texts": b"[" + b'"a",' * (LARGEST_BYTES // 4 - 1) + b"]",
}
