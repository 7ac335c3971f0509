"""Tokens of the console's forms: another site can send a form, but can't read the token that belongs into it.

A token is bound to the browser's session and to who is known in it. It doubles the check of the origin, which depends
on what the browser says.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

#: The field of a form, and the header of a request by script, that holds the token.
FORM_FIELD: Final = "form_token"
FORM_HEADER: Final = "x-form-token"

_MAX_FORM_BYTES: Final = 64 * 1024
_MAX_FORM_FIELDS: Final = 200
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_SESSION_KEY: Final = "forms"


def form_token(request: Request) -> str:
    """The token for the forms of a page. The first one begins the browser's session."""
    identity = getattr(request.state, "identity", None)
    who = f"{identity.kind}\n{identity.name}" if identity is not None else ""
    secret = request.session.get(_SESSION_KEY)
    if secret is None:
        secret = request.session[_SESSION_KEY] = secrets.token_urlsafe(24)
    return hmac.new(str(secret).encode(), who.encode(), hashlib.sha256).hexdigest()


def form_of(request: Request) -> FormData:
    """What the form says that was sent. The routes' guard has read it."""
    found: FormData = request.state.form
    return found


async def check_form(request: Request) -> None:
    """Read a form, and let it pass if it was on a page of this session.

    Raises:
        HTTPException: it is no form, is too long, or has another token.
    """
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise HTTPException(411, "Say how long the form is.")
    if int(length) > _MAX_FORM_BYTES:
        raise _too_long()
    if int(length) and request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
        raise HTTPException(415, f"Send the form as {_FORM_TYPE}.")
    try:
        fields = parse_qsl((await _body(request)).decode(), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS)
    except ValueError:
        raise HTTPException(400, f"A form is UTF-8 text of at most {_MAX_FORM_FIELDS} fields.") from None
    form = FormData([*fields])
    request.state.form = form
    given = request.headers.get(FORM_HEADER) or form.get(FORM_FIELD)
    known = request.session.get(_SESSION_KEY) is not None
    if not known or not isinstance(given, str) or not hmac.compare_digest(given.encode(), form_token(request).encode()):
        raise HTTPException(403, "This page is too old, or of another session. Load it again, and send the form anew.")


async def _body(request: Request) -> bytes:
    """What was sent, whatever the head says of it: a body in chunks may go on without an end.

    Raises:
        HTTPException: it is too long, or does not come.
    """
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > _MAX_FORM_BYTES:
                raise _too_long()
    except ClientDisconnect:
        raise HTTPException(400, "The form was cut off.") from None
    return bytes(body)


def _too_long() -> HTTPException:
    return HTTPException(413, f"A form has at most {_MAX_FORM_BYTES} bytes.")
