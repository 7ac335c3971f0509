"""The console's API as an OpenAPI 3.1 document, from the tables of operations and problems and the answers' types."""

from __future__ import annotations

from typing import Any, Final

from paynotify.schemas.api.operations import OPERATIONS, PREFIX, ApiOperation, ApiParameter
from paynotify.schemas.api.problems import MEDIA_TYPE, PROBLEMS, Problem, ProblemKind, by_status
from paynotify.schemas.generate.message_schemas import component_schemas
from paynotify.schemas.generate.openapi import document_head, header_references

_DESCRIPTION: Final = """\
What the console knows, for programs: has an order been paid, what is a payment's newest event, what needs a person.

A token is sent as `Authorization: Bearer TOKEN`, never in a URL. It has scopes, merchants and a rate. The API only
reads, and answers from the console's index: the headers `Index-Behind` and `Index-As-Of` say how far that is behind
the topics. Fields are added within a version, never removed: ignore those that you don't know."""

_SCHEME: Final = "token"
_TAGS: Final = {
    "orders:read": ("orders", "Has an order been paid?"),
    "payments:read": ("payments", "Payments' newest events."),
    "operations:read": ("operations", "What operators look at."),
}
_HEADERS: Final = {
    "Index-Behind": {
        "schema": {"type": "integer", "minimum": 0},
        "description": "How many records of the topics the index has not read yet.",
    },
    "Index-As-Of": {
        "schema": {"type": "string", "format": "date-time"},
        "description": "When the brokers had last told how much there is to read.",
    },
    "ETag": {"schema": {"type": "string"}, "description": "Names the payment's newest event."},
    "Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds to wait."},
    "WWW-Authenticate": {"schema": {"type": "string"}, "description": "How to send the token."},
}
_INDEX_HEADERS: Final = ("Index-Behind", "Index-As-Of")


def api_openapi(version: str) -> dict[str, Any]:
    """The document: one path for each operation."""
    return {
        **document_head("paynotify console API", version, _DESCRIPTION),
        "servers": [
            {
                "url": f"https://{{host}}{PREFIX}",
                "description": "The console's address.",
                "variables": {"host": {"default": "console.shop.example", "description": "Its name."}},
            }
        ],
        "security": [{_SCHEME: []}],
        "tags": [{"name": name, "description": meaning} for name, meaning in _TAGS.values()],
        "paths": {one.path: {"get": _operation(one)} for one in OPERATIONS},
        "components": {
            "schemas": component_schemas([Problem, *(one.answer for one in OPERATIONS)]),
            "headers": _HEADERS,
            "responses": {f"Status{status}": _refusal(kinds) for status, kinds in by_status(PROBLEMS).items()},
            "securitySchemes": {
                _SCHEME: {"type": "http", "scheme": "bearer", "description": "A token of `console.api_tokens`."}
            },
        },
    }


def _operation(one: ApiOperation) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": one.name,
        "tags": [_TAGS[one.scope][0]],
        "summary": one.summary,
        "description": f"{one.description} The token needs the scope `{one.scope}`.",
        "security": [{_SCHEME: []}],
    }
    if one.parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in one.parameters]
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{one.answer.__name__}"}}}
    headers = header_references([*_INDEX_HEADERS, *(("ETag",) if one.has_tag else ())])
    answers: dict[int, dict[str, Any]] = {200: {"description": "The answer.", "headers": headers, "content": content}}
    answers |= {status: {"description": meaning, "headers": headers} for status, meaning in one.further}
    answers |= {status: {"$ref": f"#/components/responses/Status{status}"} for status in by_status(one.all_problems())}
    operation["responses"] = {str(status): answers[status] for status in sorted(answers)}
    return operation


def _parameter(one: ApiParameter) -> dict[str, Any]:
    required = {"required": True} if one.required else {}
    return {"name": one.name, "in": one.place, "description": one.meaning, **required, "schema": dict(one.schema)}


def _refusal(kinds: tuple[ProblemKind, ...]) -> dict[str, Any]:
    names = ["WWW-Authenticate"] if kinds[0].status == 401 else []
    names += ["Retry-After"] if any(one.retry_after for one in kinds) else []
    answer: dict[str, Any] = {"description": " ".join(f"`{one.name}`: {one.title}" for one in kinds)}
    if names:
        answer["headers"] = header_references(names)
    return {**answer, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
