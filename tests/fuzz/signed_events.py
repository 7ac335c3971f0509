"""Parsers of signed events: the signature's form and header, the event, the bank's key set, an event as stored."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.processors.providers.smartpay.event import event_in
from paynotify.processors.providers.smartpay.key_set import key_set_in
from paynotify.processors.providers.smartpay.provider import SmartPayProvider
from paynotify.processors.providers.smartpay.signature import check_signature, signature_in
from paynotify.sandbox.simulators.smartpay.key_ring import KeyRing
from tests.fakes.accounts import account, response
from tests.fakes.signed_events import ORDER_ID, event_body
from tests.fuzz.hostile import json_bytes, texts

_KEYS: Final = KeyRing()
_SIGNATURE: Final = _KEYS.signing("ES256").sign(event_body())
_HEAD, _, _SIGN = _SIGNATURE.split(".")
_PUBLISHED: Final = key_set_in(_KEYS.document())
_ALGORITHMS: Final = ("ES256", "RS256")
_SHOP: Final = account("smartpay")
_PROVIDER: Final = SmartPayProvider()

TOLD: Final = {"status": "completed", "total": "1050", "paid": "1050"}

EVENTS: Final = json_bytes(json.loads(event_body()))
KEY_SETS: Final = json_bytes(json.loads(_KEYS.document()))
_headers: Final = json_bytes({"alg": "ES256", "kid": "es256-1", "b64": False, "crit": ["b64"]})
SIGNATURES: Final = (
    texts
    | st.just(_SIGNATURE)
    | st.builds(
        lambda head, sign: f"{base64.urlsafe_b64encode(head).rstrip(b'=').decode()}..{sign}",
        _headers,
        st.just(_SIGN) | texts,
    )
    | st.builds(lambda text: f"{_HEAD}..{text}", texts)
)


def judged_signature(text: str) -> object:
    """The signature, verified with the genuine key."""
    check_signature(signature_in(text.strip(), 8192), event_body(), _PUBLISHED, _ALGORITHMS)
    assert text.strip() == _SIGNATURE, "no other text is a signature of this body"
    return text


def read_event(raw: bytes) -> object:
    """The event, with what it would say of its order."""
    event = event_in(raw)
    if event.claim is not None:
        event.claim.as_status(), event.claim.amount("total"), event.claim.amount("paid")
    return event


def told_event(raw: bytes) -> Any:
    """An event as fetch has stored it."""
    return _PROVIDER.interpret(replace(response(raw, kind="event"), reference=ORDER_ID), _SHOP)
