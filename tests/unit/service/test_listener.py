"""Addresses to listen on: without a host, one socket hears IPv6 and IPv4 callers."""

from __future__ import annotations

import contextlib
import socket

import pytest

from paynotify.schemas.errors import ConfigurationError
from paynotify.service.listener import bound_socket, caller_address, split_address

needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:9090", ("127.0.0.1", 9090)), (":0", ("", 0)), ("[::1]:80", ("::1", 80)), ("[::]:80", ("::", 80))],
)
def test_address_is_split_into_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize("text", ["", "9090", "host:", "host:http", "host:70000", "host:-1", "host:¹"])
def test_invalid_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:9090, or :9090"):
        split_address(text)


def callers(address: str, *hosts: str) -> list[str]:
    """The addresses of those that connect, as they are known to the product."""
    with bound_socket(address) as listener:
        listener.listen()
        found = []
        for host in hosts:
            with socket.create_connection((host, listener.getsockname()[1]), timeout=10):
                accepted, peer = listener.accept()
                accepted.close()
                found.append(caller_address(peer))
        return found


@needs_ipv6
def test_empty_host_hears_both_families_and_names_callers_as_usual() -> None:
    assert callers(":0", "127.0.0.1", "::1") == ["127.0.0.1", "::1"]


def test_empty_host_means_ipv4_on_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    assert callers(":0", "127.0.0.1") == ["127.0.0.1"]


def test_address_of_ipv4_hears_that_family_alone() -> None:
    with bound_socket("0.0.0.0:0") as listener:
        assert listener.family == socket.AF_INET


def test_unknown_caller_has_no_address() -> None:
    """A caller that is gone before its connection is looked at."""
    assert caller_address(None) == ""


def test_port_in_use_leaves_no_socket_behind() -> None:
    """pytest makes an error of the warning about a socket that nobody closed."""
    with bound_socket(":0") as first, contextlib.suppress(OSError):
        first.listen()
        bound_socket(f":{first.getsockname()[1]}")
        pytest.fail("the port was given twice")
