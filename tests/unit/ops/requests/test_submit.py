"""The commands charge, capture and release up to the broker, and what they make of a request's events."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

import pytest

from paynotify.ops.common import action_log
from paynotify.ops.main import main
from paynotify.ops.requests import publishing, submit
from paynotify.schemas.errors import ClusterUnavailableError
from paynotify.schemas.messages import PaymentRequest, RequestedPayment, decode, encode
from paynotify.schemas.money import Money
from paynotify.schemas.records import Output
from paynotify.schemas.traceparent import valid_traceparent
from tests.fakes import configurations
from tests.fakes.brokers import RecordingBrokers

TRANSACTION: Final = "6a5e3c4fb0d14bd6a7b0f1c2d3e4f506"
CHARGE: Final = [
    "charge",
    "--merchant",
    "shop-hu",
    "--order",
    "O-1",
    "--amount",
    "19.90",
    "--currency",
    "EUR",
    "--reference",
    TRANSACTION,
]
CHARGES: Final = {
    "public_url": "http://127.0.0.1:1",
    "limits": {"EUR": {"per_charge": 5000, "per_reference": 10_000, "per_day": 100_000}},
}


@pytest.fixture
def config(tmp_path: Path) -> str:
    merchants = configurations.merchants()
    merchants[2]["charges"] = CHARGES
    content = configurations.document("127.0.0.1:9", "", tmp_path, merchants=merchants)
    return str(configurations.write(tmp_path, content))


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _changed(words: list[str], **changes: str) -> list[str]:
    changed = list(words)
    for name, value in changes.items():
        changed[changed.index(f"--{name}") + 1] = value
    return changed


def _ended(words: list[str], config: str) -> int:
    try:
        return main([*words, "--config", config])
    except SystemExit as ended:
        return int(str(ended.code))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            _changed(CHARGE, merchant="shop-xx"),
            "must be one of the configured ones (shop-hu, shop-nl, shop-uk), got 'shop-xx'",
        ),
        (_changed(CHARGE, merchant="shop-nl"), "but shop-nl is one of omnikassa"),
        (_changed(CHARGE, order=""), "--order must be 1 to 255 printable characters"),
        (_changed(CHARGE, order="a@b.example"), "no e-mail address"),
        (_changed(CHARGE, order="o" * 256), "--order must be 1 to 255 printable characters"),
        (_changed(CHARGE, amount="19.999"), "--amount must be greater than 0"),
        (_changed(CHARGE, amount="0"), "--amount must be greater than 0"),
        (_changed(CHARGE, amount="1,5"), "--amount must be greater than 0"),
        (_changed(CHARGE, currency="euro"), "--amount must be greater than 0"),
        (_changed(CHARGE, reference="1234"), "--reference must be a payment id"),
        ([*CHARGE, "--user", ""], "--user must be 1 to 255 printable characters"),
        ([*CHARGE, "--expires", "2020-01-01T00:00:00Z"], "--expires must be a future RFC 3339 time"),
        ([*CHARGE, "--expires", "tomorrow"], "--expires must be a future RFC 3339 time"),
        ([*CHARGE, "--request-id", "with space"], "--request-id must be 1 to 100"),
        ([*CHARGE, "--wait", "-1"], "--wait: must be between 0 and 86400 seconds, got '-1'"),
        ([*CHARGE, "--yes", "--dry-run"], "not allowed with"),
        (CHARGE[:-2], "--reference"),
        (["capture", "shop-hu"], "MERCHANT/PAYMENT"),
        (["capture", f"shop-hu/{TRANSACTION.upper()}"], "MERCHANT/PAYMENT"),
        (["capture", f"shop-hu/{TRANSACTION}", "--amount", "5"], "--amount and --currency must be given together"),
        (["release", f"shop-uk/{TRANSACTION}"], "but shop-uk is one of trustpayments"),
        (["release", f"shop-hu/{TRANSACTION}", "--amount", "5"], "unrecognized arguments"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    words: list[str], expected: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ended(words, config) == 2
    printed = capsys.readouterr().err
    assert expected in printed
    assert "Traceback" not in printed


def test_request_is_not_published_without_terminal_or_yes(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert _ended(CHARGE, config) == 2
    assert "Confirmation requires a terminal" in capsys.readouterr().err


@pytest.mark.parametrize("answer", ["", "no\n", "y\n"])
def test_request_is_not_published_unless_the_answer_is_yes(
    answer: str, config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(answer))
    assert _ended(CHARGE, config) == 1
    assert "Nothing was published" in capsys.readouterr().err


def _with(brokers: RecordingBrokers, monkeypatch: pytest.MonkeyPatch) -> RecordingBrokers:
    monkeypatch.setattr(submit, "Tail", brokers)
    monkeypatch.setattr(publishing, "RecordSender", brokers)
    monkeypatch.setattr(action_log, "RecordSender", RecordingBrokers())
    return brokers


@pytest.mark.parametrize(("options", "answer"), [([], "yes\n"), (["--yes"], "")])
def test_confirmed_charge_is_published_once(
    options: list[str], answer: str, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers = _with(RecordingBrokers(), monkeypatch)
    monkeypatch.setattr("sys.stdin", _Terminal(answer))
    assert _ended([*CHARGE, "--request-id", "r-1", *options], config) == 0
    (sent,) = brokers.sent
    assert (sent.topic, sent.key) == ("payments.requested", b"shop-hu/r-1")
    assert sent.value is not None
    assert decode(sent.value, RequestedPayment) == RequestedPayment(
        request_id="r-1",
        merchant="shop-hu",
        action="charge",
        order_id="O-1",
        reference_payment_id=TRANSACTION,
        amount=Money(1990, "EUR"),
        capture="later",
    )
    headers = dict(sent.headers)
    assert (headers["ce_id"], headers["ce_type"]) == (b"r-1", b"payment.request.made.v1")
    assert valid_traceparent(headers["traceparent"].decode())


def test_outcome_is_printed_and_decides_the_exit_code(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for state, status, code in (("done", "captured", 0), ("refused", None, 1), ("uncertain", None, 1)):
        _with(RecordingBrokers([_event("received")], [_event(state, status)]), monkeypatch)
        assert _ended([*CHARGE, "--request-id", "r-1", "--yes", "--wait", "30"], config) == code
        assert f"{state}{': ' + status if status else ''}, payment shop-hu/{TRANSACTION}" in capsys.readouterr().out


def test_unacknowledged_request_leaves_the_id_to_repeat_it_with(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Refusing(RecordingBrokers):
        def send(self, output: Output) -> None:
            raise ClusterUnavailableError("they did not")

    _with(Refusing(), monkeypatch)
    assert _ended([*CHARGE, "--yes"], config) == 3
    said = capsys.readouterr()
    shown = next(line.split()[-1] for line in said.out.splitlines() if line.startswith("request "))
    assert f"repeat it with --request-id {shown}" in said.err


def test_missing_outcome_is_reported(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _with(RecordingBrokers(), monkeypatch)
    assert _ended([*CHARGE, "--yes", "--wait", "0"], config) == 1
    assert "no outcome within 0 s" in capsys.readouterr().out


def test_dry_run_describes_the_whole_request(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended([*CHARGE, "--dry-run", "--capture", "now", "--request-id", "r-1", "--again"], config) == 0
    lines = [line.split("  ", 1) for line in capsys.readouterr().out.splitlines()]
    shown = {label: text.strip() for label, text in lines}
    assert shown["charge"] == "shop-hu (nevogate)"
    assert (shown["order"], shown["amount"], shown["request"]) == ("O-1", "19.90 EUR", "r-1")
    assert shown["initial payment"] == TRANSACTION
    assert "at once" in shown["effect"]
    assert shown["limits"] == "50.00 EUR per charge, 100.00 EUR per initial payment in 30 days, 1000.00 EUR per day"


def test_json_has_the_request(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["capture", f"shop-hu/{TRANSACTION}", "--amount", "5", "--currency", "EUR", "--dry-run", "--json"]
    assert _ended(words, config) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["published"], said["outcome"], said["warnings"]) == (False, None, [])
    assert said["request"]["amount"] == {"value": 500, "currency": "EUR"}
    assert said["request"]["payment_id"] == TRANSACTION


@pytest.mark.parametrize("word", ["charge", "capture", "release"])
def test_help_has_examples_and_exit_codes(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended([word, "--help"], "unread") == 0
    said = capsys.readouterr().out
    assert f"paynotify {word} " in said.partition("examples:")[2]
    assert "exit codes: 0" in said


# --- following a request -----------------------------------------------------------------------------------


def _request(action: Any = "charge", value: int | None = 100, currency: str = "EUR") -> RequestedPayment:
    amount = Money(value, currency) if value is not None else None
    return RequestedPayment(request_id="r-1", merchant="shop-hu", action=action, order_id="O-1", amount=amount)


def _event(state: Any, status: Any = None, request_id: str = "r-1", merchant: str = "shop-hu") -> bytes:
    return encode(
        PaymentRequest(
            event_id="e",
            request_id=request_id,
            merchant=merchant,
            provider="nevogate",
            action="charge",
            state=state,
            reason=None,
            order_id="O-1",
            payment_id=TRANSACTION,
            amount=None,
            status=status,
            at="2026-11-23T00:00:00Z",
        )
    )


@pytest.mark.parametrize(
    ("events", "state", "succeeded"),
    [
        ([_event("received"), _event("started"), _event("done", "authorised")], "done", True),
        ([_event("done", "captured")], "done", True),
        ([_event("done", "failed")], "done", False),
        ([_event("refused")], "refused", False),
        ([_event("started"), _event("uncertain"), _event("done", "captured")], "uncertain", False),
        (
            [_event("done", "captured", request_id="r-2"), _event("done", "captured", merchant="shop-h"), b"{"],
            None,
            False,
        ),
    ],
)
def test_request_is_followed_to_its_final_state(events: list[bytes], state: str | None, succeeded: bool) -> None:
    tail: Any = RecordingBrokers(*([one] for one in events))
    found = publishing.follow(tail, _request(), 0.2 if state is None else 30.0)
    assert (found.state if found else None) == state
    assert publishing.succeeded(found) is succeeded
