"""What an operator does is recorded before its first effect, and how it ended after its last one."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from paynotify.ops.common import action_log
from paynotify.ops.common.action_log import ActionLog, intention, recorded_arguments
from paynotify.ops.common.operator import Operator, operator_of
from paynotify.ops.main import main
from paynotify.ops.requests import publishing, submit
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError
from paynotify.schemas.messages import OperatorAction, decode
from paynotify.schemas.records import Output
from tests.fakes import configurations
from tests.fakes.brokers import RecordingBrokers

KAFKA = KafkaSettings(topic_prefix="p.")
ANNA = Operator(by="anna", identity="named", os_user="root", reason="case 4711")


def logged() -> ActionLog:
    return ActionLog(KAFKA, intention("replay", ANNA, KAFKA, {"kind": "dead"}, merchant="shop-uk", planned=3))


def actions(brokers: RecordingBrokers) -> list[OperatorAction]:
    assert {one.topic for one in brokers.sent} <= {"p.operators.actions"}
    return [decode(one.value, OperatorAction) for one in brokers.sent]


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> RecordingBrokers:
    recording = RecordingBrokers()
    monkeypatch.setattr(action_log, "RecordSender", recording)
    return recording


def test_intention_says_who_what_and_why_before_anything_is_done(brokers: RecordingBrokers) -> None:
    with logged() as log:
        (intended,) = actions(brokers)
        assert (intended.state, intended.by, intended.os_user, intended.reason) == (
            "intended",
            "anna",
            "root",
            "case 4711",
        )
        assert (intended.arguments, intended.merchant, intended.planned) == ({"kind": "dead"}, "shop-uk", 3)
        log.count()
        log.result = {"left_out": "2"}
    _, ended = actions(brokers)
    assert (ended.state, ended.published, ended.result, ended.problem) == ("done", 1, {"left_out": "2"}, None)
    assert (ended.action_id, ended.event_id != intended.event_id) == (intended.action_id, True)
    first, second = brokers.sent
    assert first.key == second.key, "both are in one partition, in order"
    assert dict(second.headers)["ce_id"] == ended.event_id.encode()


@pytest.mark.parametrize(
    ("error", "state"), [(ClusterUnavailableError("away: secret-4711"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_error_that_ends_an_action_is_recorded_by_its_kind_alone(
    brokers: RecordingBrokers, error: BaseException, state: str
) -> None:
    def act() -> None:
        with logged() as log:
            log.count()
            raise error

    with pytest.raises(type(error)):
        act()
    *_, ended = actions(brokers)
    assert (ended.state, ended.published, ended.problem) == (state, 1, type(error).__name__)
    assert b"secret" not in (brokers.sent[-1].value or b"")


class _Away(RecordingBrokers):
    """Brokers that acknowledge so many records."""

    def __init__(self, acknowledged: int) -> None:
        super().__init__()
        self._left = acknowledged

    def send(self, output: Output) -> None:
        self._left -= 1
        if self._left < 0:
            raise ClusterUnavailableError("not acknowledged")
        super().send(output)


def test_without_an_acknowledged_intention_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action_log, "RecordSender", _Away(0))
    with pytest.raises(ClusterUnavailableError), logged():
        pytest.fail("the effect came before its record")


def test_end_that_cannot_be_recorded_is_a_warning_as_the_effects_are_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(action_log, "RecordSender", _Away(1))
    with logged() as log:
        log.count()
    assert "how this replay ended could not be recorded" in capsys.readouterr().err


def test_command_publishes_nothing_if_its_intention_is_not_acknowledged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    effects = RecordingBrokers()
    monkeypatch.setattr(submit, "Tail", effects)
    monkeypatch.setattr(publishing, "RecordSender", effects)
    monkeypatch.setattr(action_log, "RecordSender", _Away(0))
    merchants = configurations.merchants()
    limits = {"EUR": {"per_charge": 5, "per_reference": 5, "per_day": 5}}
    merchants[2]["charges"] = {"public_url": "http://127.0.0.1:1", "limits": limits}
    content = configurations.document("127.0.0.1:9", "", tmp_path, merchants=merchants)
    words = ["release", f"shop-hu/{'a' * 32}", "--yes", "--config", str(configurations.write(tmp_path, content))]
    assert main(words) == 3
    assert effects.sent == []


def test_arguments_that_are_not_named_are_not_recorded_and_long_ones_are_cut() -> None:
    given = argparse.Namespace(
        key=[f"shop-uk/{number}" for number in range(100)],
        since="x" * 1000,
        again=True,
        yes=True,
        user="customer-4711",
        until=None,
        merchant=[],
    )
    recorded = recorded_arguments(given, ("key", "since", "again", "until", "merchant"))
    assert set(recorded) == {"key", "since", "again"}
    assert max(map(len, recorded.values())) <= 200
    assert recorded["again"] == "yes"


def test_container_without_a_name_acts_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paynotify.ops.common.operator.system_user", lambda: "")
    monkeypatch.setattr("os.getuid", lambda: 10001)
    assert operator_of(None, None) == Operator(by="uid-10001", identity="os_user", os_user="uid-10001")
    assert operator_of("anna", "case 4711").by == "anna"


@pytest.mark.parametrize(
    ("by", "why"), [("anna b", None), ("a@b", None), (None, "card 4111 1111 1111 1111"), (None, "")]
)
def test_names_and_reasons_with_personal_data_are_refused(by: str | None, why: str | None) -> None:
    with pytest.raises(ConfigurationError):
        operator_of(by, why)
