"""Which events an export has seen: each once, whatever was published again."""

from __future__ import annotations

from paynotify.ops.export.newest import SeenPayments

AT = "2026-11-23T09:00:00.000Z"


def test_repeated_batch_is_left_out() -> None:
    batch = [(b"shop/a", 1), (b"shop/a", 2), (b"shop/b", 1)]
    with SeenPayments() as seen:
        assert [seen.take(key, sequence, AT) for key, sequence in (*batch, *batch, (b"shop/a", 3))] == [
            *(True, True, True),
            *(False, False, False),
            True,
        ]


def test_newest_line_of_each_payment_comes_in_the_order_of_keys() -> None:
    with SeenPayments() as seen:
        for key, sequence in ((b"b", 1), (b"a", 1), (b"b", 2), (b"b", 1)):
            seen.take(key, sequence, AT, b"%b%d" % (key, sequence))
        assert list(seen.lines()) == [b"a1", b"b2"]


def test_payment_that_was_deleted_after_years_starts_again() -> None:
    with SeenPayments() as seen:
        assert seen.take(b"a", 5, AT)
        assert not seen.take(b"a", 1, "2026-11-24T09:00:00.000Z")
        assert seen.take(b"a", 1, "2036-12-01T09:00:00.000Z")
        assert seen.take(b"a", 2, "2036-12-01T09:00:01.000Z")
