"""Writes ``docs/reference/http.md``: the routes and answers of the ingress, the console's API and the management port.

Run it with ``python -m paynotify.ops.generate_http``; a unit test compares the page with the tables it is made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from paynotify.schemas.api.operations import OPERATIONS, PREFIX, ApiOperation
from paynotify.schemas.api.problems import PROBLEMS, TYPE_PREFIX, ProblemKind
from paynotify.schemas.generate import markdown
from paynotify.schemas.ingress import HEAD_TOO_LARGE, RESPONSES, IngressResponse
from paynotify.schemas.providers import ProviderContract, provider_contracts

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "http.md"

_INTRODUCTION: Final = """\
# HTTP

<!-- Generated from the tables of routes and answers by `python -m paynotify.ops.generate_http`. Do not edit. -->

The ingress serves the providers' webhooks on its port (8080). Expose nothing else to the internet.
[`schemas/json/openapi.json`](../../schemas/json/openapi.json) describes it as OpenAPI 3.1.
"""
_ROUTES: Final = """\
## Routes

`MERCHANT` is the merchant's `id`. The URL of a merchant with `url_tokens` ends with one of them, as `/TOKEN` or as
`?token=TOKEN`. The key decides the partition, so that the calls of one transaction stay in order.
"""
_ROUTE_HEADER: Final = ("route", "methods", "record's key", "request headers stored", "answer once it is stored")
_ANSWERS: Final = """\
## Answers

Answers have no body, unless a route has one of its own. The outcome is the label of `paynotify_ingest_requests_total`.
"""
_ANSWER_HEADER: Final = ("status", "outcome", "meaning", "headers")
_API: Final = f"""\
## The console's API

`paynotify console` serves it below `{PREFIX}`, for programs such as a shop's back office. It only reads.
[`schemas/json/openapi-console.json`](../../schemas/json/openapi-console.json) describes it as OpenAPI 3.1;
[the console's page](../operations/console.md#the-api) says how to make a token.
"""
_API_HEADER: Final = ("path", "answers", "parameters", "scope")
_PROBLEMS: Final = f"""\
A refusal is `application/problem+json` (RFC 9457). Its `type` is `{TYPE_PREFIX}NAME`.
"""
_PROBLEM_HEADER: Final = ("status", "name", "meaning", "headers")
_MANAGEMENT: Final = """\
## Management port

Both processes serve it on port 9090, without authentication: keep it off the internet. `HEAD` works too.

| path | answers 200 | answers 503, with what is wrong |
| --- | --- | --- |
| `/startz` | the process has started | it still joins its groups or restores state |
| `/livez` | a restart would not help | the event loop hangs, or a partition stalled |
| `/readyz` | the process can work | brokers, topics or state are missing, a partition halted, or it stops |
| `/metrics` | the [metrics](metrics.md) in Prometheus' text format |  |
"""


def page() -> str:
    """The Markdown page."""
    routes = markdown.table(_ROUTE_HEADER, map(_route, provider_contracts().values()))
    answers = markdown.table(_ANSWER_HEADER, _answers())
    api = markdown.table(_API_HEADER, map(_api_row, OPERATIONS))
    problems = markdown.table(_PROBLEM_HEADER, map(_problem_row, sorted(PROBLEMS, key=lambda one: one.status)))
    ingress = [_INTRODUCTION, _ROUTES, *routes, "", _ANSWERS, *answers, ""]
    return "\n".join([*ingress, _API, *api, "", _PROBLEMS, *problems, "", _MANAGEMENT])


def _api_row(one: ApiOperation) -> tuple[str, ...]:
    named = ", ".join(f"`{parameter.name}`" for parameter in one.parameters if parameter.place != "path")
    return f"`{one.path}`", one.summary, named, f"`{one.scope}`"


def _problem_row(one: ProblemKind) -> tuple[str, ...]:
    headers = ["`Retry-After`"] * one.retry_after + ["`WWW-Authenticate`"] * (one.status == 401)
    return str(one.status), f"`{one.name}`", one.title, ", ".join(headers)


def _route(contract: ProviderContract) -> tuple[str, ...]:
    route = contract.route
    methods = ", ".join(route.methods)
    key = "`MERCHANT`" if contract.one_queue_per_merchant else "`MERCHANT/TRANSACTION`"
    headers = ", ".join(f"`{name.decode()}`" for name in route.stored_headers)
    answer = f"200, `{route.stored.body.decode()}`" if route.stored.body else "200"
    return f"`/notifications/{contract.name}/MERCHANT`", methods, key, headers, answer


def _answers() -> Iterator[tuple[str, ...]]:
    """One row for each answer, with all outcomes that it stands for."""
    outcomes: Mapping[IngressResponse, list[str]] = {response: [] for response in RESPONSES.values()}
    for outcome, response in RESPONSES.items():
        outcomes[response].append(f"`{outcome.value}`")
    rows = [*outcomes.items(), (HEAD_TOO_LARGE, ["none: the request is not parsed yet"])]
    for response, names in sorted(rows, key=lambda row: row[0].status):
        headers = ["`Retry-After`"] * response.retry_after + ["`Connection: close`"] * response.close
        yield str(response.status), ", ".join(names), response.meaning, ", ".join(headers)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
