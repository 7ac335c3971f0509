"""Wrong use of the tools: one sentence that says what an option must be, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from paynotify.ops.main import main
from tests.fakes import configurations


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["replay", "--merchant", "shop-xx"],
            "must be one of the configured ones (shop-hu, shop-nl, shop-uk), got 'shop-xx'",
        ),
        (["replay", "--since", "soon"], "--since must be an RFC 3339 time"),
        (["replay", "dead", "--reason", "bad_signature"], "--reason must be a reason of dead records"),
        (["replay", "--per-second", "0"], "must be greater than 0 and at most 1e+06, got '0'"),
        (["replay", "--yes", "--dry-run"], "not allowed with"),
        (["replay", "--reason", "no_such"], "invalid choice"),
        (["history", "--payment", "shop-uk"], "MERCHANT/PAYMENT"),
        (["history", "--merchant", "nobody"], "got 'nobody'"),
        (["replay", "--why", "of jane@shop.example"], "must not contain card or personal data"),
        (["audit"], "--since"),
        (["audit", "--since", "1h", "--until", "2h"], "--since must be before --until"),
        (["trace"], "MERCHANT/PAYMENT"),
        (["trace", "shop-uk"], "MERCHANT/PAYMENT"),
        (["trace", "shop-uk/1", "--order", "2"], "--order must be given with --merchant"),
        (["trace", "nobody/1"], "must be one of the configured ones (shop-hu, shop-nl, shop-uk), got 'nobody'"),
        (["trace", "shop-uk/1", "--since", "x"], "--since must be an RFC 3339 time"),
        (["reconcile", "--merchant", "shop-uk"], "--from"),
        (
            ["reconcile", "--merchant", "nobody", "--from", "1h"],
            "must be one of the configured ones (shop-hu, shop-nl, shop-uk), got 'nobody'",
        ),
        (["reconcile", "--merchant", "shop-nl", "--from", "1h"], "--export must be given for merchants of omnikassa"),
        (["reconcile", "--merchant", "shop-hu", "--from", "1h"], "--export must be given for merchants of nevogate"),
        (["reconcile", "--merchant", "shop-uk", "--from", "1h", "--to", "2h"], "the period is empty"),
        (["reconcile", "--merchant", "shop-uk", "--from", "2099-01-01T00:00:00Z"], "the period is empty"),
        (["reconcile", "--merchant", "shop-uk", "--from", "1h", "--slack", "soon"], "--slack must be a duration"),
        (["reconcile", "--merchant", "shop-uk", "--from", "1h", "--slack", "8d"], "--slack must be at most 7 days"),
        (
            ["reconcile", "--merchant", "shop-uk", "--from", "1h", "--rate", "nan"],
            "--rate: must be greater than 0 and at most 1000, got 'nan'",
        ),
        (
            ["reconcile", "--merchant", "shop-uk", "--from", "1h", "--limit", "0"],
            "--limit: must be a whole number between 1 and 1000000, got '0'",
        ),
        (["reconcile", "--merchant", "shop-uk", "--from", "1h", "--yes"], "--yes must be given with --repair"),
        (["reconcile", "--merchant", "shop-uk", "--from", "1h", "--export", "/nowhere/x.csv"], "cannot be read"),
        (["doctor", "--config", "/nowhere/at-all"], "can't be read"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    words: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configurations.write(tmp_path, configurations.document("127.0.0.1:9", "", tmp_path))
    arguments = words if "--config" in words else [*words, "--config", str(file)]
    try:
        code = main(arguments)
    except SystemExit as ended_early:
        code = int(str(ended_early.code))
    assert code == 2
    printed = capsys.readouterr().err
    assert expected in printed
    assert "Traceback" not in printed
