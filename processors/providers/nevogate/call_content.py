"""What a NotificationUrl or ResponseUrl call carries: the transaction it names, and its members.

The vendor has not published what it sends. Shops read JSON, and some read it with frameworks that take a form just as
well; the ResponseUrl has its id in the query. So the id is accepted in each of them, in both spellings of its name.

A customer's name that is cut in the middle of a character must not cost a call its Result, so JSON is read leniently.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from paynotify.processors.providers.base import Notification
from paynotify.processors.providers.form import Fields, fields
from paynotify.processors.providers.json_body import json_object, readable_object
from paynotify.processors.providers.multipart import multipart_fields
from paynotify.processors.providers.nevogate.interpretation import is_transaction
from paynotify.schemas.errors import RejectedNotificationError

_MAX_FIELDS: Final = 1000
_NESTED_ID: Final = re.compile(rb"[Cc]ommonData\[[Tt]ransactionId\]\Z")
_ID: Final = re.compile(rb"[Tt]ransactionId\Z")


@dataclass(frozen=True, slots=True)
class CallContent:
    """The id that a call names, and its body: a JSON object, or a form's fields.

    ``transaction`` is the id in the first place that holds exactly one: the transaction's data, the top of the body,
    the query. A call is a hint, so a second id elsewhere must not cost the first one its Result. ``problem`` is what is
    wrong with a body that is neither, as the beginning of a sentence.
    """

    transaction: str | None
    members: Mapping[str, Any]
    form: Fields
    problem: str = ""


def content_of(notification: Notification) -> CallContent:
    """The content of a call, whatever its content type says; a GET has no body."""
    queried = _first_fields(notification.query.encode("utf-8", "surrogatepass"))  # a shell's argument may be no UTF-8
    body = b"" if notification.method == "GET" else notification.body.strip()
    members: Mapping[str, Any] = {}
    form: Fields = []
    problem = ""
    try:
        members = _object_in(body) if body else {}
    except RejectedNotificationError as error:
        form = multipart_fields(body) or _first_fields(body)
        problem = f"the body {error}, and there is "
    places = (*_in_members(members), *_in_fields(form), *_in_fields(queried))
    transaction = next((ids.pop() for ids in places if len(ids) == 1), None)
    return CallContent(transaction, members, form, problem)


def _first_fields(form: bytes) -> Fields:
    """A form's fields, of a very long one only the first: it comes from anybody."""
    return fields(b"&".join(form.split(b"&", _MAX_FIELDS)[:_MAX_FIELDS]))


def _object_in(body: bytes) -> Mapping[str, Any]:
    # only what begins as an object is worth the lenient reader's time: a form may be long
    read = readable_object if body.removeprefix(BOM_UTF8)[:1] == b"{" else json_object
    return read(body, lambda text: RejectedNotificationError("malformed", text))


def _in_members(members: Mapping[str, Any]) -> Iterator[set[str]]:
    """The ids in the transaction's data, then those at the top; anything else in their places is ignored."""
    yield set().union(*(_ids_of(members.get(name)) for name in ("CommonData", "commonData")))
    yield _ids_of(members)


def _ids_of(holder: object) -> set[str]:
    if not isinstance(holder, Mapping):
        return set()
    values = (holder.get("TransactionId"), holder.get("transactionId"))
    return {value for value in values if isinstance(value, str) and is_transaction(value)}


def _in_fields(pairs: Fields) -> Iterator[set[str]]:
    for form in (_NESTED_ID, _ID):
        texts = {value.decode("ascii", "replace") for name, value in pairs if form.match(name)}
        yield {text for text in texts if is_transaction(text)}
