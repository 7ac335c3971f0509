"""Odd requests, by the rows of the table in docs/operations/http-in-front.md: each with all its variants."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Final, NamedTuple

PAGE: Final = Path(__file__).parents[2] / "docs" / "operations" / "http-in-front.md"
PATH: Final = "/notifications/omnikassa/shop-nl"
BODY: Final = b'{"order": "O-1"}'


class Answer(NamedTuple):
    """What the table says."""

    status: int
    closes: bool


def table() -> dict[str, Answer]:
    """The rows of the table."""
    text = PAGE.read_text("utf-8").partition("## Odd requests")[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", text, re.MULTILINE)[2:]
    return {request: Answer(int(re.findall(r"\d{3}", answer)[-1]), ", closes" in answer) for request, answer in rows}


def request(*headers: str, body: bytes = BODY, line: str = f"POST {PATH} HTTP/1.1", host: bool = True) -> bytes:
    """A request with its Content-Length."""
    return plain(*headers, f"content-length: {len(body)}", body=body, line=line, host=host)


def plain(*headers: str, body: bytes, line: str = f"POST {PATH} HTTP/1.1", host: bool = True) -> bytes:
    """A request with these headers and no others but Host."""
    lines = [line, *(["host: shop.example"] if host else []), *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(*headers: str, body: bytes = b"10\r\n" + BODY + b"\r\n0\r\n\r\n") -> bytes:
    return plain(*headers, body=body)


def to(target: str) -> bytes:
    return request(line=f"POST {target} HTTP/1.1")


GZIP: Final = gzip.compress(BODY)
DEFLATE: Final = zlib.compress(BODY)
_RAW: Final = zlib.compressobj(wbits=-15)
RAW_DEFLATE: Final = _RAW.compress(BODY) + _RAW.flush()
BOMB: Final = gzip.compress(bytes(100_000))
TE: Final = "transfer-encoding: chunked"

REQUESTS: Final[dict[str, list[bytes]]] = {
    "`Content-Encoding: gzip` or `x-gzip`": [
        request("content-encoding: gzip", body=GZIP),
        request("Content-Encoding:  X-GZip ", body=GZIP),
        request("content-encoding: gzip", body=gzip.compress(BODY[:5]) + gzip.compress(BODY[5:])),
        plain("content-encoding: gzip", TE, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(GZIP), GZIP)),
    ],
    "`Content-Encoding: deflate`, with or without zlib's header": [
        request("content-encoding: deflate", body=DEFLATE),
        request("content-encoding: deflate", body=RAW_DEFLATE),
    ],
    "`Content-Encoding: identity`, or an empty one": [
        request("content-encoding: identity"),
        request("content-encoding:"),
    ],
    "`Content-Encoding: gzip`, and an empty body": [request("content-encoding: gzip", body=b"")],
    "`Content-Encoding: br`, or another": [request("content-encoding: br"), request("content-encoding: nonsense")],
    "`Content-Encoding: gzip, gzip`": [request("content-encoding: gzip, gzip", body=gzip.compress(GZIP))],
    "`Content-Encoding` twice": [
        request("content-encoding: gzip", "content-encoding: identity", body=GZIP),
        request("content-encoding: gzip", "content-encoding: gzip", body=GZIP),
    ],
    "a body that is not what `Content-Encoding` says, or is cut": [
        request("content-encoding: gzip"),
        request("content-encoding: gzip", body=GZIP[:-1]),
        request("content-encoding: gzip", body=GZIP + b"x"),
        request("content-encoding: deflate", body=GZIP),
        request("content-encoding: deflate", body=DEFLATE + b"x"),
    ],
    "a body that is inflated to more than `max_body_bytes`": [
        request("content-encoding: gzip", body=BOMB),
        request("content-encoding: deflate", body=zlib.compress(bytes(1001))),
    ],
    "`Transfer-Encoding: chunked`, in any case of letters": [chunked(TE), chunked("Transfer-Encoding:\tCHUNKED")],
    "chunk extensions, and headers after the body": [
        chunked(TE, body=b"10;a=b\r\n" + BODY + b"\r\n0\r\n\r\n"),
        chunked(TE, body=b"10\r\n" + BODY + b"\r\n0\r\ncontent-encoding: gzip\r\nhost: other\r\n\r\n"),
    ],
    "`Transfer-Encoding: gzip, chunked`, or any other": [
        chunked(f"transfer-encoding: {coding}")
        for coding in ("gzip, chunked", "chunked, gzip", "identity", "xchunked", '"chunked"', "chunked, chunked")
    ],
    "`Transfer-Encoding` twice": [
        chunked(TE, TE),
        chunked(TE, "transfer-encoding: x"),
        chunked("transfer-encoding: x", TE),
    ],
    "`Transfer-Encoding` with `Content-Length`": [
        chunked(TE, "content-length: 3"),
        chunked("content-length: 25", TE),
        request("transfer-encoding: identity"),
        request("transfer-encoding:"),
    ],
    "`Transfer-Encoding` in HTTP/1.0": [
        plain(TE, body=b"10\r\n" + BODY + b"\r\n0\r\n\r\n", line=f"POST {PATH} HTTP/1.0"),
    ],
    "`Transfer-Encoding : chunked`, with a space before the colon": [chunked("transfer-encoding : chunked")],
    "`Transfer-Encoding` that is folded, or has a control character": [
        chunked("transfer-encoding:\r\n chunked"),
        chunked("transfer-encoding: \x0bchunked"),
        chunked("transfer-encoding: chunked\x00"),
        chunked("x: y\rtransfer-encoding: chunked"),
        chunked("x: y\ntransfer-encoding: chunked"),
    ],
    "a chunk with a wrong length, or one that is no plain hexadecimal number": [
        chunked(TE, body=length + b"\r\n" + BODY + b"\r\n0\r\n\r\n")
        for length in (b"f", b"0x10", b"+10", b"-10", b"10 ", b" 10", b"1 0", b"ffffffffffffffff10", b"", b"x")
    ],
    "chunks that end with LF alone": [
        chunked(TE, body=b"10\n" + BODY + b"\n0\n\n"),
        chunked(TE, body=b"10\r\n" + BODY + b"\n0\r\n\r\n"),
    ],
    "`Content-Length` twice, also with the same number": [request("content-length: 16"), request("content-length: 3")],
    "`Content-Length` that is no plain number, such as `+2`, `2, 2` or `0x2`": [
        plain(f"content-length: {length}", body=BODY)
        for length in ("+16", "-16", "16, 16", "0x10", "1 6", "16a", "1e1", "99999999999999999999999")
    ],
    "`Host` twice": [request("host: other"), request("Host: shop.example")],
    "no `Host` in HTTP/1.1": [request(host=False)],
    "`Content-Type` twice": [request("content-type: text/plain", "content-type: application/json")],
    "another header twice": [request("user-agent: a", "user-agent: b")],
    "a header that is folded": [request("x: y\r\n z"), request("x: y\r\n\tz"), request(" x: y")],
    "a header without colon, or with a space in its name": [request("nonsense"), request("x y: z"), request(": z")],
    "a header with NUL, a control character or CR": [request("x: a\x00b"), request("x: a\x01b"), request("x: a\rb")],
    "lines that end with LF alone": [request().replace(b"\r\n", b"\n"), request().replace(b"\r\n", b"\n", 1)],
    "a header with bytes outside ASCII": [request("x: \xe9")],
    "empty lines before the request": [b"\r\n\r\n" + request()],
    "`Expect: 100-continue`": [request("expect: 100-continue")],
    "another `Expect`": [request("expect: a-miracle")],
    "an offer to upgrade to another protocol": [
        request("connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAARAAAAAAAIAAAAA"),
        request("connection: upgrade", "upgrade: websocket"),
    ],
    "HTTP/1.0": [
        request(line=f"POST {PATH} HTTP/1.0", host=False),
        request("connection: keep-alive", line=f"POST {PATH} HTTP/1.0"),
    ],
    "HTTP/0.9, HTTP/1.2, HTTP/2.0, or the beginning of HTTP/2": [
        f"GET {PATH}\r\n\r\n".encode(),
        request(line=f"POST {PATH} HTTP/1.2"),
        request(line=f"POST {PATH} HTTP/2.0"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    ],
    "`CONNECT`": [plain(body=b"", line="CONNECT shop.example:443 HTTP/1.1")],
    "a method in small letters, or an unknown one": [
        request(line=f"post {PATH} HTTP/1.1"),
        request(line=f"NONSENSE {PATH} HTTP/1.1"),
    ],
    "a target in absolute form, `POST http://any.example/notifications/…`": [
        to(f"http://any.example{PATH}"),
        to(f"https://any.example:443{PATH}?a=b"),
    ],
    "a fragment after the path": [to(f"{PATH}#fragment")],
    "a path with percent-encoded letters, `shop%2Dnl`": [
        to("/notifications/omnikassa/shop%2Dnl"),
        to("/notification%73/omnikassa/shop-nl"),
    ],
    "a path with an encoded slash, or encoded twice": [
        to("/notifications%2Fomnikassa/shop-nl"),
        to("/notifications/omnikassa%2fshop-nl"),
        to("/notifications/omnikassa/shop%252Dnl"),
    ],
    "a path with a slash at its end, two slashes, `.`, `..` or `;a=b`": [
        to(f"{PATH}/"),
        to("//notifications/omnikassa/shop-nl"),
        to("/notifications/./omnikassa/shop-nl"),
        to("/x/../notifications/omnikassa/shop-nl"),
        to(f"{PATH};a=b"),
    ],
    "a target without a slash, or with a space in it": [
        to("notifications/omnikassa/shop-nl"),
        to(f"{PATH} x"),
        request(line=f"POST\t{PATH} HTTP/1.1"),
    ],
    "`OPTIONS *`": [plain(body=b"", line="OPTIONS * HTTP/1.1")],
}
