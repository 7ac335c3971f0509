"""What a replayed record is, and what wrong use of the operator's tools leads to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops.common.times import moment, window
from ops.main import main
from ops.replay import ReplaySelection, money_movers, original, targets
from processors.dead_letters import ended
from schemas.configuration.model import KafkaSettings
from schemas.errors import ConfigurationError
from schemas.records import Record
from tests.fakes import configurations

HEADERS = (("ce_id", b"n-1"), ("ce_source", b"/notifications/nevogate/shop-hu"), ("http-query", b"a=b"))


def _rejected() -> Record:
    source = Record("p.notifications.nevogate", 2, 7, b"shop-hu/ab", b"\x00raw", HEADERS, 1.0)
    output = ended(source, "p.notifications.rejected", "bad_signature", attempts=3)
    return Record(output.topic, 1, 5, output.key, output.value, output.headers, 2.0)


def test_the_original_comes_back_with_a_mark_of_where_it_lay() -> None:
    again = original(_rejected())
    assert (again.topic, again.key, again.value) == ("p.notifications.nevogate", b"shop-hu/ab", b"\x00raw")
    assert again.headers == (*HEADERS, ("replayed-from", b"p.notifications.rejected/1/5"))


def test_a_record_replayed_twice_bears_only_the_last_mark() -> None:
    once = original(_rejected())
    source = Record(once.topic, 2, 9, once.key, once.value, once.headers, 3.0)
    output = ended(source, "p.notifications.rejected", "bad_signature")
    twice = original(Record(output.topic, 1, 6, output.key, output.value, output.headers, 4.0))
    assert twice.headers == (*HEADERS, ("replayed-from", b"p.notifications.rejected/1/6"))


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (ReplaySelection(), True),
        (ReplaySelection(reasons=["bad_signature"], merchants=["shop-hu"], providers=["nevogate"]), True),
        (ReplaySelection(keys=[b"shop-hu/ab"]), True),
        (ReplaySelection(reasons=["malformed"]), False),
        (ReplaySelection(merchants=["shop-h"]), False),
        (ReplaySelection(providers=["omnikassa"]), False),
        (ReplaySelection(keys=[b"shop-hu"]), False),
    ],
)
def test_every_choice_narrows(choice: ReplaySelection, taken: bool) -> None:
    assert choice.takes(_rejected(), "nevogate") is taken


def test_results_are_no_target() -> None:
    known = targets(KafkaSettings(topic_prefix="p."))
    assert known["p.lookups.nevogate.retry.5"] == "nevogate"
    assert not {"p.payments.status", "p.payments.latest", "p.notifications.rejected", "notifications.nevogate"} & set(
        known
    )


def test_what_a_shop_announced_goes_back_and_what_moves_money_does_not() -> None:
    kafka = KafkaSettings(topic_prefix="p.")
    known, movers = targets(kafka), money_movers(kafka)
    assert known["p.payments.expected"] == known["p.payments.orders"] == known["p.observations"] == "all"
    assert movers == {"p.payments.requested", "p.payments.charges"}
    assert not movers & set(known)


def test_a_time_is_an_instant_or_an_age() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert moment("--since", "24h", now) == now - timedelta(hours=24)
    assert moment("--since", "2026-11-23T01:00:00+01:00", now) == now
    assert moment("--since", None) is None


@pytest.mark.parametrize("text", ["yesterday", "2026-11-23T00:00:00", "-1h", "5w", ""])
def test_anything_else_is_refused_with_what_to_give(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--since .* is not a time"):
        moment("--since", text)


@pytest.mark.parametrize("text", ["999999d", "30000d", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_that_leaves_no_room_in_the_calendar_is_refused(text: str) -> None:
    """The tools read from an hour or a day before it, or up to some minutes after."""
    with pytest.raises(ConfigurationError, match=r"--since .* is before 1970 or after 9000"):
        moment("--since", text)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not before"):
        window("1h", "2h")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["replay", "--merchant", "shop-xx"], "no such merchant; it knows shop-hu, shop-nl, shop-uk"),
        (["replay", "--since", "soon"], "is not a time"),
        (["replay", "dead", "--reason", "bad_signature"], "no dead record has this reason"),
        (["replay", "--per-second", "0"], "is no rate"),
        (["replay", "--yes", "--dry-run"], "not allowed with"),
        (["replay", "--reason", "no_such"], "invalid choice"),
        (["audit"], "--since"),
        (["audit", "--since", "1h", "--until", "2h"], "not before"),
        (["trace"], "MERCHANT/PAYMENT"),
        (["trace", "shop-uk"], "MERCHANT/PAYMENT"),
        (["trace", "shop-uk/1", "--order", "2"], "--order goes with --merchant"),
        (["trace", "nobody/1"], "has no merchant 'nobody'"),
        (["trace", "shop-uk/1", "--since", "x"], "is not a time"),
        (["reconcile", "--merchant", "shop-uk"], "--from"),
        (["reconcile", "--merchant", "nobody", "--from", "1h"], "no merchant 'nobody'; it knows shop-hu"),
        (["reconcile", "--merchant", "shop-nl", "--from", "1h"], "omnikassa has no list of a period's payments"),
        (["reconcile", "--merchant", "shop-hu", "--from", "1h"], "nevogate has no list of a period's payments"),
        (["reconcile", "--merchant", "shop-uk", "--from", "1h", "--to", "2h"], "the period is empty"),
        (["reconcile", "--merchant", "shop-uk", "--from", "2099-01-01T00:00:00Z"], "the period is empty"),
        (["reconcile", "--merchant", "shop-uk", "--from", "1h", "--slack", "soon"], "is no duration"),
        (["reconcile", "--merchant", "shop-uk", "--from", "1h", "--slack", "8d"], "longer than 7 days"),
        (["reconcile", "--merchant", "shop-uk", "--from", "1h", "--rate", "nan"], "is no rate"),
        (["reconcile", "--merchant", "shop-uk", "--from", "1h", "--most", "0"], "is no number of lines"),
        (["reconcile", "--merchant", "shop-uk", "--from", "1h", "--yes"], "--yes goes with --mend"),
        (["reconcile", "--merchant", "shop-uk", "--from", "1h", "--export", "/nowhere/x.csv"], "can't be read"),
        (["doctor", "--config", "/nowhere/at-all"], "can't be read"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configurations.write(tmp_path, configurations.document("127.0.0.1:9", "", tmp_path))
    arguments = words if "--config" in words else [*words, "--config", str(file)]
    try:
        code = main(arguments)
    except SystemExit as ended_early:
        code = int(str(ended_early.code))
    assert code == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
