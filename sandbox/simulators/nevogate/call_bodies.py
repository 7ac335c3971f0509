"""The bodies of the gateway's calls, whose form it has not published: as JSON, as a form or as multipart.

Shops' handlers read JSON, and some of them a form just as well. Of PayAlert's messages the gateway's page shows one;
the names of the other kinds, and what says that an alert is over, are invented here.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlencode

BodyForm = Literal["json", "form", "multipart"]
AlertKind = Literal["no_success", "critical_error", "unanswerable", "unsuccessful"]

_BOUNDARY: Final = "------------------------0000000000000000"
_CONTENT_TYPES: Final[Mapping[BodyForm, str]] = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "multipart": f"multipart/form-data; boundary={_BOUNDARY}",
}
#: Every spelling of the id in a form; the first is that of the JSON.
_NAMES: Final = (
    "commonData[transactionId]",
    "commonData[TransactionId]",
    "CommonData[TransactionId]",
    "CommonData[transactionId]",
    "TransactionId",
    "transactionId",
)
_ALERTS: Final[Mapping[AlertKind, str]] = {
    "no_success": "alertNoSuccessTransaction",
    "critical_error": "alertCriticalTerminalError",
    "unanswerable": "alertUnanswerableTransaction",
    "unsuccessful": "alertUnsuccessfulTransaction",
}


def call_body(form: BodyForm, common: Mapping[str, str], chance: random.Random) -> tuple[bytes, str]:
    """The body of a NotificationUrl call and its content type; ``common`` is the transaction's data."""
    if form == "json":
        return json.dumps({"commonData": common}).encode(), _CONTENT_TYPES[form]
    name = chance.choice(_NAMES)
    fields = {name if key == "transactionId" else f"commonData[{key}]": value for key, value in common.items()}
    return urlencode(fields).encode() if form == "form" else _multipart(fields), _CONTENT_TYPES[form]


def drawn_form(form_share: float, multipart_share: float, chance: random.Random) -> BodyForm:
    """The form of one body, drawn by the shares; without shares nothing is drawn, so other draws stay as they were."""
    if not form_share and not multipart_share:
        return "json"
    drawn = chance.random()
    if drawn < form_share:
        return "form"
    return "multipart" if drawn < form_share + multipart_share else "json"


def _multipart(fields: Mapping[str, str]) -> bytes:
    parts = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return f"{''.join(parts)}--{_BOUNDARY}--\r\n".encode()


def alert_body(kind: AlertKind, store_name: str, *, over: bool) -> bytes:
    """The body of a PayAlert, or of the message that it is over."""
    about = {"storeName": store_name, **({"state": "over"} if over else {})}
    return json.dumps({_ALERTS[kind]: about}).encode()
