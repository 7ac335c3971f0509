"""What charge, capture and release show, ask, refuse and make of the answer; nothing here reaches a broker."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

import pytest

from ops.main import main
from ops.requests import submit
from ops.requests.summary import doubts, facts
from schemas.configuration.merchants import ChargeLimits, Charges, NevogateMerchant
from schemas.configuration.secrets import SecretRef
from schemas.errors import ClusterUnavailableError
from schemas.messages import PaymentRequest, RequestedPayment, decode, encode
from schemas.money import Money
from schemas.records import Output
from schemas.traceparent import valid_traceparent
from tests.fakes import configurations

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
    ("words", "said"),
    [
        (_changed(CHARGE, merchant="shop-xx"), "no merchant 'shop-xx'; it knows shop-hu, shop-nl, shop-uk"),
        (_changed(CHARGE, merchant="shop-nl"), "is of omnikassa"),
        (_changed(CHARGE, order=""), "--order is no order's id"),
        (_changed(CHARGE, order="a@b.example"), "nothing personal"),
        (_changed(CHARGE, order="o" * 256), "--order is no order's id"),
        (_changed(CHARGE, amount="19.999"), "is no amount"),
        (_changed(CHARGE, amount="0"), "is no amount"),
        (_changed(CHARGE, amount="1,5"), "is no amount"),
        (_changed(CHARGE, currency="euro"), "is no amount"),
        (_changed(CHARGE, reference="1234"), "--reference is no payment's id"),
        ([*CHARGE, "--user", ""], "--user is no customer's id"),
        ([*CHARGE, "--expires", "2020-01-01T00:00:00Z"], "is no time to come"),
        ([*CHARGE, "--expires", "tomorrow"], "is no time to come"),
        ([*CHARGE, "--request-id", "with space"], "--request-id is no id"),
        ([*CHARGE, "--wait", "-1"], "is no time to wait"),
        ([*CHARGE, "--yes", "--dry-run"], "not allowed with"),
        (CHARGE[:-2], "--reference"),
        (["capture", "shop-hu"], "MERCHANT/PAYMENT"),
        (["capture", f"shop-hu/{TRANSACTION.upper()}"], "MERCHANT/PAYMENT"),
        (["capture", f"shop-hu/{TRANSACTION}", "--amount", "5"], "--amount and --currency go together"),
        (["release", f"shop-uk/{TRANSACTION}"], "is of trustpayments"),
        (["release", f"shop-hu/{TRANSACTION}", "--amount", "5"], "unrecognized arguments"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    words: list[str], said: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ended(words, config) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_without_a_terminal_or_yes_nothing_is_published(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert _ended(CHARGE, config) == 2
    assert "There is no terminal to confirm this on" in capsys.readouterr().err


@pytest.mark.parametrize("answer", ["", "no\n", "y\n"])
def test_whatever_is_not_yes_publishes_nothing(
    answer: str, config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(answer))
    assert _ended(CHARGE, config) == 1
    assert "Nothing was published" in capsys.readouterr().err


class _Brokers:
    """Stands for both `Tail` and `Sender`: takes what is sent, answers what it was given."""

    def __init__(self, *batches: list[bytes]) -> None:
        self.sent: list[Output] = []
        self._batches = list(batches)

    def __call__(self, *about: object, **details: object) -> _Brokers:
        return self

    def __enter__(self) -> _Brokers:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def send(self, output: Output) -> None:
        self.sent.append(output)

    def read(self, within_seconds: float) -> list[Any]:
        return [type("R", (), {"value": one}) for one in (self._batches.pop(0) if self._batches else [])]


def _with(brokers: _Brokers, monkeypatch: pytest.MonkeyPatch) -> _Brokers:
    monkeypatch.setattr(submit, "Tail", brokers)
    monkeypatch.setattr(submit, "RecordSender", brokers)
    return brokers


@pytest.mark.parametrize(("options", "answer"), [([], "yes\n"), (["--yes"], "")])
def test_a_confirmed_charge_is_published_once(
    options: list[str], answer: str, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    brokers = _with(_Brokers(), monkeypatch)
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


def test_what_became_of_it_is_told_and_is_the_exit_code(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for state, status, code in (("done", "captured", 0), ("refused", None, 1), ("uncertain", None, 1)):
        _with(_Brokers([_event("received")], [_event(state, status)]), monkeypatch)
        assert _ended([*CHARGE, "--request-id", "r-1", "--yes", "--wait", "30"], config) == code
        assert f"{state}{': ' + status if status else ''}, payment shop-hu/{TRANSACTION}" in capsys.readouterr().out


def test_brokers_that_do_not_take_it_leave_the_id_to_ask_again_with(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Refusing(_Brokers):
        def send(self, output: Output) -> None:
            raise ClusterUnavailableError("they did not")

    _with(Refusing(), monkeypatch)
    assert _ended([*CHARGE, "--yes"], config) == 3
    said = capsys.readouterr()
    shown = next(line.split()[-1] for line in said.out.splitlines() if line.startswith("request "))
    assert f"ask for it again with --request-id {shown}" in said.err


def test_no_answer_in_time_is_told_as_such(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _with(_Brokers(), monkeypatch)
    assert _ended([*CHARGE, "--yes", "--wait", "0"], config) == 1
    assert "not answered within 0 s" in capsys.readouterr().out


def test_a_dry_run_shows_all_that_will_be_asked_for(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _ended([*CHARGE, "--dry-run", "--capture", "now", "--request-id", "r-1", "--again"], config) == 0
    shown = {line[:18].strip(): line[18:].strip() for line in capsys.readouterr().out.splitlines()}
    assert shown["charge"] == "shop-hu (nevogate)"
    assert (shown["order"], shown["amount"], shown["request"]) == ("O-1", "19.90 EUR", "r-1")
    assert shown["reference payment"] == TRANSACTION
    assert "at once" in shown["effect"]
    assert shown["limits"] == "50.00 EUR per charge, 100.00 EUR per reference payment in 30 days, 1000.00 EUR a day"


def test_a_program_gets_the_request_as_json(config: str, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert "exit code: 0" in said


# --- what is shown -----------------------------------------------------------------------------------------


def _merchant(*, charges: bool = True) -> NevogateMerchant:
    limits = {"EUR": ChargeLimits(per_charge=5000, per_reference=10_000, per_day=100_000)}
    return NevogateMerchant(
        id="shop-hu",
        store_name="s",
        api_key=SecretRef(value="k"),
        base_url="https://a.example",
        charges=Charges(public_url="https://b.example", limits=limits) if charges else None,
    )


def _request(action: Any = "charge", value: int | None = 100, currency: str = "EUR") -> RequestedPayment:
    amount = Money(value, currency) if value is not None else None
    return RequestedPayment(request_id="r-1", merchant="shop-hu", action=action, order_id="O-1", amount=amount)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (_request(value=5000), []),
        (_request(value=5001), ["per charge, 50.00 EUR"]),
        (_request(value=100_001), ["per charge", "per reference payment", "per day, 1000.00 EUR"]),
        (_request(currency="HUF"), ["no limits for HUF"]),
        (_request("capture", 9_999_999), []),
        (_request("release", None), []),
    ],
)
def test_what_the_configuration_will_refuse_is_said_before(wanted: RequestedPayment, said: list[str]) -> None:
    found = doubts(wanted, _merchant())
    assert len(found) == len(said)
    assert all(word in line for word, line in zip(said, found, strict=True))


@pytest.mark.parametrize("action", ["charge", "capture", "release"])
def test_charges_that_are_off_are_said_to_be(action: Any) -> None:
    (found,) = doubts(_request(action), _merchant(charges=False))
    assert "charges are off for shop-hu" in found


@pytest.mark.parametrize(
    ("wanted", "effect"),
    [
        (_request(), "reserved"),
        (_request("capture", 5), "the rest released"),
        (_request("capture", None), "the whole hold is charged"),
        (_request("release", None), "nothing is charged"),
    ],
)
def test_the_effect_is_told_in_words(wanted: RequestedPayment, effect: str) -> None:
    assert effect in dict(facts(wanted, _merchant()))["effect"]


# --- what comes back ---------------------------------------------------------------------------------------


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
    ("events", "state", "as_asked"),
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
def test_a_request_is_followed_to_its_end(events: list[bytes], state: str | None, as_asked: bool) -> None:
    tail: Any = _Brokers(*([one] for one in events))
    found = submit._follow(tail, _request(), 0.2 if state is None else 30.0)
    assert (found.state if found else None) == state
    assert submit._as_asked(found) is as_asked
