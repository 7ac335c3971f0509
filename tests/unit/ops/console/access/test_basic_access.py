"""Signing in with passwords: who is known, at which cost, and how often one may fail."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from paynotify.ops import main
from paynotify.ops.console.access.basic_access import BasicAccess
from paynotify.ops.console.access.failure_limit import FailureLimit
from paynotify.ops.console.access.grants import GrantedRoles
from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role
from paynotify.ops.console.access.password_hash import PasswordHash, parse_hash
from paynotify.ops.console.access.users_file import parse_users
from paynotify.ops.console.access.verified_passwords import VerifiedPasswords
from paynotify.schemas.configuration.console_access import PasswordSettings, RoleGrant
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.errors import ConfigurationError

PASSWORD = "correct horse: battery"
ROLES = GrantedRoles([RoleGrant(users=("alice",), role="operator", merchants=("shop-uk",))])


def cheap(password: str = PASSWORD) -> str:
    """A hash of which a test can check many."""
    blank = PasswordHash(10, 8, 1, os.urandom(16), b"")
    return PasswordHash(10, 8, 1, blank.salt, blank._key_of(password)).text()


def connection(name: str | None, password: str = PASSWORD, address: str = "192.0.2.1") -> HTTPConnection:
    headers = []
    if name is not None:
        given = base64.b64encode(f"{name}:{password}".encode())
        headers.append((b"authorization", b"Basic " + given))
    return HTTPConnection({"type": "http", "headers": headers, "client": (address, 4711)})


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(f"# of the console\n\nalice:{cheap()}\ncarol:{cheap()}\n")
    return path


@pytest.fixture
def access(file: Path, clock: Clock) -> BasicAccess:
    return BasicAccess(PasswordSettings(users=SecretRef(file=str(file))), ROLES, FailureLimit(clock))


async def refusal(access: BasicAccess, asked: HTTPConnection) -> HTTPException:
    with pytest.raises(HTTPException) as refused:
        await access.identify(asked)
    return refused.value


async def test_right_password_is_the_user_with_the_granted_roles(access: BasicAccess) -> None:
    assert await access.identify(connection("alice")) == Identity("alice", "basic", {"shop-uk": Role.OPERATOR})


@pytest.mark.parametrize(("name", "password"), [("alice", "wrong"), ("bob", PASSWORD), ("", ""), ("alice", "")])
async def test_wrong_name_or_password_is_asked_again(access: BasicAccess, name: str, password: str) -> None:
    error = await refusal(access, connection(name, password))
    assert error.status_code == 401
    assert error.headers is not None
    assert error.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("header", [b"", b"Basic", b"Basic !", b"Basic \xff", b"Bearer YTpi", b"Basic YQ=="])
async def test_header_without_credentials_costs_no_check(access: BasicAccess, header: bytes) -> None:
    asked = HTTPConnection({"type": "http", "headers": [(b"authorization", header)], "client": ("192.0.2.1", 1)})
    for _ in range(30):
        assert (await refusal(access, asked)).status_code == 401


async def test_password_is_checked_once_and_pages_are_free(
    access: BasicAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = count_checks(monkeypatch)
    await asyncio.gather(*(access.identify(connection("alice")) for _ in range(15)))
    await access.identify(connection("alice"))
    assert len(checks) == 1


async def test_unknown_name_costs_the_same_as_a_known_one(access: BasicAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = count_checks(monkeypatch)
    await refusal(access, connection("bob"))
    await refusal(access, connection("alice", "wrong"))
    assert len(checks) == 2


def count_checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    checks: list[str] = []
    fits = PasswordHash.fits

    def counted(self: PasswordHash, password: str) -> bool:
        checks.append(password)
        return fits(self, password)

    monkeypatch.setattr(PasswordHash, "fits", counted)
    return checks


async def test_address_that_fails_too_often_waits_and_others_do_not(access: BasicAccess, clock: Clock) -> None:
    await access.identify(connection("alice", address="192.0.2.9"))
    for _ in range(10):
        assert (await refusal(access, connection("alice", "wrong"))).status_code == 401
    error = await refusal(access, connection("carol"))
    assert error.status_code == 429
    assert error.headers == {"retry-after": "10"}
    assert await access.identify(connection("alice", address="192.0.2.9")), "who is signed in stays it"
    clock.seconds += 10
    assert await access.identify(connection("carol")), "a right password takes nothing away"
    for status in (401, 429):
        assert (await refusal(access, connection("alice", "wrong"))).status_code == status


def test_addresses_of_one_ipv6_network_fail_together(clock: Clock) -> None:
    limit = FailureLimit(clock)
    for number in range(10):
        limit.failed(f"2001:db8:0:1::{number}")
    assert limit.wait_seconds("2001:db8:0:1:ffff::1") > 0
    assert limit.wait_seconds("2001:db8:0:2::1") == 0


def test_failures_of_few_addresses_are_remembered(clock: Clock) -> None:
    limit = FailureLimit(clock)
    for number in range(10_050):
        limit.failed(f"10.0.{number // 256}.{number % 256}")
    assert len(limit._limits._buckets) == 10_000


def test_verified_password_is_forgotten_in_time(clock: Clock) -> None:
    verified = VerifiedPasswords(clock)
    verified.add("alice", PASSWORD, "hash")
    assert verified.has("alice", PASSWORD, "hash")
    assert not verified.has("alice", PASSWORD, "another hash")
    clock.seconds += 301
    assert not verified.has("alice", PASSWORD, "hash")
    for number in range(300):
        verified.add(f"user-{number}", PASSWORD, "hash")
    assert len(verified._until) == 200


async def test_changed_file_counts_at_once(access: BasicAccess, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await access.identify(connection("alice"))
    monkeypatch.setattr("paynotify.schemas.configuration.secrets._RECHECK_SECONDS", 0.0)
    file.write_text(f"alice:{cheap('another password')}\n")
    assert (await refusal(access, connection("alice"))).status_code == 401
    assert await access.identify(connection("alice", "another password"))


async def test_changed_file_that_is_wrong_changes_nothing(
    access: BasicAccess, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("paynotify.schemas.configuration.secrets._RECHECK_SECONDS", 0.0)
    file.write_text("alice:another password\n")
    with caplog.at_level(logging.WARNING, "paynotify.console"):
        assert await access.identify(connection("alice"))
    (line,) = [one for one in caplog.records if one.getMessage() == "changed_users_rejected"]
    assert "another password" not in str(line.__dict__)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alice:secret words", "line 1: what follows the name is no hash"),
        ("# none", "must be 1 to 1000 users, got 0"),
        (f"alice:{cheap()}\nalice:{cheap()}", "line 2: another line has the same name"),
        (f"a b:{cheap()}", "line 1: the name is not"),
        (cheap(), "line 1"),
        ("alice:scrypt$30$8$1$" + cheap().split("$", 4)[4], "costs too little or too much"),
        ("alice:scrypt$99$8$1$" + cheap().split("$", 4)[4], "costs too little or too much"),
        ("alice:scrypt$4$8$1$" + cheap().split("$", 4)[4], "costs too little or too much"),
        ("alice:scrypt$14$8$999$" + cheap().split("$", 4)[4], "costs too little or too much"),
        (f"alice:{cheap()[:-4]}", "is a hash that was cut off"),
    ],
    # each process that runs tests makes other hashes
    ids=("words", "comment", "twice", "name", "no name", "cost 30", "cost 99", "cost 4", "parallel", "cut off"),
)
def test_line_that_is_no_user_is_refused_without_its_text(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        parse_users(text)
    assert "secret" not in str(refused.value)


def command(monkeypatch: pytest.MonkeyPatch, typed: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    return main.main(["console", "--hash-password"])


def test_command_prints_a_hash_that_fits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(monkeypatch, PASSWORD + "\n") == 0
    printed = capsys.readouterr().out.strip()
    found = parse_hash(printed)
    assert found.fits(PASSWORD)
    assert 128 * found.r * (1 << found.log2_n) * found.p >= 80 * 1024 * 1024, "what guards a stolen file"
    assert parse_users(f"alice:{printed}")["alice"] == found


@pytest.mark.parametrize("typed", ["", "too short", "x" * 300, "two lines of\npasswords"])
def test_command_takes_no_weak_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    assert command(monkeypatch, typed) == 2
    assert "12 to 200" in capsys.readouterr().err


def test_user_without_a_grant_has_no_role() -> None:
    nobody: Any = ROLES.identity("bob", "basic")
    assert nobody.roles == {}
    assert not nobody.may(Role.VIEWER)


def test_greatest_role_of_all_grants_counts() -> None:
    grants = [
        RoleGrant(groups=("staff",), role="viewer"),
        RoleGrant(users=("eve",), groups=("uk",), role="operator", merchants=("shop-uk", "shop-hu")),
        RoleGrant(groups=("money",), role="cashier", merchants=("shop-hu",)),
        RoleGrant(users=("eve",), role="viewer", merchants=("shop-uk",)),
    ]
    eve = GrantedRoles(grants).identity("eve", "oidc", ["staff", "money", "unknown"])
    assert eve is not None
    assert eve.roles == {EVERY_MERCHANT: Role.VIEWER, "shop-uk": Role.OPERATOR, "shop-hu": Role.CASHIER}
    assert eve.merchants(Role.VIEWER) is None
    assert eve.merchants(Role.OPERATOR) == frozenset({"shop-uk", "shop-hu"})
    assert eve.may(Role.CASHIER, "shop-hu")
    assert not eve.may(Role.CASHIER, "shop-uk")
