"""The ingress as an OpenAPI 3.1 document, from the tables of its routes and responses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from paynotify.schemas.ingress import HEAD_TOO_LARGE, RESPONSES, IngressResponse, RequestOutcome
from paynotify.schemas.providers import provider_contracts
from paynotify.schemas.routes import Answer, Route

_DESCRIPTION: Final = """\
Takes the payment providers' webhooks. A 200 means stored, nothing else: whether the call is authentic is verified
later, so a forged one is answered like a genuine one. There is one route for each merchant that is configured.

A merchant with `url_tokens` has the token in its URL: behind the path, or as the query parameter `token`. A call with a
wrong token is stored and rejected later, like one with a wrong signature."""

_SCHEME: Final = "urlToken"

#: Response headers by the status that has them.
_HEADERS: Final[dict[int, tuple[str, ...]]] = {405: ("Allow",), 415: ("Accept-Encoding",)}

_COMPONENT_HEADERS: Final = {
    "Retry-After": {"schema": {"type": "integer", "minimum": 0}, "description": "Seconds to wait."},
    "Allow": {"schema": {"type": "string"}, "description": "The methods of the route."},
    "Accept-Encoding": {"schema": {"type": "string"}, "description": "The encodings that a body may have."},
}

_MERCHANT: Final = {
    "name": "merchant",
    "in": "path",
    "required": True,
    "description": "The merchant's id in the configuration.",
    "schema": {"type": "string"},
}

_PATH_TOKEN: Final = {
    "name": "token",
    "in": "path",
    "required": True,
    "description": "The merchant's URL token.",
    "schema": {"type": "string", "format": "password"},
}


def openapi(version: str) -> dict[str, Any]:
    """The document: two paths for each provider, without and with a token; their methods are the route's."""
    routes = {provider: contract.route for provider, contract in provider_contracts().items()}
    return {
        **document_head("paynotify ingress", version, _DESCRIPTION),
        "servers": [
            {
                "url": "https://{host}",
                "description": "The installation's public address.",
                "variables": {"host": {"default": "hooks.shop.example", "description": "Its name."}},
            }
        ],
        "tags": [{"name": provider, "description": f"Calls of {provider}."} for provider in routes],
        "paths": dict(path for provider, route in routes.items() for path in _paths(provider, route)),
        "components": {
            "headers": _COMPONENT_HEADERS,
            "parameters": {"merchant": _MERCHANT, "token": _PATH_TOKEN},
            "responses": {_response_name(one): _response(one) for one in _all_responses()},
            "securitySchemes": {
                _SCHEME: {
                    "type": "apiKey",
                    "in": "query",
                    "name": "token",
                    "description": "The merchant's URL token, where one is configured. It is stored as a digest only.",
                }
            },
        },
    }


def document_head(title: str, version: str, description: str) -> dict[str, Any]:
    """How an OpenAPI document of paynotify begins."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": description,
            "contact": {"name": "paynotify"},
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
    }


def header_references(names: Iterable[str]) -> dict[str, Any]:
    """The headers of an answer, each by its name among the document's components."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _paths(provider: str, route: Route) -> Iterable[tuple[str, dict[str, Any]]]:
    merchant, token = ({"$ref": f"#/components/parameters/{name}"} for name in ("merchant", "token"))
    path = f"/notifications/{provider}/{{merchant}}"
    yield path, _path(provider, route, [merchant], "", [{_SCHEME: []}, {}])
    yield f"{path}/{{token}}", _path(provider, route, [merchant, token], "WithToken", [])


def _path(
    provider: str, route: Route, parameters: list[dict[str, str]], suffix: str, security: list[dict[str, list[str]]]
) -> dict[str, Any]:
    operations = {method.lower(): _operation(provider, method, route, suffix, security) for method in route.methods}
    return {"parameters": parameters, **operations}


def _operation(
    provider: str, method: str, route: Route, suffix: str, security: list[dict[str, list[str]]]
) -> dict[str, Any]:
    with_token = ", with the URL token in the path" if suffix else ""
    operation: dict[str, Any] = {
        "operationId": f"{provider}{method.capitalize()}{suffix}",
        "tags": [provider],
        "summary": f"A call of {provider}{with_token}",
        "description": f"Stored as received on `notifications.{provider}`.{_refused(route)}",
        "security": security,
        "responses": _responses(route.stored),
    }
    parameters = [*_query_parameters(method, route), *_header_parameters(route)]
    if parameters:
        operation["parameters"] = parameters
    if method == "POST":
        body = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {
            "description": "The provider's notification. Any body is stored.",
            "content": dict.fromkeys(route.media_types or ("*/*",), body),
        }
    return operation


def _refused(route: Route) -> str:
    names = ", ".join(f"`{name.decode()}`" for name in sorted(route.refused_headers))
    return f" A call with the header {names} is of another protocol and is answered 400." if names else ""


def _query_parameters(method: str, route: Route) -> list[dict[str, Any]]:
    """What the query of a call without a body says."""
    if method != "GET":
        return []
    return [
        {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
        for name, meaning in route.query.items()
    ]


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name.decode(),
            "in": "header",
            "description": "Stored with the body.",
            "schema": {"type": "string", "maxLength": limit_bytes},
        }
        for name, limit_bytes in route.stored_headers.items()
    ]


def _all_responses() -> list[IngressResponse]:
    return sorted({*RESPONSES.values(), HEAD_TOO_LARGE}, key=lambda one: one.status)


def _responses(stored: Answer) -> dict[str, dict[str, Any]]:
    documented: dict[str, dict[str, Any]] = {
        str(one.status): {"$ref": f"#/components/responses/{_response_name(one)}"} for one in _all_responses()
    }
    if stored.body:
        success = RESPONSES[RequestOutcome.STORED]
        content = {stored.content_type: {"schema": {"type": "string", "const": stored.body.decode()}}}
        documented[str(success.status)] = {**_response(success), "content": content}
    return documented


def _response_name(response: IngressResponse) -> str:
    return f"Status{response.status}"


def _response(response: IngressResponse) -> dict[str, Any]:
    names = (*(("Retry-After",) if response.retry_after else ()), *_HEADERS.get(response.status, ()))
    return {"description": response.meaning, **({"headers": header_references(names)} if names else {})}
