"""Every process with tokens of an issuer, on brokers whose sessions end after seconds, and which move."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from paynotify.sandbox.broker import LocalBroker
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from tests.acceptance.ledger import Observer, assert_right
from tests.acceptance.shopping import Shopping, buy
from tests.acceptance.tokens import broker_with_tokens, by_endpoint
from tests.fakes.issuer_server import SECRET
from tests.fakes.token_issuer import TokenIssuer
from tests.fault.proxy import Proxy
from tests.long_form import LONG

pytestmark = pytest.mark.kafka

#: Seconds of a session at the brokers, of a token, and of the load: several sessions, and tokens that are renewed.
SESSION_SECONDS, TOKEN_SECONDS, LOAD_SECONDS = (30.0, 45.0, 120.0) if LONG else (5.0, 10.0, 9.0)
#: The least number of tokens for two processes, each with its own, after `topics apply` had one.
RENEWED: Final = 5


class System:
    """The processes of a shop, the broker that they reach by a name and a token, and the issuer."""

    def __init__(self, sandbox: Sandbox, broker: LocalBroker, issuer: TokenIssuer) -> None:
        assert sandbox.ingest is not None
        self.sandbox = sandbox
        self.broker = broker
        self.issuer = issuer
        self.children = [sandbox.ingest, *sandbox.workers]
        self._seen: dict[str, int] = {}

    def mark(self) -> None:
        """Count log lines from now on."""
        self._seen = {child.name: len(child.log_lines()) for child in self.children}

    def complaints(self) -> list[dict[str, Any]]:
        """Lines of warnings and errors, and of partitions that moved; a busy machine makes timers late."""
        lines = [
            line
            for child in self.children
            for line in child.log_lines()[self._seen[child.name] :]
            if line["logger"] != "mode.timers"
        ]
        return [one for one in lines if one["level"] not in ("info", "debug") or one["event"] == "partitions_assigned"]

    def said(self) -> str:
        return "".join(child.log_path.read_text("utf-8", "replace") for child in self.children)


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with (
        Proxy() as proxy,
        TokenIssuer(TOKEN_SECONDS) as issuer,
        broker_with_tokens(issuer, round(SESSION_SECONDS * 1000)) as broker,
    ):
        name = proxy.named(lambda: [broker.address("TOKEN")])
        plan = Plan(
            kafka=broker.bootstrap,
            configuration={"kafka": {**by_endpoint(broker, issuer), "bootstrap_servers": name}},
            merchants={"nevogate": ("shop-hu",)},
            partitions=2,
            consumers=False,
        )
        with Sandbox(plan) as sandbox:
            yield System(sandbox, broker, issuer)


def test_sessions_and_tokens_that_end_under_load_are_renewed_unseen(system: System) -> None:
    """No rebalance, no line of an error, and no second call to the provider."""
    sandbox = system.sandbox
    with closing(Observer(sandbox)) as observer:
        system.mark()
        with Shopping(sandbox):
            time.sleep(LOAD_SECONDS)
        assert_right(sandbox, observer)
        assert system.complaints() == []
        assert system.issuer.issued >= RENEWED
        calls = sandbox.providers["nevogate"].book()["calls"].values()
        asked = sum(one["results"] for one in calls)
        assert asked == len(observer.records[topics.lookups("nevogate")]) > 0
    assert SECRET not in system.said()


def test_token_of_a_file_lets_the_tools_in(system: System) -> None:
    content = yaml.safe_load(system.sandbox.config_path.read_text("utf-8"))
    file = system.sandbox.directory / "token"
    content["kafka"]["sasl_oauth"] = {"token_file": str(file)}
    copy = write(system.sandbox.directory / "with-file.yaml", content)
    file.write_text(system.issuer.token(), "utf-8")
    assert "0 differences left" in system.sandbox.command("topics", "check", "--config", str(copy))


def write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path


def test_brokers_at_a_new_address_are_found_without_a_restart(system: System) -> None:
    system.broker.move("TOKEN")
    system.broker.restart()
    with closing(Observer(system.sandbox)) as observer:
        buy(system.sandbox, "nevogate")
        assert_right(system.sandbox, observer)
    assert all(child.running for child in system.children)
    assert "producer_recreated" not in system.said()
