"""The ingress's routes as an OpenAPI 3.1 document, from the route table."""

from __future__ import annotations

from typing import Any, Final

from schemas.providers import provider_contracts

_RETRY_AFTER: Final = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}

_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "200": {"description": "Stored: the brokers have acknowledged the record. The body is empty."},
    "400": {"description": "The body could not be read at all."},
    "404": {"description": "No such provider or merchant."},
    "405": {"description": "Not a method of this provider."},
    "408": {"description": "The body came too slowly."},
    "413": {"description": "The body is longer than the configured limit (64 KiB)."},
    "429": {"description": "Over the route's rate.", "headers": _RETRY_AFTER},
    "431": {"description": "The request's head is longer than the configured limit (16 KiB)."},
    "503": {"description": "Not stored; send it again.", "headers": _RETRY_AFTER},
}


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
                **{method.lower(): _operation(provider, method) for method in contract.route.methods},
            }
            for provider, contract in provider_contracts().items()
        },
    }


def _operation(provider: str, method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{provider}{method.capitalize()}",
        "summary": f"A call of {provider}, stored as received.",
        "responses": _ANSWERS,
    }
    if method == "POST":
        operation["requestBody"] = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
    return operation
