"""A missing webhook is found by comparing with the provider, and repaired by the queued lookups."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.datastructures import FormData

from paynotify.ops.common.operator import Operator
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.actions.action_run import ActionRun
from paynotify.ops.console.actions.console_action import ActionContext
from paynotify.ops.console.actions.forms import FormValues
from paynotify.ops.console.actions.lookups import ReconcileAction
from paynotify.ops.console.actions.planned import Performer
from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from paynotify.schemas.configuration.load import load
from tests import topics_reader
from tests.acceptance.contract import assert_records_fit

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 40.0
ROOT: Final = Path(__file__).parents[2]
NOW: Final = ("--from", "1h", "--slack", "0s")


@pytest.fixture(scope="module")
def sandbox(kafka: str) -> Iterator[Sandbox]:
    immediately = {"trustpayments": {"visible_within_seconds": 0.0}}
    with Sandbox(Plan(kafka=kafka, consumers=False, simulator=immediately)) as running:
        yield running


def _run(sandbox: Sandbox, *words: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "paynotify.ops.main", *words, "--config", str(sandbox.config_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def _reconcile(sandbox: Sandbox, merchant: str, *words: str) -> tuple[int, Any]:
    code, said, problems = _run(sandbox, "reconcile", "--merchant", merchant, *NOW, *words, "--json")
    assert said, problems
    return code, json.loads(said)


def _events(sandbox: Sandbox, key: str) -> list[dict[str, Any]]:
    return topics_reader.payments(topics_reader.whole(sandbox.bootstrap, sandbox.topic(topics.STATUS))).get(key, [])


def _lookups(sandbox: Sandbox, provider: str) -> int:
    name = sandbox.topic(topics.lookups(provider))
    return topics_reader.counts(sandbox.bootstrap, name)[name]


def _until(condition: Any) -> Any:
    found = wait_for(condition, within_seconds=DEADLINE_SECONDS, every=0.2)
    assert found
    return found


def test_unreported_payment_is_found_listed_and_repaired_once(sandbox: Sandbox) -> None:
    pay = sandbox.providers["trustpayments"].pay
    known = pay(order_id="ORD-known", amount=700, settlestatus="100")
    _until(lambda: _events(sandbox, f"shop-uk/{known}"))
    silent = pay(order_id="ORD-silent", amount=500, settlestatus="100", notify=False)
    refunded = pay(order_id="ORD-back", amount=300, settlestatus="100")
    _until(lambda: _events(sandbox, f"shop-uk/{refunded}"))
    sandbox.providers["trustpayments"].change(refunded, refund=300, refund_settlestatus="100", notify=False)

    code, report = _reconcile(sandbox, "shop-uk")
    assert code == 1
    told = {(one["kind"], one["order_id"], one["payment_id"]) for one in report["differences"]}
    assert told == {("missing_here", "ORD-silent", silent), ("other_status", "ORD-back", refunded)}
    assert report["compared"] == 3

    asked = _lookups(sandbox, "trustpayments")
    code, report = _reconcile(sandbox, "shop-uk", "--repair")
    assert (code, report["repair"]["dry_run"], report["repair"]["lookups"]) == (1, True, 2)
    assert _lookups(sandbox, "trustpayments") == asked, "a dry run queues nothing"

    _, report = _reconcile(sandbox, "shop-uk", "--repair", "--yes", "--by", "jo", "--reason", "CASE-7")
    assert report["repair"]["sent"] == 2
    _assert_kept(sandbox, silent)
    _until(lambda: _events(sandbox, f"shop-uk/{silent}"))
    _until(lambda: _events(sandbox, f"shop-uk/{refunded}")[-1]["status"] == "refunded")
    assert _reconcile(sandbox, "shop-uk")[0] == 0

    _until(lambda: _run(sandbox, "audit", "--since", "1h")[0] == 0)
    code, _, problems = _run(sandbox, "audit", "--since", "1h")
    assert code == 0, problems


def _assert_kept(sandbox: Sandbox, missing: str) -> None:
    """The three runs of before are on the topic, as the contract says; the last one with its lookups."""
    records = topics_reader.whole(sandbox.bootstrap, sandbox.topic(topics.RECONCILIATIONS))
    assert_records_fit({topics.RECONCILIATIONS: records})
    kept = [json.loads(one.value) for one in records]
    assert [one.get("repair", "none") for one in kept] == ["none", "listed", "queued"]
    last = kept[-1]
    assert (last["kinds"], last["lookups"], last["queued"]) == ({"missing_here": 1, "other_status": 1}, 2, 2)
    assert (last["by"], last["identity"], last["reason"]) == ("jo", "named", "CASE-7")
    assert [one["payment_id"] for one in last["differences"] if one["kind"] == "missing_here"] == [missing]
    actions = topics_reader.whole(sandbox.bootstrap, sandbox.topic(topics.OPERATORS))
    assert {json.loads(one.value)["action_id"] for one in actions} == {last["action_id"]}


def test_repair_from_the_console_keeps_its_report_too(sandbox: Sandbox) -> None:
    pay = sandbox.providers["trustpayments"].pay
    payment = pay(order_id="ORD-again", amount=300, settlestatus="100")
    _until(lambda: _events(sandbox, f"shop-uk/{payment}"))
    sandbox.providers["trustpayments"].change(payment, refund=300, refund_settlestatus="100", notify=False)
    configuration = load(sandbox.config_path)
    action = ReconcileAction(ActionContext(configuration, lambda: TopicReader(configuration)))
    anna = Identity("anna", "oidc", {"shop-uk": Role.OPERATOR})
    planned = action.plan(FormValues(FormData([("merchant", "shop-uk"), ("from", "1h")])), anna)
    assert planned.records == 1
    operator = Operator(by="anna", identity="authenticated", os_user="root", reason="CASE-8")
    planned.perform(Performer(operator), ActionRun(planned.records))
    _until(lambda: _events(sandbox, f"shop-uk/{payment}")[-1]["status"] == "refunded")
    records = topics_reader.whole(sandbox.bootstrap, sandbox.topic(topics.RECONCILIATIONS))
    (kept,) = [one for one in map(json.loads, (one.value for one in records)) if one["by"] == "anna"]
    assert (kept["identity"], kept["repair"], kept["queued"], kept["kinds"]) == (
        *("authenticated", "queued", 1, {"other_status": 1}),
    )


def test_lookup_is_queued_once_a_day(sandbox: Sandbox, tmp_path: Path) -> None:
    export = tmp_path / "export.csv"
    export.write_text("payment_id,status\n57-9-1,captured\n", "utf-8")  # a typing error: nobody has such a payment
    choice = ("--export", str(export), "--repair", "--yes")
    # ours that the export lacks are nothing to ask about
    assert _reconcile(sandbox, "shop-uk", *choice)[1]["repair"]["sent"] == 1
    asked = _lookups(sandbox, "trustpayments")
    code, said, problems = _run(sandbox, "history", "--command", "reconcile", "--json")
    assert code == 0, problems
    action = json.loads(said)["actions"][-1]
    assert (action["ended"]["state"], action["ended"]["published"], action["ended"]["merchant"]) == (
        "done",
        1,
        "shop-uk",
    )
    _, report = _reconcile(sandbox, "shop-uk", *choice)
    assert (report["repair"]["sent"], report["repair"]["left_out"]["already queued today"]) == (0, 1)
    assert _lookups(sandbox, "trustpayments") == asked


def test_export_is_compared_where_the_provider_has_no_list(sandbox: Sandbox, tmp_path: Path) -> None:
    code, said, problems = _run(sandbox, "reconcile", "--merchant", "shop-hu", *NOW)
    assert code == 2
    assert "has no list of payments" in problems
    assert "--export" in problems

    payment = sandbox.providers["nevogate"].pay(order_id="ORD-hu", amount=1250, currency="EUR")
    _until(lambda: _events(sandbox, f"shop-hu/{payment}"))
    export = tmp_path / "export.csv"
    export.write_text(f"order_id;payment_id;amount;currency\nORD-hu;{payment};12.49;EUR\nORD-none;;1;EUR\n", "utf-8")
    code, said, _ = _run(sandbox, "reconcile", "--merchant", "shop-hu", *NOW, "--export", str(export))
    assert code == 1
    assert "other_amount" in said
    assert "12.50 EUR" in said
    assert "12.49 EUR (line 2)" in said
    assert "missing_here" in said
    code, said, notes = _run(
        sandbox,
        "reconcile",
        "--merchant",
        "shop-hu",
        *NOW,
        "--export",
        str(export),
        "--format",
        "csv",
        "--repair",
        "--limit",
        "1",
    )
    assert said.splitlines()[0].startswith("kind,order_id,payment_id,here_status")
    assert len(said.splitlines()) == 2
    assert "and 1 more" in notes
    assert "the provider's rules allow no lookup" in notes

    asked = _lookups(sandbox, "nevogate")
    export.write_text(f"payment_id,status\n{payment},paid\n", "utf-8")
    code, said, problems = _run(
        sandbox, "reconcile", "--merchant", "shop-hu", *NOW, "--export", str(export), "--repair", "--yes"
    )
    assert (code, said) == (2, "")
    assert "line 2: status must be one of" in problems
    assert _lookups(sandbox, "nevogate") == asked
