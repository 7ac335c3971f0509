"""The simulated gateway's codes, times and responses to queries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.simulators.base import SimulatorResponse, json_reply
from sandbox.simulators.trustpayments.query import GatewayRecord
from schemas.status import Status

MESSAGES: Final[Mapping[str, str]] = {
    "0": "Ok",
    "70000": "Decline",
    "71000": "Soft Decline",
    "60010": "Unable to process transaction",
    "60034": "Manual investigation required",
    "60022": "Not authenticated",
    "99999": "Unknown error",
}

_AFTER_AUTHORISATION: Final[Mapping[str, Status]] = {
    "0": "authorised",
    "1": "authorised",
    "2": "suspended",
    "3": "cancelled",
    "10": "authorised",
    "100": "captured",
}

UNCERTAIN: Final = frozenset({"60010", "60034", "70001", "99999", "60020", "62000"})


def status_of(record: GatewayRecord) -> Status:
    """The canonical status that an AUTH record stands for."""
    code = record["errorcode"]
    if code in UNCERTAIN:
        return "pending"
    if code != "0":
        return "declined"
    return _AFTER_AUTHORISATION[record["settlestatus"]]


def gateway_time() -> str:
    """The time as the gateway writes it, GMT."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def error(code: str, message: str, *data: str) -> dict[str, Any]:
    """The part of a response that says why a query failed."""
    failure: dict[str, Any] = {
        "errorcode": code,
        "errormessage": message,
        "requesttypedescription": "ERROR",
        "transactionstartedtimestamp": gateway_time(),
    }
    return {**failure, "errordata": list(data)} if data else failure


def query_response(reference: object, responses: list[dict[str, Any]]) -> SimulatorResponse:
    """The response to a request with this reference."""
    return json_reply(
        200, {"requestreference": str(reference), "version": "1.00", "response": responses, "secrand": "Z0Xk"}
    )
