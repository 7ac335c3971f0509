"""The simulated gateway's codes and responses to queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from paynotify.sandbox.simulators.base import SimulatorResponse, json_reply
from paynotify.sandbox.simulators.trustpayments.clock import real_time

MESSAGES: Final[Mapping[str, str]] = {
    "0": "Ok",
    "70000": "Decline",
    "71000": "Soft Decline",
    "60010": "Unable to process transaction",
    "60034": "Manual investigation required",
    "60022": "Not authenticated",
    "99999": "Unknown error",
}


def error(code: str, message: str, *data: str) -> dict[str, Any]:
    """The part of a response that says why a query failed."""
    failure: dict[str, Any] = {
        "errorcode": code,
        "errormessage": message,
        "requesttypedescription": "ERROR",
        "transactionstartedtimestamp": real_time(),
    }
    return {**failure, "errordata": list(data), "data": list(data)} if data else failure


def query_response(reference: object, responses: list[dict[str, Any]]) -> SimulatorResponse:
    """The response to a request with this reference."""
    return json_reply(
        200, {"requestreference": str(reference), "version": "1.00", "response": responses, "secrand": "Z0Xk"}
    )
