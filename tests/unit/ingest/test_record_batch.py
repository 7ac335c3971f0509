"""Records and batches against kafka-python's own: the same bytes."""

from hypothesis import given
from hypothesis import strategies as st
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

from paynotify.ingest.record_batch import PRIVATE_NAMES as NAMES
from paynotify.ingest.record_batch import EncodedRecords, encoded, integer
from paynotify.service.private_names import require

TIME = 1_780_000_000_123

records = st.lists(
    st.tuples(
        st.binary(max_size=100),
        st.binary(max_size=9000),
        st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=300)), max_size=20),
    ),
    min_size=1,
    max_size=100,
)


def closed(builder: MemoryRecordsBuilder) -> bytes:
    builder.set_producer_state(7, 1, 42, False)
    builder.close()
    return bytes(builder.buffer())


@given(records)
def test_batch_has_the_bytes_that_the_client_would_write(
    given_records: list[tuple[bytes, bytes, list[tuple[str, bytes]]]],
) -> None:
    theirs = MemoryRecordsBuilder(2, 0, 2**31)
    for key, value, headers in given_records:
        theirs.append(TIME, key, value, headers)
    ours = EncodedRecords([encoded(*one) for one in given_records], TIME)
    assert ours.is_full()
    assert ours.next_offset() == theirs.next_offset() == len(given_records)
    assert closed(ours) == closed(theirs)
    assert ours.base_sequence == 42


def test_more_records_than_two_byte_numbers_are_read_back() -> None:
    batch = EncodedRecords([encoded(b"%d" % number, b"", []) for number in range(9000)], TIME)
    (read,) = MemoryRecords(closed(batch))
    assert [(one.offset, one.key, one.timestamp) for one in read] == [(n, b"%d" % n, TIME) for n in range(9000)]


@given(st.integers(0, 2**31))
def test_integer_is_shorter_for_smaller_numbers(value: int) -> None:
    assert len(integer(value)) == max(1, -(-(value * 2).bit_length() // 7))


def test_installed_client_has_the_private_names() -> None:
    require(NAMES)
