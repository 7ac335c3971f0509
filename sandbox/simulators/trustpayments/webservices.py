"""The gateway's web services: requests of one user, and TRANSACTIONQUERY among the records of its site."""

from __future__ import annotations

import hmac
import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from paynotify.sandbox.simulators.base import SimulatorRequest, SimulatorResponse
from paynotify.sandbox.simulators.ledger import Truth
from paynotify.sandbox.simulators.trustpayments.clock import real_time
from paynotify.sandbox.simulators.trustpayments.query import GatewayRecord, filter_values, matches, odd_references
from paynotify.sandbox.simulators.trustpayments.responses import error, query_response
from paynotify.sandbox.simulators.trustpayments.settings import TrustPaymentsShop

_MAX_RECORDS: Final = 500


@dataclass(slots=True)
class Entry:
    """One request at the gateway: its record, its site, and the payment of the ledger that it belongs to, if any.

    ``refused``: a query that names it fails.
    """

    record: GatewayRecord
    shop: TrustPaymentsShop
    truth: Truth | None
    visible_seconds: float
    parent: Entry | None = None
    children: list[Entry] = field(default_factory=list)
    refused: bool = False

    @property
    def reference(self) -> str:
        return self.record["transactionreference"]


class Entries:
    """Every request at the gateway, by its reference, its parent and its order."""

    def __init__(self) -> None:
        self.by_reference: dict[str, Entry] = {}
        self._of_order: dict[str, list[Entry]] = defaultdict(list)

    def add(self, entry: Entry) -> Entry:
        self.by_reference[entry.reference] = entry
        self._of_order[entry.record["orderreference"]].append(entry)
        if entry.parent is not None:
            entry.parent.children.append(entry)
        return entry

    def candidates(self, wanted: Mapping[str, list[str]]) -> list[Entry]:
        """Those that the filter's most selective field allows."""
        if "transactionreference" in wanted:
            return self._named(wanted["transactionreference"])
        if "parenttransactionreference" in wanted:
            return [child for one in self._named(wanted["parenttransactionreference"]) for child in one.children]
        if "orderreference" in wanted:
            return [entry for one in dict.fromkeys(wanted["orderreference"]) for entry in self._of_order[one]]
        return list(self.by_reference.values())

    def refused(self, wanted: Mapping[str, list[str]]) -> bool:
        """Whether the gateway refuses a query because of one of the transactions that it names."""
        named = self._named(wanted.get("transactionreference", ()))
        return odd_references(wanted) or any(one.refused for one in named)

    def _named(self, references: Sequence[str]) -> list[Entry]:
        return [self.by_reference[one] for one in dict.fromkeys(references) if one in self.by_reference]


class WebServices:
    """Answers the requests to ``/json/``."""

    def __init__(self, shops: Sequence[TrustPaymentsShop], entries: Entries, counters: Counter[str]) -> None:
        self._shops, self._entries, self._counters = shops, entries, counters

    def answer(self, request: SimulatorRequest) -> SimulatorResponse:
        if request.path != "/json/" or request.method != "POST":
            return SimulatorResponse(404, b"", "text/plain")
        shop = self._authenticated(request)
        if shop is None:
            self._counters["unauthorised"] += 1
            return SimulatorResponse(401, b"Unauthorized", "text/plain")
        try:
            body = json.loads(request.body)
            asked = body["request"]
            requests = asked if isinstance(asked, list) else [asked]
            alias, reference = body.get("alias"), requests[0].get("requestreference", "")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return query_response("", [error("60018", "Invalid request")])
        if alias not in (None, shop.username):
            return query_response(reference, [error("30000", "Invalid field", "alias")])
        self._counters["queries"] += 1
        return query_response(reference, [self._query(one, shop) for one in requests])

    def _authenticated(self, request: SimulatorRequest) -> TrustPaymentsShop | None:
        offered = request.basic()
        for shop in self._shops:
            wanted = (shop.username, shop.password)
            if offered and all(
                hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(offered, wanted, strict=True)
            ):
                return shop
        return None

    def _query(self, query: Any, shop: TrustPaymentsShop) -> dict[str, Any]:
        if not isinstance(query, dict):
            return error("60018", "Invalid request")
        kinds = query.get("requesttypedescriptions")
        if "requesttypedescription" in query and kinds is not None:
            return error("60040", "Conflicting request types")
        if (kinds or [query.get("requesttypedescription")]) != ["TRANSACTIONQUERY"]:
            return error("60023", "Unsupported request type")
        try:
            wanted = filter_values(query.get("filter"))
        except ValueError as wrong:
            return error("60019", "Invalid filter", str(wrong))
        if not wanted:
            return error("60019", "No filter")
        if any(site != shop.site_reference for site in wanted.get("sitereference", ())):
            return error("30000", "Invalid field", "sitereference")
        if self._entries.refused(wanted):
            return error("30000", "Invalid field", "transactionreference")
        found = self._found(wanted, shop)
        self._counters["records"] += len(found)
        answer: dict[str, Any] = {
            "errorcode": "0",
            "errormessage": "Ok",
            "requesttypedescription": "TRANSACTIONQUERY",
            "transactionstartedtimestamp": real_time(),
            "found": str(len(found)),
        }
        if found:  # no records at all is how the gateway says "not found"
            answer["records"] = found
        return answer

    def _found(self, wanted: Mapping[str, list[str]], shop: TrustPaymentsShop) -> list[GatewayRecord]:
        now = time.monotonic()
        found = []
        for entry in self._entries.candidates(wanted):
            visible = entry.shop is shop and entry.visible_seconds <= now and not entry.refused
            if visible and matches(entry.record, wanted):
                found.append(entry.record)
        return found[:_MAX_RECORDS]
