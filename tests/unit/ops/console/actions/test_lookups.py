"""Lookups by the console: what the providers' rules allow, each once a day, and those of the dry run or none."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from starlette.datastructures import ImmutableMultiDict

from paynotify.ops.common import action_log
from paynotify.ops.common.operator import Operator
from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role
from paynotify.ops.console.actions.action_run import ActionRun
from paynotify.ops.console.actions.console_action import ActionContext
from paynotify.ops.console.actions.forms import FormValues
from paynotify.ops.console.actions.lookups import LookUpAgainAction
from paynotify.ops.console.actions.planned import ActionRefusedError, Performer, PlannedAction
from paynotify.ops.reconcile import repair
from paynotify.schemas import topics
from paynotify.schemas.messages import Lookup, OperatorAction, decode
from paynotify.schemas.records import Output, Record
from tests.fakes import configurations
from tests.fakes.brokers import RecordingBrokers
from tests.fakes.console_topics import record
from tests.fakes.memory_topics import MemoryTopics

TOPIC: Final = topics.lookups("trustpayments")
ANNA: Final = Identity("anna", "basic", {EVERY_MERCHANT: Role.OPERATOR})
PERFORMER: Final = Performer(Operator(by="anna", identity="authenticated", os_user="root", reason="case 4711"))


class LookingUp:
    """An installation whose lookups a test changes between the dry run and its execution."""

    def __init__(self, folder: Path) -> None:
        self.topics: dict[str, list[Record]] = {TOPIC: []}
        self.sent: list[Output] = []
        self.log: list[Output] = []
        configuration = configurations.parsed("127.0.0.1:9", "", folder)
        self._action = LookUpAgainAction(ActionContext(configuration, lambda: MemoryTopics(self.topics)))

    def plan(self, **fields: str) -> PlannedAction:
        return self._action.plan(FormValues(ImmutableMultiDict({"merchant": "shop-uk", **fields})), ANNA)

    def perform(self, planned: PlannedAction) -> None:
        planned.perform(PERFORMER, ActionRun(planned.records))


@pytest.fixture
def looking_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LookingUp:
    sent, logged = RecordingBrokers(), RecordingBrokers()
    monkeypatch.setattr(repair, "RecordSender", sent)
    monkeypatch.setattr(action_log, "RecordSender", logged)
    one = LookingUp(tmp_path)
    one.sent, one.log = sent.sent, logged.sent
    return one


def queued(output: Output) -> Record:
    headers = {name: value.decode() for name, value in output.headers}
    assert output.key is not None
    assert output.value is not None
    return record(TOPIC, 0, 0, output.key.decode(), output.value, **headers)


@pytest.mark.parametrize(
    ("fields", "reference", "order"),
    [({"payment": "57-9-1"}, "57-9-1", None), ({"order": "ORD-1"}, None, "ORD-1")],
)
def test_payment_or_order_is_looked_up_by_the_rules_of_recovery(
    looking_up: LookingUp, fields: dict[str, str], reference: str | None, order: str | None
) -> None:
    planned = looking_up.plan(**fields)
    assert (planned.records, planned.sentence) == (1, "Lookups that would be queued: 1.")
    assert (looking_up.sent, looking_up.log) == ([], [])
    looking_up.perform(planned)
    (sent,) = looking_up.sent
    lookup = decode(sent.value, Lookup)
    assert (lookup.merchant, lookup.reference, lookup.arguments.get("orderreference")) == ("shop-uk", reference, order)
    intended, done = (decode(one.value, OperatorAction) for one in looking_up.log)
    assert (intended.command, intended.by, intended.merchant) == ("reconcile", "anna", "shop-uk")
    assert (intended.payment_id, done.state, done.published) == (fields.get("payment"), "done", 1)


def test_lookup_is_queued_once_a_day(looking_up: LookingUp) -> None:
    first, second = looking_up.plan(payment="57-9-1"), looking_up.plan(payment="57-9-1")
    looking_up.perform(first)
    looking_up.topics[TOPIC].append(queued(looking_up.sent[0]))
    with pytest.raises(ActionRefusedError, match="already queued today"):
        looking_up.perform(second)
    assert len(looking_up.sent) == 1
    third = looking_up.plan(payment="57-9-1")
    assert (third.records, third.sentence) == (0, "Lookups that would be queued: 0; 1 left out: already queued today.")
