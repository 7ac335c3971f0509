"""The producer's selector against Python's own."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator

import pytest

from paynotify.ingest.selector import ProducerSelector


class NamelessSocket(socket.socket):
    """A socket that must not be described."""

    def __repr__(self) -> str:
        raise AssertionError("its addresses were asked for")


@pytest.fixture
def nameless() -> Iterator[NamelessSocket]:
    with NamelessSocket() as one:
        yield one


@pytest.fixture
def selector() -> Iterator[ProducerSelector]:
    with ProducerSelector() as one:
        yield one


def test_unknown_socket_is_not_described(selector: ProducerSelector, nameless: NamelessSocket) -> None:
    with pytest.raises(KeyError):
        selector.get_key(nameless)


def test_key_follows_a_socket_from_registration_to_its_end(
    selector: ProducerSelector, nameless: NamelessSocket
) -> None:
    assert selector.register(nameless, selectors.EVENT_READ, "read") == selector.get_key(nameless)
    selector.modify(nameless, selectors.EVENT_WRITE, "write")
    assert (selector.get_key(nameless).events, selector.get_key(nameless).data) == (selectors.EVENT_WRITE, "write")
    assert selector.unregister(nameless).data == "write"
    with pytest.raises(KeyError):
        selector.get_key(nameless)


def test_closed_socket_is_found_and_its_number_is_free_again(selector: ProducerSelector) -> None:
    first = socket.socket()
    number = first.fileno()
    selector.register(first, selectors.EVENT_READ, "first")
    first.close()
    assert selector.get_key(first).data == "first"
    selector.unregister(first)
    with socket.socket() as second:
        assert second.fileno() == number
        with pytest.raises(KeyError):
            selector.get_key(second)
        assert selector.register(second, selectors.EVENT_READ, "second") == selector.get_key(second)
