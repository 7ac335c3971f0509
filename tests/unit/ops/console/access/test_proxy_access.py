"""Users that a proxy names: only the configured ones are believed, and one user at a time."""

from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from paynotify.ops.console.access.grants import GrantedRoles
from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role
from paynotify.ops.console.access.proxy_access import ProxyAccess
from paynotify.schemas.configuration.console_access import ProxyUserSettings, RoleGrant

ROLES = GrantedRoles(
    [RoleGrant(users=("alice",), role="viewer"), RoleGrant(groups=("money",), role="cashier", merchants=("shop-uk",))]
)
ACCESS = ProxyAccess(ProxyUserSettings(trusted_proxies=("10.1.0.0/16", "2001:db8::7")), ROLES)


def connection(*headers: tuple[str, str], peer: str = "10.1.2.3") -> HTTPConnection:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    return HTTPConnection({"type": "http", "headers": raw, "client": (peer, 4711)})


ALICE = ("X-Forwarded-User", "alice")


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7"])
async def test_user_and_groups_of_the_proxy_have_their_roles(peer: str) -> None:
    found = await ACCESS.identify(connection(ALICE, ("X-Forwarded-Groups", "staff, money"), peer=peer))
    assert found == Identity("alice", "proxy", {EVERY_MERCHANT: Role.VIEWER, "shop-uk": Role.CASHIER})


@pytest.mark.parametrize("peer", ["10.2.0.1", "127.0.0.1", "2001:db8::8", "::1"])
async def test_headers_of_anybody_else_are_refused(peer: str) -> None:
    for headers in ([ALICE], [ALICE, ("X-Forwarded-For", "10.1.2.3")], []):
        with pytest.raises(HTTPException) as refused:
            await ACCESS.identify(connection(*headers, peer=peer))
        assert refused.value.status_code == 403


async def test_second_user_in_the_headers_is_refused() -> None:
    with pytest.raises(HTTPException) as refused:
        await ACCESS.identify(connection(ALICE, ("X-Forwarded-User", "mallory")))
    assert refused.value.status_code == 400


@pytest.mark.parametrize("name", ["", "alice, mallory", "al\u00efce", "alice\x00", "a" * 65, "<b>"])
async def test_odd_name_is_nobody(name: str) -> None:
    assert await ACCESS.identify(connection(("X-Forwarded-User", name))) is None
    assert await ACCESS.identify(connection(("X-Forwarded-Groups", "money"))) is None


async def test_headers_have_the_configured_names() -> None:
    settings = ProxyUserSettings(trusted_proxies=("10.1.0.0/16",), user_header="Remote-User", groups_header="Groups")
    found = await ProxyAccess(settings, ROLES).identify(
        connection(("Remote-User", "bob"), ("Groups", "money"), ("X-Forwarded-User", "alice"))
    )
    assert found == Identity("bob", "proxy", {"shop-uk": Role.CASHIER})


async def test_groups_may_come_in_several_headers() -> None:
    found = await ACCESS.identify(connection(ALICE, ("X-Forwarded-Groups", "staff"), ("X-Forwarded-Groups", "money")))
    assert found is not None
    assert found.may(Role.CASHIER, "shop-uk")
