"""Bodies are inflated within their limit, whatever they are."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.ingest.content_encoding import LongBodyError, UnreadableBodyError, coding_of, inflated, is_known

codings = st.sampled_from([b"gzip", b"x-gzip", b"deflate"])


def raw(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


@pytest.mark.parametrize(
    ("coding", "compress"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"deflate", raw)]
)
@given(st.binary(max_size=300), st.integers(0, 300))
def test_body_is_what_its_sender_wrote_or_too_long(
    coding: bytes, compress: Callable[[bytes], bytes], body: bytes, limit: int
) -> None:
    if len(body) <= limit:
        assert inflated(compress(body), coding, limit) == body
    else:
        with pytest.raises(LongBodyError):
            inflated(compress(body), coding, limit)


@given(st.binary(min_size=1, max_size=300), codings)
def test_bytes_of_any_kind_are_inflated_or_refused(body: bytes, coding: bytes) -> None:
    with contextlib.suppress(UnreadableBodyError, LongBodyError):
        assert len(inflated(body, coding, 100)) <= 100


def test_bomb_is_not_inflated_beyond_the_limit() -> None:
    with pytest.raises(LongBodyError):
        inflated(gzip.compress(bytes(50_000_000), 1), b"gzip", 1000)
    with pytest.raises(LongBodyError):
        inflated(gzip.compress(b"x") * 1001, b"gzip", 1000)


@pytest.mark.parametrize("value", [b"", b" ", b"identity", b" Identity\t"])
def test_body_as_it_was_written_has_no_coding(value: bytes) -> None:
    assert coding_of(value) is None


@pytest.mark.parametrize("value", [b"br", b"gzip, gzip", b"gzip,identity", b"zstd", b"compress"])
def test_other_codings_are_not_known(value: bytes) -> None:
    coding = coding_of(value)
    assert coding is not None
    assert not is_known(coding)
