"""Secrets change while payments flow: with old and new listed side by side nothing genuine is lost or rejected."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest
import yaml

from paynotify.sandbox.simulators.trustpayments.signature import security_hash
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from tests.acceptance.knocking import soon
from tests.acceptance.ledger import Observer, assert_right, header, settle
from tests.acceptance.shopping import Shopping, buy

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 60.0
#: A changed file is looked for once a second; a batch at work and a slow machine take the rest.
NOTICED_WITHIN_SECONDS: Final = 5.0
ENOUGH: Final = 120

SHOPS: Final = {"omnikassa": "shop-nl", "trustpayments": "shop-uk", "nevogate": "shop-hu"}


class Rotating(Sandbox):
    """A sandbox whose merchants list a second secret beside the first, before the provider uses it."""

    new: dict[str, str]

    def secret_file(self, provider: str, name: str) -> Path:
        return self.directory / "secrets" / SHOPS[provider] / name

    def _write_configuration(self) -> None:
        super()._write_configuration()
        self.new = {
            "omnikassa": base64.b64encode(secrets.token_bytes(32)).decode(),
            "trustpayments": secrets.token_urlsafe(18),
        }
        document: dict[str, Any] = yaml.safe_load(self.config_path.read_text("utf-8"))
        for merchant in document["merchants"]:
            provider = merchant["provider"]
            listed = merchant.get("signing_keys") or merchant.get("notification_passwords")
            if listed is not None:
                file = self.secret_file(provider, "new")
                file.write_text(self.new[provider] + "\n", "utf-8")
                listed.append({"file": str(file)})
        self.config_path.write_text(yaml.safe_dump(document), "utf-8")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Rotating]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("KAFKA", raising=False)
        one = Rotating(Plan(partitions=2, simulator={"omnikassa": {"time_scale": 120.0}}))
        with one:
            yield one


def made_with(observer: Observer, password: str) -> int:
    """How many stored Trust Payments notifications have the hash of this password."""
    observer.read()
    forms = [
        dict(parse_qsl(record.value.decode(), keep_blank_values=True))
        for record in observer.records[topics.notifications("trustpayments")]
    ]
    return sum(form["responsesitesecurity"] == security_hash(form, password) for form in forms)


def test_provider_changes_its_secrets_while_payments_flow(sandbox: Rotating, observer: Observer) -> None:
    old = {
        "omnikassa": sandbox.secret_file("omnikassa", "signing-key").read_text("utf-8"),
        "trustpayments": sandbox.secret_file("trustpayments", "notification").read_text("utf-8"),
    }
    bank, gateway = sandbox.providers["omnikassa"], sandbox.providers["trustpayments"]
    with Shopping(sandbox) as shopping:
        soon(lambda: shopping.count() > ENOUGH, DEADLINE_SECONDS, "no payments")
        # the bank signs with both while both are active; the gateway has only one at a time
        bank.change_shop("shop-nl", signing_keys=[sandbox.new["omnikassa"], old["omnikassa"]])
        gateway.change_shop("shop-uk", notification_password=sandbox.new["trustpayments"])
        switched = shopping.count()
        soon(lambda: shopping.count() > switched + ENOUGH, DEADLINE_SECONDS, "no payments after the switch")
        bank.change_shop("shop-nl", signing_keys=[sandbox.new["omnikassa"]])
        withdrawn = shopping.count()
        soon(lambda: shopping.count() > withdrawn + ENOUGH, DEADLINE_SECONDS, "no payments with the new keys alone")
    assert_right(sandbox, observer)
    assert [header(record, "reason") for record in observer.records[topics.REJECTED]] == []
    assert [header(record, "reason") for record in observer.records[topics.DEAD]] == []
    assert made_with(observer, old["trustpayments"]) > 0
    assert made_with(observer, sandbox.new["trustpayments"]) > 0
    # what is withdrawn may go: the file, though still listed
    for provider, name in (("omnikassa", "signing-key"), ("trustpayments", "notification")):
        sandbox.secret_file(provider, name).unlink()
        buy(sandbox, provider, 3)
    assert_right(sandbox, observer)
    assert observer.records[topics.REJECTED] == []


def test_new_content_of_a_secret_file_is_noticed_without_a_restart(sandbox: Rotating, observer: Observer) -> None:
    """A credential of which there is one at a time; the calls between both changes can be sent back afterwards."""
    pids = [child.pid for child in sandbox.children()]
    gateway, nevogate = sandbox.providers["trustpayments"], sandbox.providers["nevogate"]
    password, key = secrets.token_urlsafe(18), secrets.token_hex(16)
    settle(sandbox, observer)
    began = time.monotonic()
    gateway.change_shop("shop-uk", password=password)
    nevogate.change_shop("shop-hu", api_key=key)
    replace(sandbox.secret_file("trustpayments", "password"), password)
    sandbox.secret_file("nevogate", "api-key").write_text(key, "utf-8")  # in place, as an editor may do it
    for provider in ("trustpayments", "nevogate"):
        soon(partial(answered, sandbox, observer, provider), DEADLINE_SECONDS, f"{provider} refuses us")
    assert time.monotonic() - began < NOTICED_WITHIN_SECONDS
    observer.read()
    assert {header(record, "reason") for record in observer.records[topics.DEAD]} <= {"credentials"}
    sandbox.command("replay", "dead", "--reason", "credentials", "--yes", "--config", str(sandbox.config_path))
    assert_right(sandbox, observer)
    assert observer.records[topics.REJECTED] == []
    assert [child.pid for child in sandbox.children() if child.running] == pids


def answered(sandbox: Rotating, observer: Observer, provider: str) -> bool:
    """Whether a payment made now is published soon; else the credentials are refused still."""
    wanted = {f"{SHOPS[provider]}/{payment}" for payment in buy(sandbox, provider)}
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        observer.read()
        if wanted <= observer.events().keys():
            return True
        time.sleep(0.05)
    return False


def replace(file: Path, text: str) -> None:
    """As Kubernetes and careful scripts do it: another file takes the place of the first."""
    other = file.with_suffix(".next")
    other.write_text(text, "utf-8")
    other.replace(file)
