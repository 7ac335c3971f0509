"""``paynotify correct`` up to the broker: what it refuses, what it shows, and the record that it publishes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from paynotify.ops.common import action_log
from paynotify.ops.correct import command, publishing
from paynotify.ops.correct.current import CurrentPayment
from paynotify.ops.main import main
from paynotify.schemas.messages import Correction, Expectation, Observation, decode
from paynotify.schemas.money import Money
from paynotify.schemas.records import Output
from paynotify.schemas.traceparent import valid_traceparent
from tests.fakes import configurations
from tests.fakes.brokers import RecordingBrokers
from tests.fakes.observations import observation
from tests.fakes.payment_histories import run

PRICE: Final = Money(1000, "GBP")
WORDS: Final = ["correct", "shop-uk/p1", "--status", "captured", "--reason", "case 4711", "--by", "anna"]


def _known(*observed: Observation) -> CurrentPayment:
    state, _ = run(observed)
    return CurrentPayment(state.last, state)


UNKNOWN: Final = _known(observation("p1", "authorised"), observation("p1", "unknown", observed_at="2026-06-02T12:00Z"))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Output]:
    brokers = RecordingBrokers()
    monkeypatch.setattr(command, "TopicReader", brokers)
    monkeypatch.setattr(publishing, "RecordSender", brokers)
    monkeypatch.setattr(action_log, "RecordSender", RecordingBrokers())
    return brokers.sent


def _run(
    current: CurrentPayment, words: list[str], monkeypatch: pytest.MonkeyPatch, directory: Path, **merchant: Any
) -> int:
    monkeypatch.setattr(command, "current_payment", lambda *_: current)
    merchants = configurations.merchants()
    merchants[1].update(merchant)
    content = configurations.document("127.0.0.1:9", "t.", directory, merchants=merchants)
    return main([*words, "--config", str(configurations.write(directory, content))])


def test_correction_is_only_shown_without_apply(
    sent: list[Output], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(UNKNOWN, WORDS, monkeypatch, tmp_path) == 0
    said = capsys.readouterr()
    assert [line.split()[:2] for line in said.out.splitlines()[1:3]] == [["2", "unknown"], ["3", "captured"]]
    assert "would be published; --apply publishes it" in said.out
    assert sent == []


def test_correction_is_an_observation_of_the_operator(
    sent: list[Output], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = [*WORDS, "--paid", "10.00", "--currency", "GBP", "--apply"]
    assert _run(UNKNOWN, words, monkeypatch, tmp_path) == 0
    (output,) = sent
    observed = decode(output.value, Observation)
    assert (output.topic, output.key) == ("t.observations", b"shop-uk/p1")
    assert (observed.provider, observed.merchant, observed.payment_id) == ("trustpayments", "shop-uk", "p1")
    assert (observed.status, observed.paid, observed.amount) == ("captured", PRICE, None)
    assert (observed.source, observed.correction) == ("OPERATOR", Correction(by="anna", reason="case 4711"))
    headers = {name: value.decode() for name, value in output.headers}
    assert (headers["ce_type"], headers["ce_source"]) == ("payment.observed.v1", "/paynotify/correct")
    assert headers["ce_time"] == observed.observed_at
    assert valid_traceparent(headers["traceparent"])


def test_json_has_the_newest_event_and_the_one_that_follows(
    sent: list[Output], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(UNKNOWN, [*WORDS, "--json", "--apply"], monkeypatch, tmp_path) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["newest"]["sequence"], found["newest"]["status"]) == (2, "unknown")
    assert (found["follows"]["sequence"], found["follows"]["status"]) == (3, "captured")
    assert (found["published"], found["problem"], len(sent)) == (True, None, 1)


def test_shown_fulfilment_follows_the_shops_expectation(
    sent: list[Output], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for expected in (1000, 999):
        ordered = Expectation(order_id="order-p1", amount=Money(expected, "GBP"))
        current = _known(observation("p1", "unknown", expected=ordered))
        words = [*WORDS, "--paid", "10", "--currency", "GBP", "--json"]
        assert _run(current, words, monkeypatch, tmp_path) == 0
        shown.append(json.loads(capsys.readouterr().out)["follows"]["fulfilment"])
    assert shown == ["release", "hold"]
    assert _run(UNKNOWN, [*WORDS, "--json"], monkeypatch, tmp_path, expected="required") == 0
    assert json.loads(capsys.readouterr().out)["follows"]["fulfilment"] == "hold"
    assert sent == []


@pytest.mark.parametrize(
    ("current", "status", "problem"),
    [
        (CurrentPayment(None, None), "captured", "The payment is unknown"),
        (CurrentPayment(UNKNOWN.event, None), "captured", "state is no longer kept"),
        (UNKNOWN, "unknown", "The payment's status is unknown already."),
    ],
)
def test_impossible_correction_publishes_nothing(
    current: CurrentPayment,
    status: str,
    problem: str,
    sent: list[Output],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [status if word == "captured" else word for word in WORDS]
    assert _run(current, [*words, "--apply"], monkeypatch, tmp_path) == 1
    said = capsys.readouterr().err
    assert problem in said
    assert "Nothing was published." in said
    assert sent == []


def test_same_status_with_the_same_amounts_changes_nothing(
    sent: list[Output], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*WORDS, "--paid", "10.00", "--currency", "GBP", "--apply", "--json"]
    assert _run(_known(observation("p1", "captured")), words, monkeypatch, tmp_path) == 1
    assert json.loads(capsys.readouterr().out)["problem"] == "The correction would change nothing."
    assert sent == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"shop-uk/p1": "nobody/p1"}, "must be one of the configured ones (shop-hu, shop-nl, shop-uk)"),
        ({"shop-uk/p1": "shop-uk"}, "The payment must be MERCHANT/PAYMENT"),
        ({"shop-uk/p1": "shop-uk/"}, "The payment must be MERCHANT/PAYMENT"),
        ({"captured": "paid"}, "invalid choice"),
        ({"case 4711": "  "}, "--reason must be 1 to 200 printable characters, got 0"),
        ({"case 4711": "x" * 201}, "--reason must be 1 to 200 printable characters, got 201"),
        ({"case 4711": "line\nline"}, "--reason must be 1 to 200 printable characters"),
        ({"case 4711": "card 4111 1111 1111 1111"}, "--reason must not contain card or personal data"),
        ({"case 4711": "4111-1111-1111-1111 won"}, "--reason must not contain card or personal data"),
        ({"case 4711": "mail of jo@shop.example"}, "--reason must not contain card or personal data"),
        ({"anna": "anna@shop.example"}, "--by must be 1 to 64 letters, digits"),
        ({"anna": ""}, "--by must be 1 to 64 letters, digits"),
    ],
)
def test_wrong_words_are_refused_in_one_sentence(
    changes: dict[str, str],
    expected: str,
    sent: list[Output],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [changes.get(word, word) for word in WORDS]
    try:
        code = _run(UNKNOWN, [*words, "--apply"], monkeypatch, tmp_path)
    except SystemExit as ended:
        code = int(str(ended.code))
    said = capsys.readouterr().err
    assert code == 2
    assert expected in said
    assert "4111" not in said
    assert sent == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--paid", "10"], "--paid and --currency must be given together"),
        (["--currency", "GBP"], "--currency must be given with --amount or --paid"),
        (["--amount", "0", "--currency", "GBP"], "--amount must be greater than 0"),
        (["--paid", "1.005", "--currency", "GBP"], "--paid must be greater than 0 with no more decimals"),
    ],
)
def test_amounts_must_be_exact_and_have_a_currency(
    options: list[str],
    expected: str,
    sent: list[Output],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run(UNKNOWN, [*WORDS, *options, "--apply"], monkeypatch, tmp_path) == 2
    assert expected in capsys.readouterr().err
    assert sent == []


def test_user_of_the_system_is_the_author_by_default(
    sent: list[Output], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*WORDS[:-2], "--apply"]
    monkeypatch.setattr("getpass.getuser", lambda: "operator-7")
    assert _run(UNKNOWN, words, monkeypatch, tmp_path) == 0
    correction = decode(sent[0].value, Observation).correction
    assert correction is not None
    assert correction.by == "operator-7"

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 65532")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert _run(UNKNOWN, words, monkeypatch, tmp_path) == 2
    assert "--by must be" in capsys.readouterr().err
