"""The deliveries of one subscription: order of each payment, due times, and which offsets may be committed."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from paynotify.deliver.delivery_queue import DeliveryQueue, QueuedDelivery
from tests.fakes.deliveries import TOPIC, queued

PLACE = (TOPIC, 0)


def filled(*deliveries: QueuedDelivery) -> DeliveryQueue:
    queue = DeliveryQueue()
    for one in deliveries:
        assert queue.add(one)
        queue.read_past(one.place, one.offset)
    return queue


def test_next_event_of_a_payment_waits_and_others_do_not() -> None:
    first, second, other = queued("a", 1, 0), queued("a", 2, 1), queued("b", 1, 2)
    queue = filled(first, second, other)
    assert [queue.take(0), queue.take(0), queue.take(0)] == [first, other, None]
    queue.finish(first)
    assert queue.take(0) is second


def test_failed_delivery_holds_its_payment_until_it_is_due() -> None:
    first, second, other = queued("a", 1, 0), queued("a", 2, 1), queued("b", 1, 2)
    queue = filled(first, second, other)
    assert queue.take(0) is first
    queue.put_back(first, 10.0)
    assert [queue.take(0), queue.take(9.9)] == [other, None]
    assert queue.due_at() == 10.0
    assert queue.take(10.0) is first


def test_probe_takes_what_is_not_due_and_each_payment_in_turn() -> None:
    first, other = queued("a", 1, 0), queued("b", 1, 1)
    queue = filled(first, other)
    for one in (queue.take(0), queue.take(0)):
        assert one is not None
        queue.put_back(one, 100.0 + one.offset)
    taken = queue.take(0, any_time=True)
    assert taken is first
    queue.put_back(first, 0.0)
    assert queue.take(0, any_time=True) is first  # due now, before what is due later
    assert queue.take(0, any_time=True) is other


def test_offsets_are_held_back_by_what_is_neither_done_nor_saved() -> None:
    first, second, other = queued("a", 1, 0), queued("a", 2, 1), queued("b", 1, 2)
    queue = filled(first, second, other)
    assert queue.positions() == {PLACE: 0}
    taken = queue.take(0), queue.take(0)
    queue.finish(other)
    assert queue.positions() == {PLACE: 0}
    queue.saved(first)
    assert taken[0] is first
    assert queue.positions() == {PLACE: 1}
    assert queue.to_be_saved(first.event.order_key) == [second]
    queue.saved(second)
    assert queue.positions() == {PLACE: 3}
    assert queue.unsaved == 0
    assert queue.waiting == 2


def test_repeat_of_what_is_queued_is_dropped_and_holds_no_offset() -> None:
    first = queued("a", 1, 0)
    queue = filled(first)
    assert not queue.add(queued("a", 1, 5))
    queue.read_past(PLACE, 5)
    assert queue.take(0) is first
    queue.finish(first)
    assert queue.positions() == {PLACE: 6}
    assert len(queue) == 0


def test_restored_delivery_follows_earlier_ones_that_are_read_after_it() -> None:
    restored = queued("a", 2, 7)
    restored.recorded = restored.saved = True
    restored.due_seconds = 50.0
    earlier = queued("a", 1, 3)
    queue = filled(restored, earlier)
    assert queue.take(0) is earlier
    queue.finish(earlier)
    assert queue.take(0) is None
    assert queue.take(50) is restored


def test_earlier_event_is_not_put_before_one_that_is_out() -> None:
    restored, earlier = queued("a", 2, 7), queued("a", 1, 3)
    restored.saved = True
    queue = filled(restored)
    assert queue.take(0) is restored
    assert queue.add(earlier)
    queue.finish(restored)
    assert queue.take(0) is earlier


@given(st.integers(0, 2**32))
def test_every_event_is_done_once_and_each_payment_in_order(seed: int) -> None:
    chance = random.Random(seed)
    waiting = [queued(f"p{number % 5}", number // 5 + 1, number) for number in range(40)]
    queue, now, out, done = DeliveryQueue(), 0.0, list[QueuedDelivery](), list[QueuedDelivery]()
    while len(done) < 40:
        now += chance.random()
        if waiting and chance.random() < 0.5:
            one = waiting.pop(0)
            queue.add(one)
            queue.read_past(PLACE, one.offset)
        taken = queue.take(now, any_time=chance.random() < 0.2)
        if taken is not None:
            out.append(taken)
        assert len({one.event.order_key for one in out}) == len(out)
        if out and chance.random() < 0.7:
            one = out.pop(chance.randrange(len(out)))
            if chance.random() < 0.5:
                queue.finish(one)
                done.append(one)
            else:
                if chance.random() < 0.5:
                    queue.saved(one)
                    for other in queue.to_be_saved(one.event.order_key):
                        queue.saved(other)
                queue.put_back(one, now + chance.choice((0.0, 1.0, 3.0)) if chance.random() < 0.8 else 0.0)
        finished = {one.offset for one in done}
        position = queue.positions().get(PLACE, 0)
        assert all(one.saved or one.offset in finished for one in queue._by_id.values() if one.offset < position)
    for payment in range(5):
        sequence = [one.offset for one in done if one.offset % 5 == payment]
        assert sequence == sorted(sequence)
    assert queue.positions() == {PLACE: 40}
