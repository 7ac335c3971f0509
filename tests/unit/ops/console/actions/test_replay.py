"""A replay by the console: the records of its dry run, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from starlette.datastructures import ImmutableMultiDict

from paynotify.ops.common import action_log
from paynotify.ops.common.operator import Operator
from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role
from paynotify.ops.console.actions import replay
from paynotify.ops.console.actions.action_run import ActionRun, ActionStoppedError
from paynotify.ops.console.actions.console_action import ActionContext
from paynotify.ops.console.actions.forms import FormValues
from paynotify.ops.console.actions.planned import ActionRefusedError, Performer, PlannedAction
from paynotify.ops.replay import sending
from paynotify.schemas import topics
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.messages import OperatorAction, decode
from paynotify.schemas.records import Output, Record
from tests.fakes import configurations
from tests.fakes.brokers import RecordingBrokers
from tests.fakes.console_topics import record
from tests.fakes.memory_topics import MemoryTopics

TARGET: Final = topics.notifications("trustpayments")
ANNA: Final = Identity("anna", "basic", {EVERY_MERCHANT: Role.OPERATOR})
NILS: Final = Identity("nils", "basic", {"shop-nl": Role.OPERATOR})
PERFORMER: Final = Performer(Operator(by="anna", identity="authenticated", os_user="root", reason="case 4711"))


def rejected(offset: int, name: str = "", merchant: str = "shop-uk", target: str = TARGET) -> Record:
    headers = {"ce_id": name or f"n-{offset}", "reason": "bad_signature", "original-topic": target}
    return record(topics.REJECTED, 0, offset, f"{merchant}/57-9-{offset}", b"body", **headers)


def again(one: Record, offset: int) -> Record:
    """A record as it is on its target after a replay."""
    place = f"{one.topic}/{one.partition}/{one.offset}"
    return record(TARGET, 0, offset, "shop-uk/any", b"body", **{"replayed-from": place})


class Replaying:
    """An installation whose topics a test changes between the dry run and its execution."""

    def __init__(self, folder: Path) -> None:
        self.topics: dict[str, list[Record]] = {topics.REJECTED: [rejected(0), rejected(1), rejected(2)], TARGET: []}
        self.sent: list[Output] = []
        self.log: list[Output] = []
        configuration = configurations.parsed("127.0.0.1:9", "", folder)
        self._action = replay.ReplayAction(ActionContext(configuration, lambda: MemoryTopics(self.topics)))

    def plan(self, identity: Identity = ANNA, **fields: str) -> PlannedAction:
        given: dict[str, Any] = {"per_second": "1000", **fields}
        return self._action.plan(FormValues(ImmutableMultiDict(given)), identity)

    def perform(self, planned: PlannedAction, run: ActionRun | None = None) -> None:
        planned.perform(PERFORMER, run or ActionRun(planned.records))

    def offsets(self) -> list[int]:
        """Of the records that were sent."""
        return [int(dict(one.headers)["replayed-from"].rpartition(b"/")[2]) for one in self.sent]


@pytest.fixture
def replaying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replaying:
    sent, logged = RecordingBrokers(), RecordingBrokers()
    monkeypatch.setattr(sending, "RecordSender", sent)
    monkeypatch.setattr(action_log, "RecordSender", logged)
    one = Replaying(tmp_path)
    one.sent, one.log = sent.sent, logged.sent
    return one


def test_dry_run_counts_what_is_sent_and_what_is_left_out(replaying: Replaying) -> None:
    money = rejected(3, target=topics.REQUESTED)
    replaying.topics[topics.REJECTED] += [money, rejected(4, "n-2"), rejected(5, target="somebody.elses")]
    replaying.topics[TARGET] += [again(rejected(0), 0)]
    planned = replaying.plan()
    assert planned.records == 2
    assert planned.sentence == (
        "2 of 6 records would be sent; 1 left out: an older record of the same id; 1 left out: replayed before; "
        "1 left out: requests that move money; the shop must request them again."
    )
    assert planned.warnings == ["1 records are not sent: their original topic is not one of paynotify's."]
    assert (replaying.sent, replaying.log) == ([], [])


def test_record_that_came_since_the_dry_run_is_not_sent(replaying: Replaying) -> None:
    planned = replaying.plan()
    replaying.topics[topics.REJECTED].append(rejected(3))
    replaying.perform(planned)
    assert replaying.offsets() == [0, 1, 2]
    intended, done = (decode(one.value, OperatorAction) for one in replaying.log)
    assert (intended.state, intended.planned, done.state, done.published) == ("intended", 3, "done", 3)


@pytest.mark.parametrize("change", ["replayed", "gone", "newer"])
def test_dry_run_of_which_a_record_changed_sends_nothing(replaying: Replaying, change: str) -> None:
    planned = replaying.plan()
    if change == "replayed":
        replaying.topics[TARGET].append(again(rejected(1), 0))
    elif change == "gone":
        del replaying.topics[topics.REJECTED][1]
    else:
        replaying.topics[topics.REJECTED].append(rejected(3, "n-1"))
    with pytest.raises(ActionRefusedError, match="1 of the 3 records"):
        replaying.perform(planned)
    assert (replaying.sent, replaying.log) == ([], [])


def test_stopped_replay_is_recorded_as_interrupted(replaying: Replaying) -> None:
    planned = replaying.plan()
    run = ActionRun(planned.records)
    advance = run.advance

    def stopped_by_somebody() -> None:
        run.stop()
        advance()

    run.advance = stopped_by_somebody  # type: ignore[method-assign]
    with pytest.raises(ActionStoppedError):
        replaying.perform(planned, run)
    assert replaying.offsets() == [0]
    _, ended = (decode(one.value, OperatorAction) for one in replaying.log)
    assert (ended.state, ended.published) == ("interrupted", 1)


def test_replay_that_was_stopped_before_it_began_leaves_no_record(replaying: Replaying) -> None:
    planned = replaying.plan()
    run = ActionRun(planned.records)
    run.stop()
    with pytest.raises(ActionStoppedError):
        replaying.perform(planned, run)
    assert (replaying.sent, replaying.log) == ([], [])


def test_operator_of_some_merchants_replays_their_records_alone(replaying: Replaying) -> None:
    replaying.topics[topics.REJECTED].append(rejected(3, merchant="shop-nl"))
    planned = replaying.plan(NILS)
    assert (planned.records, planned.merchants) == (1, frozenset({"shop-nl"}))
    replaying.perform(planned)
    assert replaying.offsets() == [3]
    assert replaying.plan(ANNA).merchants is None


def test_selection_of_too_many_records_is_refused(replaying: Replaying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MAX_RECORDS", 2)
    with pytest.raises(ConfigurationError, match="More than 2 records are selected"):
        replaying.plan()
