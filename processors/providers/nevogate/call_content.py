"""What a NotificationUrl or ResponseUrl call carries: the transactions it names, and its members.

The vendor has not published what it sends. Shops read JSON, and some read it with frameworks that take a form just as
well; the ResponseUrl has its id in the query. So the id is accepted in each of them, in both spellings of its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from processors.providers.base import Notification
from processors.providers.form import Fields, fields
from processors.providers.json_body import json_object
from processors.providers.multipart import multipart_fields
from processors.providers.nevogate.interpretation import is_transaction
from schemas.errors import RejectedNotificationError

_ID: Final = re.compile(rb"(?:[Tt]ransactionId|[Cc]ommonData\[[Tt]ransactionId\])\Z")


@dataclass(frozen=True, slots=True)
class CallContent:
    """The different ids that a call names, wherever they are, and its body: a JSON object, or a form's fields.

    ``problem`` is what is wrong with a body that is neither, as the beginning of a sentence.
    """

    transactions: set[str]
    members: Mapping[str, Any]
    form: Fields
    problem: str = ""


def content_of(notification: Notification) -> CallContent:
    """The content of a call, whatever its content type says; a GET has no body."""
    queried = fields(notification.query.encode("utf-8", "surrogatepass"))  # a shell's argument may be no UTF-8
    body = b"" if notification.method == "GET" else notification.body.strip()
    members: Mapping[str, Any] = {}
    form: Fields = []
    problem = ""
    try:
        members = json_object(body, lambda text: RejectedNotificationError("malformed", text)) if body else {}
    except RejectedNotificationError as error:
        form = multipart_fields(body) or fields(body)
        problem = f"the body {error}, and there is "
    transactions = {*_in_members(members), *_in_fields(form), *_in_fields(queried)}
    return CallContent(transactions, members, form, problem)


def _in_members(members: Mapping[str, Any]) -> Iterator[str]:
    """The ids at the top and in the transaction's data; anything else in their places is ignored."""
    for holder in (members, members.get("CommonData"), members.get("commonData")):
        if isinstance(holder, Mapping):
            for value in (holder.get("TransactionId"), holder.get("transactionId")):
                if isinstance(value, str) and is_transaction(value):
                    yield value


def _in_fields(pairs: Fields) -> Iterator[str]:
    texts = (value.decode("ascii", "replace") for name, value in pairs if _ID.match(name))
    return (text for text in texts if is_transaction(text))
