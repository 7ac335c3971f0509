"""What is a PayAlert, of which of the four kinds, and whether it is over."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.providers.base import ProviderAlert
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.errors import RejectedNotificationError
from paynotify.schemas.reasons import ALERT_KINDS
from tests.fakes.accounts import TRANSACTION, account, notification

NEVOGATE: Final = provider_specs()["nevogate"].provider


def alert(body: Any, query: str = "") -> ProviderAlert | None:
    raw = body if isinstance(body, str | bytes) else json.dumps(body)
    return NEVOGATE.parse(notification("nevogate", raw, query=query), account("nevogate")).alert


def test_alert_of_the_gateways_page_is_one() -> None:
    told = alert({"alertNoSuccessTransaction": {"storeName": "sdk_test"}})
    assert told == ProviderAlert("alertNoSuccessTransaction", "no_success", "raised")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("alertNoSuccessTransaction", "no_success"),
        ("AlertNoSuccessTransaction", "no_success"),
        ("ALERTNOSUCCESSTRANSACTION", "no_success"),
        ("alertCriticalTerminalError", "critical_error"),
        ("alertTerminalError", "critical_error"),
        ("alertUnanswerableTransaction", "unanswerable"),
        ("alertHighUnanswerableRate", "unanswerable"),
        ("alertUnsuccessfulTransaction", "unsuccessful"),
        ("alertHighUnsuccessfulTransactionRate", "unsuccessful"),
        ("alertSomethingElse", "other"),
    ],
)
def test_kind_is_known_by_the_words_of_the_name(name: str, kind: str) -> None:
    assert alert({name: {"storeName": "sdk_test"}}) == ProviderAlert(name, kind, "raised")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"alertNoSuccessTransactionOver": {"storeName": "s"}}, "over"),
        ({"alertNoSuccessTransactionEnd": {}}, "over"),
        ({"alertEndNoSuccessTransaction": {}}, "over"),
        ({"alertNoSuccessTransaction": {"storeName": "s", "state": "RESOLVED"}}, "over"),
        ({"alertNoSuccessTransaction": {"Status": "ok"}}, "over"),
        ({"alertErrorRateOverThreshold": {}}, "raised"),
        ({"alertNoSuccessTransaction": {"storeName": "over"}}, "raised"),
        ({"alertNoSuccessTransaction": {"state": 5}}, "raised"),
        ({"alertNoSuccessTransaction": None}, "raised"),
    ],
)
def test_alert_that_is_over_says_so_in_its_name_or_state(body: Any, state: str) -> None:
    told = alert(body)
    assert told is not None
    assert told.state == state


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"storeName": "s", "alertX": {}}, "alertX"),
        ({"a": 1, "ALERTX": None, "b": []}, "ALERTX"),
        ({"data": {"alertX": {"storeName": "s"}}}, "alertX"),
        ({"envelope": {"data": {"alertX": {}}}, "at": "now"}, "alertX"),
        ({"commonData": {"alertX": 1}}, "alertX"),
        ({"messages": [5, {"alertX": {"storeName": "s"}}]}, "alertX"),
        ({"alertX": {}, "AlertY": {}, "alert_3": {}}, "alertX AlertY"),
        ("alertX[storeName]=s&alertX[at]=now", "alertX"),
        ("alertX[storeName]=sdk_test", "alertX"),
        ("alertX%5BstoreName%5D=sdk_test&x=1", "alertX"),
        ('--b\r\nContent-Disposition: form-data; name="alertX[storeName]"\r\n\r\ns\r\n--b--\r\n', "alertX"),
        ({"terminalError": {"storeName": "s"}}, "terminalError"),
        ({"down": {"storeName": "s"}}, "down"),
        ({"alert": {}}, "alert"),
        ({"alert<script>": {}}, "alert"),
        ({"alert_2": {}}, "alert"),
        ({"alert" + "x" * 62: {}}, "alert"),
    ],
)
def test_alert_is_found_wherever_the_call_has_one(body: Any, name: str) -> None:
    told = alert(body)
    assert told is not None
    assert told.name == name


@pytest.mark.parametrize(
    "body",
    [
        {"commonData": {}},
        {"CommonData": {"resultCode": "SUCCESSFUL"}},
        {"TransactionId": {}},
        {"two": {}, "objects": {}},
        {"word": "text"},
        {"no word": {}},
        {"x": {}},
        {"a.b": {}},
        {},
        [{"alertX": {}}],
        {"a": {"b": {"c": {"alertX": {}}}}},
        "<html>alert</html>",
    ],
)
def test_call_without_id_and_without_alert_is_malformed(body: Any) -> None:
    with pytest.raises(RejectedNotificationError) as rejected:
        alert(body)
    assert rejected.value.reason == "malformed"


@pytest.mark.parametrize("query", ["", f"TransactionId={TRANSACTION}"])
def test_alert_beside_an_id_is_a_payment(query: str) -> None:
    assert alert({"alertX": 1, **({} if query else {"TransactionId": TRANSACTION})}, query) is None


@given(st.recursive(st.none() | st.text(max_size=8), lambda inner: st.dictionaries(st.text(max_size=12), inner)))
def test_alert_of_any_body_has_a_name_and_words_of_closed_lists(value: Any) -> None:
    told = alert({"alertX": value, "more": value})
    assert told is not None
    names = told.name.split(" ")
    assert all(name.isascii() and name.isalpha() and len(name) <= 66 for name in names)
    assert 1 <= len(names) <= 4
    assert told.kind in ALERT_KINDS
    assert told.state in ("raised", "over")
