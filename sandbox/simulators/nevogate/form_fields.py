"""The fields of a call of the gateway's API: url-encoded as in its documents, or multipart as from its SDK."""

from __future__ import annotations

from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

from paynotify.sandbox.simulators.base import SimulatorRequest


def form_fields(request: SimulatorRequest) -> dict[str, str]:
    """The form's fields, url-encoded or multipart; empty where the body is neither."""
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    if content_type.startswith("multipart/form-data"):
        head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
        message = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + request.body)
        fields = {}
        for part in message.iter_parts():
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                name = str(part.get_param("name", header="content-disposition"))
                fields[name] = content.decode("utf-8", "replace").rstrip("\r\n")
        return fields
    return {}
