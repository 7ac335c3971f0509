"""The ingress takes each call of the OpenAPI document, and answers as it says."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from paynotify.schemas.generate.openapi import openapi
from tests.unit.ingest.test_app import TRANSACTION, Web

CONFIGURATION: Final = """
sandbox: true
kafka: {topic_prefix: "test."}
ingest: {max_body_bytes: 100}
merchants:
  - {id: of-omnikassa, provider: omnikassa, poi_id: 1, base_url: "https://nl.example", signing_keys: [{value: k}],
     url_tokens: [{value: right}]}
  - {id: of-trustpayments, provider: trustpayments, site_reference: s, notification_passwords: [{value: p}],
     webservices_url: "https://uk.example", username: u, password: {value: p}, url_tokens: [{value: right}]}
  - {id: of-nevogate, provider: nevogate, store_name: s, api_key: {value: k}, base_url: "https://hu.example",
     url_tokens: [{value: right}]}
  - {id: of-smartpay, provider: smartpay, base_url: "https://nl.example", jwks_file: keys.json,
     refresh_token: {value: t}, url_tokens: [{value: right}]}
"""
DOCUMENT: Final = openapi("1")
CALLS: Final = [
    (path, method) for path, operations in DOCUMENT["paths"].items() for method in operations if method != "parameters"
]


def called(path: str, method: str, **more: Any) -> tuple[Web, int, dict[bytes, bytes], bytes]:
    web = Web(more.pop("response", True), CONFIGURATION)
    provider = path.split("/")[2]
    whole = path.format(merchant=f"of-{provider}", token="right")
    body = [] if method == "get" else [b"{}"]
    return web, *web.call(whole, method=method.upper(), **{"body": body, **more})


def documented(path: str, method: str, status: int) -> dict[str, Any]:
    response: dict[str, Any] = DOCUMENT["paths"][path][method]["responses"][str(status)]
    if "$ref" in response:
        response = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return response


@pytest.mark.parametrize(("path", "method"), CALLS)
def test_documented_call_is_stored_and_answered_as_documented(path: str, method: str) -> None:
    query = b"token=right" if "{token}" not in path else b""
    web, status, headers, body = called(path, method, query=query)
    assert status == 200
    content = documented(path, method, 200).get("content", {})
    assert headers.get(b"content-type", b"").decode() in {*content, ""}
    assert body.decode() in {one["schema"]["const"] for one in content.values()} | ({""} if not content else set())
    assert web.log.records[0][3]["url-token"], "the token is stored as its digest"


@pytest.mark.parametrize(("path", "method"), CALLS)
@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"response": False}, 503),
        ({"headers": [(b"content-encoding", b"br")]}, 415),
        ({"headers": [(b"content-length", b"1000")]}, 413),
    ],
)
def test_refusal_has_the_headers_that_are_documented(path: str, method: str, more: Any, status: int) -> None:
    _, told, headers, _ = called(path, method, **more)
    assert told == status
    promised = {name.lower() for name in documented(path, method, told).get("headers", {})}
    assert promised == {name.decode() for name in headers} - {"content-length", "connection"}


def test_wrong_method_is_told_the_right_ones() -> None:
    for path, method in CALLS:
        _, status, headers, _ = called(path, "put")
        assert (status, "Allow" in documented(path, method, 405)["headers"]) == (405, True)
        assert method.upper() in re.split(", ", headers[b"allow"].decode())


def test_query_of_a_get_names_the_payment_of_the_records_key() -> None:
    (name,) = (one["name"] for one in DOCUMENT["paths"]["/notifications/nevogate/{merchant}"]["get"]["parameters"])
    web, *_ = called("/notifications/nevogate/{merchant}", "get", query=name.encode() + b"=" + TRANSACTION)
    assert web.log.records[0][1] == b"of-nevogate/" + TRANSACTION
