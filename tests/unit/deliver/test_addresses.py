"""Which addresses may be called, in every form they can be written or hidden in."""

from __future__ import annotations

import socket

import pytest

from paynotify.deliver.addresses import AddressRules, refused_addresses

PUBLIC = ("8.8.8.8", "93.184.215.14", "2606:4700::6810:84e5", "64:ff9b::808:808", "2002:808:808::1")
SPECIAL = (
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fc00::1",
    "ff02::1",
    "2001:db8::1",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    assert AddressRules(()).allows(address)


@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses_may_not_be_called(address: str) -> None:
    assert not AddressRules(()).allows(address)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "0x7f000001", "2130706433", "127.1"])
def test_text_that_is_no_address_is_never_connected_to(text: str) -> None:
    assert not AddressRules(("0.0.0.0/0",)).allows(text)


def test_allowed_networks_may_be_called_in_every_form() -> None:
    rules = AddressRules(("10.20.0.0/16", "fd00::/8"))
    assert all(rules.allows(one) for one in ("10.20.1.1", "::ffff:10.20.1.1", "64:ff9b::a14:101", "fd00::7"))
    assert not any(rules.allows(one) for one in ("10.21.0.1", "127.0.0.1", "fe80::1"))


def test_hosts_that_are_addresses_are_judged_before_any_lookup() -> None:
    rules = AddressRules(())
    assert rules.allows_host("erp.shop.example")
    assert not rules.allows_host("169.254.169.254")
    assert not rules.allows_host("[::1]")


def test_socket_is_not_even_made_for_a_refused_address() -> None:
    make = AddressRules(()).socket_factory()
    refused: list[str] = []
    refused_addresses.set(refused)
    with pytest.raises(OSError, match="must not be called"):
        make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))
    assert refused == ["127.0.0.1"]
    made = make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80)))
    made.close()
