"""What breaks a consumer, a shop or a provider is refused; what only adds is not."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from paynotify.schemas.generate import released
from paynotify.schemas.generate.contract_changes import asyncapi_changes, openapi_changes
from paynotify.schemas.generate.json_schema import documents
from paynotify.schemas.generate.released import FOLDER, breaking_changes, keep, main
from paynotify.schemas.generate.schema_changes import SchemaPair, schema_changes

Document = dict[str, Any]

ASYNCAPI: Final[Document] = orjson.loads((FOLDER / "asyncapi.json").read_bytes())
INTERNAL: Final[Document] = orjson.loads((FOLDER / "asyncapi-internal.json").read_bytes())
OPENAPI: Final[Document] = orjson.loads((FOLDER / "openapi.json").read_bytes())
CONSOLE: Final[Document] = orjson.loads(documents()["openapi-console.json"])


def changed(document: Document, change: Callable[[Document], object]) -> Document:
    copy = deepcopy(document)
    change(copy)
    return copy


def fields(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]["properties"]
    return found


def message(document: Document, name: str) -> Document:
    found: Document = document["components"]["messages"][name]
    return found


def settings(document: Document, channel: str) -> Document:
    found: Document = document["channels"][channel]["bindings"]["kafka"]["topicConfiguration"]
    return found


def required(document: Document, name: str) -> list[str]:
    found: list[str] = document["components"]["schemas"][name]["required"]
    return found


def test_todays_contract_breaks_nothing_of_the_last_release() -> None:
    assert breaking_changes(FOLDER) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d["channels"].pop("payments.latest"), "payments.latest is gone"),
        (
            lambda d: fields(d, "PaymentStatus").pop("paid"),
            "payments.status PaymentStatusChanged value/paid is gone",
        ),
        (
            lambda d: fields(d, "PaymentStatus").pop("settles_by"),
            "payments.status PaymentStatusChanged value/settles_by is gone",
        ),
        (
            lambda d: fields(d, "PaymentStatus")["sequence"].update(type="string"),
            "payments.status PaymentStatusChanged value/sequence can be string",
        ),
        (
            lambda d: fields(d, "Money")["value"].update(type="number"),
            "payments.status PaymentStatusChanged value/amount/value can be number",
        ),
        (
            lambda d: fields(d, "PaymentStatus")["event_id"].update(type=["string", "null"]),
            "payments.status PaymentStatusChanged value/event_id can be null",
        ),
        (
            lambda d: fields(d, "PaymentStatus")["status"]["enum"].append("disputed"),
            "payments.status PaymentStatusChanged value/status can be 'disputed'",
        ),
        (
            lambda d: fields(d, "PaymentStatus").update(status={"type": "string"}),
            "payments.status PaymentStatusChanged value/status can be any string",
        ),
        (
            lambda d: required(d, "PaymentStatus").remove("fulfilment"),
            "payments.status PaymentStatusChanged value/fulfilment is not always there any more",
        ),
        (
            lambda d: fields(d, "PaymentStatus")["order_role"].update(default="part"),
            "payments.status PaymentStatusChanged value/order_role has another default: 'whole', now 'part'",
        ),
        (
            lambda d: fields(d, "PaymentStatus")["provider_status"].update(additionalProperties={"type": "integer"}),
            "payments.status PaymentStatusChanged value/provider_status/additionalProperties can be integer",
        ),
        (
            lambda d: required(d, "ExpectedPayment").append("final_by"),
            "payments.expected PaymentExpected value/final_by is required now",
        ),
        (
            lambda d: fields(d, "ExpectedPayment").pop("several"),
            "payments.expected PaymentExpected value/several is gone",
        ),
        (
            lambda d: fields(d, "ExpectedPayment")["order_id"].update(maxLength=20),
            "payments.expected PaymentExpected value/order_id has another maxLength: None, now 20",
        ),
        (
            lambda d: fields(d, "RequestedPayment")["action"]["enum"].remove("release"),
            "payments.requested PaymentRequested value/action can't be 'release'",
        ),
        (
            lambda d: message(d, "PaymentExpected")["headers"]["required"].append("ce_id"),
            "payments.expected PaymentExpected headers/ce_id is required now",
        ),
        (
            lambda d: message(d, "PaymentStatusChanged")["headers"]["required"].remove("ce_id"),
            "payments.status PaymentStatusChanged headers/ce_id is not always there any more",
        ),
        (
            lambda d: message(d, "PaymentOverdue")["headers"]["properties"]["ce_type"].update(const="overdue.v2"),
            "payments.overdue PaymentOverdue headers/ce_type can be 'overdue.v2'",
        ),
        (
            lambda d: message(d, "PaymentStatusChanged").update(contentType="application/avro"),
            "payments.status PaymentStatusChanged has another content type: application/json, now application/avro",
        ),
        (
            lambda d: message(d, "PaymentOverdue")["bindings"]["kafka"]["key"].update({"x-template": "{order_id}"}),
            "payments.overdue PaymentOverdue has another key: {merchant}/{order_id}, now {order_id}",
        ),
        (
            lambda d: settings(d, "payments.overdue").update({"retention.ms": 1}),
            "payments.overdue has another retention.ms: 7776000000, now 1",
        ),
        (
            lambda d: settings(d, "payments.latest").update({"cleanup.policy": ["delete"]}),
            "payments.latest has another cleanup.policy: ['compact'], now ['delete']",
        ),
        (
            lambda d: settings(d, "payments.status").update({"retention.bytes": 1}),
            "payments.status has another retention.bytes: None, now 1",
        ),
        (
            lambda d: d["channels"]["operations"]["bindings"]["kafka"].update(partitions=8),
            "operations has 8 partitions, not 4: keys move",
        ),
        (
            lambda d: d["channels"]["payments.status"]["messages"].update(other={}),
            "payments.status carries other, which its readers don't know",
        ),
        (
            lambda d: d["channels"]["payments.status"].update(address="payments.state"),
            "payments.status is payments.state now",
        ),
    ],
)
def test_change_that_breaks_is_found(change: Callable[[Document], object], problem: str) -> None:
    assert problem in list(asyncapi_changes(ASYNCAPI, changed(ASYNCAPI, change)))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: fields(d, "PaymentStatus").update(fee={"$ref": "#/components/schemas/Money"}),
        lambda d: required(d, "OverduePayment").append("reason"),
        lambda d: fields(d, "PaymentStatus")["status"]["enum"].remove("unknown"),
        lambda d: fields(d, "PaymentStatus")["observed_at"].update(format="date-time"),
        lambda d: fields(d, "OperationsEvent")["kind"]["x-extensible-enum"].append("clock_ahead"),
        lambda d: fields(d, "ExpectedPayment").update(customer={"type": "string", "default": ""}),
        lambda d: required(d, "ExpectedPayment").remove("created_at"),
        lambda d: fields(d, "RequestedPayment")["action"]["enum"].append("refund"),
        lambda d: message(d, "PaymentStatusChanged")["headers"]["properties"].update(ce_subject={"type": "string"}),
        lambda d: message(d, "PaymentStatusChanged").update(description="Other words."),
        lambda d: d["channels"].update(more=d["channels"]["operations"]),
    ],
)
def test_change_that_only_adds_breaks_nothing(change: Callable[[Document], object]) -> None:
    assert list(asyncapi_changes(ASYNCAPI, changed(ASYNCAPI, change))) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda d: d["channels"]["lookups.retry"]["parameters"]["step"]["enum"].remove("5"),
            "lookups.{provider}.retry.{step} has lost the step 5",
        ),
        (
            lambda d: required(d, "Lookup").append("arguments"),
            "lookups.{provider} LookupRequested value/arguments is required now",
        ),
        (
            lambda d: required(d, "Lookup").remove("merchant"),
            "lookups.{provider} LookupRequested value/merchant is not always there any more",
        ),
    ],
)
def test_workers_of_two_releases_understand_each_other(change: Callable[[Document], object], problem: str) -> None:
    assert problem in list(asyncapi_changes(INTERNAL, changed(INTERNAL, change)))


def post(document: Document, provider: str) -> Document:
    found: Document = document["paths"][f"/notifications/{provider}/{{merchant}}"]["post"]
    return found


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda d: d["paths"].pop("/notifications/omnikassa/{merchant}/{token}"),
            "POST /notifications/omnikassa/{merchant}/{token} is gone",
        ),
        (
            lambda d: d["paths"]["/notifications/nevogate/{merchant}"].pop("get"),
            "GET /notifications/nevogate/{merchant} is gone",
        ),
        (
            lambda d: post(d, "smartpay")["parameters"][0].update(required=True),
            "POST /notifications/smartpay/{merchant} header x-smartpay-signature is required now",
        ),
        (
            lambda d: post(d, "smartpay")["parameters"].pop(),
            "POST /notifications/smartpay/{merchant} header x-smartpay-event-id is gone",
        ),
        (
            lambda d: post(d, "nevogate")["requestBody"]["content"].pop("multipart/form-data"),
            "POST /notifications/nevogate/{merchant} takes no multipart/form-data any more",
        ),
        (
            lambda d: post(d, "omnikassa")["security"].pop(),
            "POST /notifications/omnikassa/{merchant} is not allowed any more with no token",
        ),
        (
            lambda d: post(d, "smartpay")["responses"]["200"].pop("content"),
            "POST /notifications/smartpay/{merchant} has another answer to what is stored",
        ),
    ],
)
def test_change_that_breaks_a_caller_is_found(change: Callable[[Document], object], problem: str) -> None:
    assert problem in list(openapi_changes(OPENAPI, changed(OPENAPI, change)))


def test_new_path_and_parameter_break_no_caller() -> None:
    def change(document: Document) -> None:
        post(document, "smartpay")["parameters"].append(
            {"in": "header", "name": "x-more", "schema": {"type": "string"}}
        )
        document["paths"]["/notifications/other/{merchant}"] = {}

    assert list(openapi_changes(OPENAPI, changed(OPENAPI, change))) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d["paths"].pop("/search"), "GET /search is gone"),
        (lambda d: fields(d, "OrderReport").pop("kept"), "GET /orders/{merchant}/{order_id} answer/kept is gone"),
        (
            lambda d: fields(d, "OrderReport")["paid"]["enum"].append("perhaps"),
            "GET /orders/{merchant}/{order_id} answer/paid can be 'perhaps'",
        ),
        (lambda d: d["paths"]["/search"]["get"]["parameters"].pop(), "GET /search query q is gone"),
    ],
)
def test_change_that_breaks_a_program_is_found(change: Callable[[Document], object], problem: str) -> None:
    assert problem in "\n".join(openapi_changes(CONSOLE, changed(CONSOLE, change)))


def test_answer_that_grows_breaks_no_program() -> None:
    def change(document: Document) -> None:
        fields(document, "OrderReport")["more"] = {"type": "string"}
        required(document, "OrderReport").append("more")

    assert list(openapi_changes(CONSOLE, changed(CONSOLE, change))) == []


def test_keyword_that_is_not_compared_is_an_error() -> None:
    pair = SchemaPair({"type": "string"}, {"type": "string", "not": {}}, ({}, {}), "output", "value")
    with pytest.raises(ValueError, match="does not know not"):
        list(schema_changes(pair))


def test_contract_that_breaks_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(released, "FOLDER", tmp_path)
    keep(tmp_path)
    earlier = changed(ASYNCAPI, lambda d: fields(d, "PaymentStatus").update(fee={"type": "integer"}))
    (tmp_path / "asyncapi.json").write_bytes(orjson.dumps(earlier))
    assert main(["--keep"]) == 1
    assert "asyncapi.json: payments.status PaymentStatusChanged value/fee is gone" in capsys.readouterr().err
    assert orjson.loads((tmp_path / "asyncapi.json").read_bytes()) == earlier


def test_contract_that_adds_is_kept_under_a_new_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(released, "FOLDER", tmp_path)
    keep(tmp_path)
    earlier = changed(ASYNCAPI, lambda d: fields(d, "PaymentStatus").pop("settles_by"))
    (tmp_path / "asyncapi.json").write_bytes(orjson.dumps(earlier))
    assert main(["--keep"]) == 1
    assert "asyncapi.json has changed, and its version is 1." in capsys.readouterr().err
    earlier["info"]["version"] = "0.9.0"
    (tmp_path / "asyncapi.json").write_bytes(orjson.dumps(earlier))
    assert main(["--keep"]) == 0
    assert "settles_by" in fields(orjson.loads((tmp_path / "asyncapi.json").read_bytes()), "PaymentStatus")


def test_first_contract_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(released, "FOLDER", tmp_path / "released")
    assert main(["--keep"]) == 0
    assert {file.name for file in (tmp_path / "released").iterdir()} >= {file.name for file in FOLDER.iterdir()}
