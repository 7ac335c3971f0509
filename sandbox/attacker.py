"""Calls from unauthenticated callers to a notification URL: forged, altered, replayed and malformed ones."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode

import httpx

_FORM: Final = "application/x-www-form-urlencoded; charset=UTF-8"
_JSON: Final = "application/json"
_TOO_LARGE_BYTES: Final = 80 * 1024
_EVENT: Final = "merchant.order.status.changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One call. ``status`` is the HTTP status of a correct ingress; ``kind`` names the attack."""

    kind: str
    path: str
    body: bytes = b""
    content_type: str = _JSON
    method: str = "POST"
    query: str = ""
    status: int = 200


class Attacker:
    """Sends attacks to the ingress at ``address``, without knowing any secret."""

    def __init__(self, address: str, seed: int = 1) -> None:
        self._client = httpx.Client(base_url=address, timeout=10.0)
        # not the seed alone: with the seed of a simulator it would invent ids that exist there
        self.chance = random.Random(f"attacker {seed}")

    def send(self, attack: Attack) -> int:
        """The HTTP status of the response; 0 if the connection was closed without one."""
        try:
            return self._client.request(
                attack.method,
                attack.path + (f"?{attack.query}" if attack.query else ""),
                content=attack.body,
                headers={"Content-Type": attack.content_type},
            ).status_code
        except httpx.TransportError:
            return 0

    def close(self) -> None:
        self._client.close()

    def malformed(self, merchants: Mapping[str, str]) -> list[Attack]:
        """Malformed calls, and calls to unknown merchants. ``merchants`` has one merchant for each provider."""
        attacks = [
            Attack(kind="unknown merchant", path="/notifications/omnikassa/nobody", body=b"{}", status=404),
            Attack(kind="unknown provider", path="/notifications/nobody/shop", body=b"{}", status=404),
        ]
        for provider, merchant in merchants.items():
            path = f"/notifications/{provider}/{merchant}"
            attacks += [
                Attack(kind="truncated JSON", path=path, body=b'{"commonData": {"transactionId": "a4d6'),
                Attack(kind="random bytes", path=path, body=self.chance.randbytes(512)),
                Attack(kind="deep JSON", path=path, body=b"[" * 30_000),
                Attack(kind="empty body", path=path),
                Attack(kind="other content", path=path, body=b"<order>1</order>", content_type="text/xml"),
                Attack(kind="huge body", path=path, body=b"x" * _TOO_LARGE_BYTES, status=413),
                Attack(kind="wrong method", path=path, method="DELETE", status=405),
            ]
        return attacks

    def forged_ping(self, merchant: str, poi_id: int) -> Attack:
        """An OmniKassa ping with an invented token and signature."""
        token = ".".join(
            base64.urlsafe_b64encode(part).rstrip(b"=").decode()
            for part in (b'{"alg":"ES256"}', json.dumps({"no#": poi_id}).encode(), self.chance.randbytes(64))
        )
        ping = {
            "authentication": token,
            "expiry": "2099-01-01T00:00:00.000+01:00",
            "eventName": _EVENT,
            "poiId": poi_id,
            "signature": self.chance.randbytes(64).hex(),
        }
        return Attack(kind="forged ping", path=f"/notifications/omnikassa/{merchant}", body=json.dumps(ping).encode())

    def forged_form(self, merchant: str, site: str, transaction: str) -> Attack:
        """A Trust Payments notification about a real transaction, with an invented hash."""
        fields = {
            "errorcode": "0",
            "orderreference": "FREE-GOODS",
            "paymenttypedescription": "VISA",
            "requestreference": "A1",
            "settlestatus": "100",
            "sitereference": site,
            "transactionreference": transaction,
            "notificationreference": "1-A1",
            "responsesitesecurity": self.chance.randbytes(32).hex(),
        }
        return _form("forged hash", merchant, fields)

    def unsigned_form(self, merchant: str, site: str, transaction: str) -> Attack:
        """The same notification without a hash."""
        fields = {"errorcode": "0", "settlestatus": "100", "sitereference": site, "transactionreference": transaction}
        return _form("no hash", merchant, fields)

    def invented_transaction(self, merchant: str) -> Attack:
        """A Nevogate call about a transaction that does not exist; such calls are unsigned, so it looks genuine."""
        body = json.dumps({"commonData": {"transactionId": self.chance.randbytes(16).hex()}}).encode()
        return Attack(kind="invented transaction", path=f"/notifications/nevogate/{merchant}", body=body)


def replayed(sent: Mapping[str, str]) -> Attack:
    """A genuine call again, as an eavesdropper recorded it (`Control.sent`)."""
    return Attack(
        kind="replay",
        path=sent["path"],
        body=sent["body"].encode(),
        content_type=sent["content_type"],
        method=sent["method"],
        query=sent["query"],
    )


def resplit(sent: Mapping[str, str]) -> list[Attack]:
    """A genuine Trust Payments notification of a decline, re-split so that the same hash says "paid".

    The hash covers the values without separators and not the names, so no password is needed. The first attack uses
    only fields that the merchant allows, the second adds one of its own.
    """
    merchant = sent["path"].rpartition("/")[2]
    genuine = dict(parse_qsl(sent["body"], keep_blank_values=True))
    code = genuine["errorcode"]
    if not code.endswith("0") or len(code) < 2:
        return []
    names = sorted(name for name in genuine if name not in ("notificationreference", "responsesitesecurity"))
    before = names.index("errorcode") - 1
    altered = {**genuine, "errorcode": "0", "notificationreference": "1-A2"}
    attacks = []
    if before >= 0:
        moved = {**altered, names[before]: genuine[names[before]] + code[:-1]}
        attacks.append(_form("re-split hash", merchant, moved))
    between = "errorcod"  # sorts directly before errorcode
    attacks.append(_form("re-split hash, own field", merchant, {**altered, between: code[:-1]}))
    return attacks


def _form(kind: str, merchant: str, fields: Mapping[str, str]) -> Attack:
    body = urlencode(sorted(fields.items())).encode()
    return Attack(kind=kind, path=f"/notifications/trustpayments/{merchant}", body=body, content_type=_FORM)
