"""``paynotify inspect`` as an operator uses it: files in, one line of JSON each, an exit code."""

from __future__ import annotations

import io
import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from paynotify.ops.main import main
from tests.fakes.accounts import OMNIKASSA_KEY, TRANSACTION, vectors
from tests.fakes.gateway_records import answer, card

CONFIG: Final = f"""
sandbox: true
merchants:
  - {{id: shop-nl, provider: omnikassa, poi_id: 5000, base_url: https://x.example,
     signing_keys: [{{value: {OMNIKASSA_KEY}}}]}}
  - {{id: shop-env, provider: omnikassa, poi_id: 5000, base_url: https://x.example,
     signing_keys: [{{env: PAYNOTIFY_TEST_NOT_SET}}]}}
  - {{id: shop-uk, provider: trustpayments, site_reference: test_site12345,
     notification_passwords: [{{value: PASSWORD}}],
     webservices_url: https://x.example/json/, username: ws, password: {{value: pw}}}}
  - {{id: shop-hu, provider: nevogate, store_name: sdk_test, api_key: {{value: k}}, base_url: https://x.example}}
"""
AT: Final = ("--at", "2018-08-21T14:00:30+02:00")


class Inspect:
    """The command with a configuration, and what it printed."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        (folder / "paynotify.yaml").write_text(CONFIG, "utf-8")

    def file(self, name: str, body: str) -> str:
        (self.folder / name).write_bytes(body.encode())
        return str(self.folder / name)

    def __call__(self, provider: str, merchant: str, *words: str) -> tuple[int, list[dict[str, Any]], str]:
        config = str(self.folder / "paynotify.yaml")
        code = main(["inspect", "--config", config, "--provider", provider, "--merchant", merchant, *words])
        out, err = self._capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err


@pytest.fixture
def inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Inspect:
    return Inspect(tmp_path, capsys)


def vector(vector_id: str) -> str:
    return str(next(one["body"] for one in vectors("omnikassa")["vectors"] if one["id"] == vector_id))


def test_authentic_notification_shows_its_lookup_without_the_token(inspect: Inspect) -> None:
    file = inspect.file("ping", vector("N06"))
    code, (line,), _ = inspect("omnikassa", "shop-nl", *AT, file)
    assert code == 0
    assert (line["file"], line["verdict"], line["reason"]) == (file, "authentic", None)
    assert line["lookup"]["operation"] == "pull"
    assert "eyJ" not in json.dumps(line)


def test_exit_code_is_1_if_any_file_is_rejected(inspect: Inspect) -> None:
    files = [inspect.file("a", vector("N06")), inspect.file("b", vector("N02")), inspect.file("c", "{}")]
    code, lines, _ = inspect("omnikassa", "shop-nl", *AT, *files)
    assert code == 1
    assert [line["reason"] for line in lines] == [None, "bad_signature", "missing_signature"]


def test_expiry_is_compared_with_the_time_of_receipt(inspect: Inspect) -> None:
    code, (line,), _ = inspect("omnikassa", "shop-nl", inspect.file("a", vector("N06")))
    assert (code, line["reason"]) == (1, "expired_token")


def test_response_shows_its_observations(inspect: Inspect) -> None:
    good, bad = inspect.file("good", vector("S03")), inspect.file("bad", vector("S05"))
    code, lines, _ = inspect("omnikassa", "shop-nl", "--kind", "response", good, bad, inspect.file("no", "[]"))
    assert code == 1
    assert [(line["verdict"], line["reason"]) for line in lines] == [
        ("authentic", None),
        ("rejected", "bad_signature"),
        ("rejected", "malformed"),
    ]
    (one,) = lines[0]["observations"]
    assert (one["status"], one["amount"]) == ("expired", {"value": 123700, "currency": "EUR"})


def test_unsigned_response_has_the_verdict_unsigned(inspect: Inspect) -> None:
    result = json.dumps({"TransactionId": TRANSACTION, "ResultCode": "PENDING"})
    code, (line,), _ = inspect("nevogate", "shop-hu", "--kind", "response", inspect.file("a", result))
    assert (code, line["verdict"], line["observations"][0]["status"]) == (0, "unsigned", "pending")


def test_single_order_response_is_distinguished_from_a_page(inspect: Inspect) -> None:
    answer = vectors("omnikassa")["samples_unsigned"]["order_details_response"][0]["body"]
    code, (line,), _ = inspect("omnikassa", "shop-nl", "--kind", "response", inspect.file("a", answer))
    assert (code, line["verdict"], line["reason"]) == (0, "unsigned", None)
    (one,) = line["observations"]
    assert (one["order_id"], one["status"], one["paid"]) == (
        "merchant456",
        "captured",
        {"value": 2500, "currency": "EUR"},
    )
    page = json.dumps({**json.loads(answer), **json.loads(vector("S05"))})
    assert (
        inspect("omnikassa", "shop-nl", "--kind", "response", inspect.file("b", page))[1][0]["reason"]
        == "bad_signature"
    )


def test_return_url_may_be_json_file_query_or_url(inspect: Inspect) -> None:
    parameters = json.loads(vector("U01"))
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    file, address = inspect.file("a", vector("U01")), inspect.file("b", f"https://shop.example/back?{query}\n")
    words = ("omnikassa", "shop-nl", "--kind", "return-url")
    for rest in ((file, address), ("--query", query)):
        code, lines, _ = inspect(*words, *rest)
        assert code == 0
        assert {(line["verdict"], line["lookup"]) for line in lines} == {("authentic", None)}
    code, (line,), _ = inspect(*words, "--query", query.replace("77", "78"))
    assert (code, line["reason"]) == (1, "bad_signature")
    assert inspect(*words, inspect.file("c", "{"))[1][0]["reason"] == "malformed"
    assert inspect(*words, "--query", f"{query}&status=CANCELLED")[1][0]["reason"] == "malformed"
    for own in ("next=/a?b=1", "tag=a&tag=b", "next=https://shop.example/?a=b"):
        assert inspect(*words, "--query", f"{query}&{own}")[1][0]["verdict"] == "authentic"


def test_return_url_of_trust_payments_is_hashed_as_a_notification(inspect: Inspect) -> None:
    vector = vectors("trustpayments")["signature_vectors"][0]
    words = ("trustpayments", "shop-uk", "--kind", "return-url")
    for rest in (("--query", vector["body"]), (inspect.file("b", f"https://shop.example/back?{vector['body']}"),)):
        code, (line,), _ = inspect(*words, *rest)
        assert (code, line["verdict"], line["lookup"]) == (0, "authentic", None)
    assert inspect(*words, "--query", f"{vector['body']}&errorcode=1")[1][0]["verdict"] == "rejected"


def test_get_call_is_verified_by_its_query(inspect: Inspect) -> None:
    code, (line,), _ = inspect("nevogate", "shop-hu", "--query", f"TransactionId={TRANSACTION}")
    assert (code, line["file"], line["verdict"]) == (0, None, "unsigned")
    assert line["lookup"]["reference"] == TRANSACTION


def test_alert_causes_no_lookup(inspect: Inspect) -> None:
    file = inspect.file("a", '{"alertNoSuccessTransaction":{"storeName":"sdk_test"}}')
    code, (line,), _ = inspect("nevogate", "shop-hu", file)
    assert (code, line["verdict"], line["lookup"]) == (0, "unsigned", None)
    assert line["detail"].startswith("alertNoSuccessTransaction (no_success, raised)")


def test_form_with_an_unknown_field_is_authentic_and_says_so(inspect: Inspect) -> None:
    values = {"errorcode": "0", "sitereference": "test_site12345", "storecredit": "9", "transactionreference": "1-2-3"}
    digest = sha256("".join([*values.values(), "PASSWORD"]).encode()).hexdigest()
    file = inspect.file("form", urlencode({**values, "responsesitesecurity": digest}))
    code, (line,), _ = inspect("trustpayments", "shop-uk", file)
    assert (code, line["verdict"], line["reason"]) == (0, "authentic", None)
    assert line["lookup"]["reference"] == "1-2-3"
    assert "not in the merchant's extra_fields" in line["detail"]
    assert "storecredit" not in line["detail"]


def test_response_shows_when_a_payment_is_looked_up_again(inspect: Inspect) -> None:
    file = inspect.file("answer", answer(card("0", sitereference="test_site12345")).decode())
    at = ("--at", "2026-06-01T12:00:00Z")
    code, (line,), _ = inspect("trustpayments", "shop-uk", "--kind", "response", *at, file)
    (one,) = line["observations"]
    assert (code, one["status"], one["secured"], one["order_role"]) == (0, "authorised", True, "whole")
    # from the morning after the due date, for 8 days
    assert one["follow"] == {
        "reference": "1-2-3",
        "due": "2026-06-02T08:00:00.000Z",
        "until": "2026-06-09T08:00:00.000Z",
        "settles_by": "2026-06-02T08:00:00.000Z",
    }


def test_amount_with_other_decimals_is_named_and_left_out(inspect: Inspect) -> None:
    file = inspect.file("answer", answer(card("100", sitereference="test_site12345", mainamount="1050")).decode())
    code, (line,), _ = inspect("trustpayments", "shop-uk", "--kind", "response", file)
    assert (code, line["verdict"]) == (0, "unsigned")
    assert (line["observations"][0]["amount"], line["observations"][0]["paid"]) == (None, None)
    assert "currency_decimals" in line["detail"]


def test_order_that_is_no_text_is_one_line_and_no_crash(inspect: Inspect) -> None:
    file = inspect.file("a", f'{{"TransactionId":"{TRANSACTION}","ResultCode":"PENDING","OrderId":"\\ud800"}}')
    code, (line,), _ = inspect("nevogate", "shop-hu", "--kind", "response", file)
    assert (code, line["verdict"], line["reason"]) == (1, "rejected", "malformed")


def test_standard_input_is_verified_byte_for_byte(inspect: Inspect, monkeypatch: pytest.MonkeyPatch) -> None:
    body = vectors("trustpayments")["signature_vectors"][0]["body"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(body.encode())))
    code, (line,), _ = inspect("trustpayments", "shop-uk", "-")
    assert (code, line["file"], line["lookup"]["reference"]) == (0, "-", "2-44-66")


@pytest.mark.parametrize(
    ("provider", "merchant", "words", "says"),
    [
        ("omnikassa", "shop-nl", (), "A FILE (- reads standard input) or --query must be given"),
        ("omnikassa", "shop-xx", ("f",), "(shop-env, shop-nl), got 'shop-xx'"),
        ("omnikassa", "shop-uk", ("f",), "(shop-env, shop-nl), got 'shop-uk'"),
        ("omnikassa", "shop-nl", ("--at", "noon", "f"), "--at must be an RFC 3339 time with offset"),
        ("omnikassa", "shop-nl", ("/nowhere/at/all",), "cannot be read"),
        ("nevogate", "shop-hu", ("--kind", "return-url", "f"), "it signs no return URL"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    inspect: Inspect, provider: str, merchant: str, words: tuple[str, ...], says: str
) -> None:
    code, lines, err = inspect(provider, merchant, *words)
    assert (code, lines) == (2, [])
    assert says in err
    assert len(err.splitlines()) == 1


def test_unreadable_secret_is_exit_code_2(inspect: Inspect) -> None:
    code, lines, err = inspect("omnikassa", "shop-env", inspect.file("a", vector("N06")))
    assert (code, lines) == (2, [])
    assert "PAYNOTIFY_TEST_NOT_SET" in err


def test_api_credentials_are_not_needed(inspect: Inspect) -> None:
    config = inspect.folder / "paynotify.yaml"
    elsewhere = "{env: PAYNOTIFY_TEST_NOT_SET}"
    text = CONFIG.replace("password: {value: pw}", f"password: {elsewhere}")
    text = text.replace("api_key: {value: k}", f"api_key: {elsewhere}")
    text = text.replace("poi_id: 5000,", f"poi_id: 5000, refresh_token: {elsewhere},")
    assert text.count("PAYNOTIFY_TEST_NOT_SET") == 5
    config.write_text(text, "utf-8")
    assert inspect("omnikassa", "shop-nl", *AT, inspect.file("a", vector("N06")))[0] == 0
    assert inspect("nevogate", "shop-hu", "--query", f"TransactionId={TRANSACTION}")[0] == 0
    code, (line,), _ = inspect("trustpayments", "shop-uk", inspect.file("b", "errorcode=0&responsesitesecurity=x"))
    assert (code, line["reason"]) == (1, "bad_signature")


def test_merchant_is_named_unless_there_is_only_one(inspect: Inspect, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(inspect.folder / "paynotify.yaml")
    file = inspect.file("call", "{}")
    assert main(["inspect", "--config", config, "--provider", "nevogate", file]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "rejected"
    assert main(["inspect", "--config", config, "--provider", "omnikassa", file]) == 2
    assert "--merchant must be given; of omnikassa there are 2" in capsys.readouterr().err


def test_headers_and_keys_have_a_form(inspect: Inspect) -> None:
    file = inspect.file("call", "{}")
    code, _, err = inspect("omnikassa", "shop-nl", "--header", "no-value", file)
    assert (code, "NAME=VALUE" in err) == (2, True)
    code, _, err = inspect("omnikassa", "shop-nl", "--jwks", file, file)
    assert (code, "has no public keys" in err) == (2, True)
