"""The ingress as an OpenAPI 3.1 document, from the tables of its routes and responses."""

from __future__ import annotations

from typing import Any, Final

from paynotify.schemas.ingress import HEAD_TOO_LARGE, RESPONSES, IngressResponse, RequestOutcome
from paynotify.schemas.providers import provider_contracts
from paynotify.schemas.routes import Answer, Route

_RETRY_AFTER: Final = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}


def openapi(version: str) -> dict[str, Any]:
    """The document: one path per provider, its methods from the route table."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "paynotify ingress",
            "version": version,
            "description": "Takes the payment providers' webhooks. A 200 means stored, nothing else.",
        },
        "paths": {
            f"/notifications/{provider}/{{merchant}}": {
                "parameters": [{"name": "merchant", "in": "path", "required": True, "schema": {"type": "string"}}],
                **{method.lower(): _operation(provider, method, contract.route) for method in contract.route.methods},
            }
            for provider, contract in provider_contracts().items()
        },
    }


def _operation(provider: str, method: str, route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{provider}{method.capitalize()}",
        "summary": f"A call of {provider}, stored as received.",
        "responses": _responses(route.stored),
    }
    if method == "POST":
        operation["requestBody"] = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
    return operation


def _responses(stored: Answer) -> dict[str, dict[str, Any]]:
    responses = sorted({*RESPONSES.values(), HEAD_TOO_LARGE}, key=lambda one: one.status)
    documented = {str(one.status): _response(one) for one in responses}
    documented[str(RESPONSES[RequestOutcome.STORED].status)].update(_body(stored))
    return documented


def _body(stored: Answer) -> dict[str, Any]:
    """The body of a response; most have none."""
    if not stored.body:
        return {}
    return {"content": {stored.content_type: {"schema": {"type": "string", "const": stored.body.decode()}}}}


def _response(response: IngressResponse) -> dict[str, Any]:
    headers = {"headers": _RETRY_AFTER} if response.retry_after else {}
    return {"description": response.meaning, **headers}
