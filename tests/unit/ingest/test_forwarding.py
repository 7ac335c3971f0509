"""Who called, behind trusted proxies: what they added is believed, whatever the caller wrote before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.ingest.forwarding import Forwarding, forwarding
from paynotify.ingest.networks import Networks, address_in
from paynotify.schemas.configuration.ingest import IngestSettings

TRUSTED = Networks(["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7"])
X = Forwarding(TRUSTED, "x-forwarded-for")
FORWARDED = Forwarding(TRUSTED, "forwarded")
PEER = "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("10.1.2.3", True),
        ("11.0.0.1", False),
        ("::ffff:10.1.2.3", True),
        ("2001:db8:1::9%eth0", True),
        ("2001:db8:2::9", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_networks_include_addresses_of_both_kinds(address: str, known: bool) -> None:
    assert (address in TRUSTED) is known


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9:4711\t", "203.0.113.9"),
        ("[2001:DB8:2:0::9]:4711", "2001:db8:2::9"),
        ("2001:db8:2::9", "2001:db8:2::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("unknown", None),
        ("_hidden", None),
        ("", None),
        ("203.0.113.9.1", None),
        ("[203.0.113", None),
    ],
)
def test_address_may_have_a_port_and_brackets(text: str, address: str | None) -> None:
    assert address_in(text) == address


@pytest.mark.parametrize(
    ("values", "caller"),
    [
        ([], PEER),
        ([b""], PEER),
        ([b"203.0.113.9"], "203.0.113.9"),
        ([b"203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ([b"203.0.113.9,10.0.0.2 ,2001:db8:1::1"], "203.0.113.9"),
        ([b"1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        ([b"10.9.9.9, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ([b"1.1.1.1", b"203.0.113.9", b"10.0.0.2"], "203.0.113.9"),
        ([b"203.0.113.9, unknown"], PEER),
        ([b"203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
        ([b"203.0.113.9,"], PEER),
        ([b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ([b"203.0.113.9" + b", 10.0.0.2" * 20], "10.0.0.2"),
        ([b"203.0.113.9, " + b"x" * 5000], PEER),
        ([b"203.0.113.9:1234"], "203.0.113.9"),
    ],
)
def test_x_forwarded_for_is_read_from_the_right(values: list[bytes], caller: str) -> None:
    assert X.caller(PEER, [(b"x-forwarded-for", value) for value in values]) == caller


@pytest.mark.parametrize(
    ("value", "caller"),
    [
        (b"for=203.0.113.9", "203.0.113.9"),
        (b'For="203.0.113.9:47011";proto=https;by=10.0.0.1', "203.0.113.9"),
        (b'for="[2001:db8:2::17]:4711"', "2001:db8:2::17"),
        (b"for=1.1.1.1, for=203.0.113.9;proto=https, for=10.0.0.2", "203.0.113.9"),
        (b"for=203.0.113.9, proto=https", PEER),
        (b"for=unknown", PEER),
        (b"for=_gazonk", PEER),
        (b'for="1.1.1.1, for=203.0.113.9', PEER),
        (b'for="1.1.1.1, for=203.0.113.9;host="shop.example"', PEER),
        (b'for="a\\"b", for=203.0.113.9', "203.0.113.9"),
        (b"203.0.113.9", PEER),
        (b"for = 203.0.113.9", PEER),
        (b"", PEER),
    ],
)
def test_forwarded_is_read_from_the_right(value: bytes, caller: str) -> None:
    assert FORWARDED.caller(PEER, [(b"forwarded", value)]) == caller


def test_header_that_is_not_configured_is_never_read() -> None:
    assert X.caller(PEER, [(b"forwarded", b"for=203.0.113.9")]) == PEER
    assert FORWARDED.caller(PEER, [(b"x-forwarded-for", b"203.0.113.9")]) == PEER


def test_proxies_are_not_trusted_by_default() -> None:
    assert forwarding(IngestSettings()) is None
    assert IngestSettings().trusted_proxies == ()
    assert IngestSettings().proxy_protocol is False


addresses = st.ip_addresses().map(str)
strangers = addresses.filter(lambda one: one not in TRUSTED)
proxies = st.sampled_from(["10.0.0.2", "10.200.0.1", "2001:db8:1::5"])
#: What a caller may send: anything that fits into a header.
written = st.lists(st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=60), max_size=3)


def encoded(name: bytes, values: list[str]) -> list[tuple[bytes, bytes]]:
    return [(name, value.encode("latin-1")) for value in values]


@given(written, strangers, st.lists(proxies, max_size=3), st.booleans())
def test_caller_cannot_choose_its_address_whatever_it_writes(
    values: list[str], caller: str, passed: list[str], in_one_line: bool
) -> None:
    added = [caller, *passed]
    lines = [", ".join([*values, *added])] if in_one_line else [*values, ", ".join(added)]
    assert X.caller(PEER, encoded(b"x-forwarded-for", lines)) == str(address_in(caller))


@given(written, strangers, st.lists(proxies, max_size=3), st.booleans())
def test_caller_can_only_hide_behind_the_proxy_with_what_cannot_be_read(
    values: list[str], caller: str, passed: list[str], in_one_line: bool
) -> None:
    """A quotation mark may make the whole header unreadable; then the call is the proxy's own."""
    added = [f'for="[{one}]"' if ":" in one else f"for={one}" for one in (caller, *passed)]
    lines = [", ".join([*values, *added])] if in_one_line else [*values, ", ".join(added)]
    found = FORWARDED.caller(PEER, encoded(b"forwarded", lines))
    assert found in {str(address_in(caller)), PEER}
    if not values:
        assert found == str(address_in(caller))
