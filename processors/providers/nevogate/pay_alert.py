"""PayAlert: what the gateway calls the NotificationUrl for when the shop's payments go wrong, and when that is over.

The vendor's pages name four kinds and show one message of one of them. The others' names are not published, so a kind
is recognised by the words in a member's name, and anything else that looks like an alert is one of the kind ``other``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from paynotify.processors.providers.base import AlertState, ProviderAlert
from paynotify.processors.providers.nevogate.call_content import CallContent
from paynotify.schemas.reasons import AlertKind

#: The words of a kind, as they stand in the member's name without blanks; the first that fits counts.
_KINDS: Final[tuple[tuple[re.Pattern[str], AlertKind], ...]] = (
    (re.compile("nosuccess"), "no_success"),
    (re.compile("unanswer|noanswer|noresponse"), "unanswerable"),
    (re.compile("unsuccess|failed"), "unsuccessful"),
    (re.compile("critical|terminal|error"), "critical_error"),
)

#: The words that say that an alert is over, first or last in the member's name or as the value of its state.
_OVER: Final = frozenset(
    ("over", "end", "ended", "resolved", "restored", "recovered", "cleared", "closed", "ceased", "finished", "ok")
)
_STATES: Final = frozenset(("state", "status", "event", "type"))

_PREFIX: Final = re.compile(r"alert", re.IGNORECASE)
#: A name that is published as it is; another one is only called an alert.
_NAME: Final = re.compile(r"[A-Za-z]{2,66}\Z")
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_FORM_NAME: Final = re.compile(rb"(alert[A-Za-z]{0,60})(?:\[|\Z)", re.IGNORECASE)
_PAYMENT: Final = frozenset(("commondata", "transactionid"))
_MAX_MEMBERS: Final = 100
_MAX_LISTED: Final = 10
_MAX_NAMES: Final = 4
_MAX_DEPTH: Final = 3


def alert_in(content: CallContent) -> ProviderAlert | None:
    """The alert in a call that names no transaction; None if it is none.

    A member whose name begins with ``alert``, or else an object that is the only member and whose name is a word. Of
    several such members the first counts, and all are named.
    """
    found = [(name, value) for name, value in _members(content.members, _MAX_DEPTH) if _PREFIX.match(name)]
    fields = (match[1].decode() for field, _ in content.form[:_MAX_MEMBERS] if (match := _FORM_NAME.match(field)))
    found += [(name, None) for name in fields]
    if found:
        more = dict.fromkeys(name for name, _ in found[1:] if _NAME.match(name) and name != found[0][0])
        return _alert(*found[0], islice(more, _MAX_NAMES - 1))
    if len(content.members) == 1:
        ((name, value),) = content.members.items()
        if isinstance(value, Mapping) and _NAME.match(name) and name.lower() not in _PAYMENT:
            return _alert(name, value)
    return None


def _members(holder: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
    """The members of an object and then of the objects in it; of an object with very many only the first."""
    some = list(islice(holder.items(), _MAX_MEMBERS))
    yield from some
    if depth > 1:
        for _, value in some:
            for inner in islice(value, _MAX_LISTED) if isinstance(value, list) else (value,):
                if isinstance(inner, Mapping):
                    yield from _members(inner, depth - 1)


def _alert(name: str, value: object, more: Iterable[str] = ()) -> ProviderAlert:
    words = [word.lower() for word in _WORD.findall(name[:66])]
    names = " ".join((name if _NAME.match(name) else "alert", *more))
    return ProviderAlert(names, _kind("".join(words)), _state(words, value))


def _kind(text: str) -> AlertKind:
    for pattern, kind in _KINDS:
        if pattern.search(text):
            return kind
    return "other"


def _state(words: list[str], value: object) -> AlertState:
    own = [word for word in words if word != "alert"]
    said = {*own[:1], *own[-1:]}
    if isinstance(value, Mapping):
        said |= {
            one.lower()
            for name, one in value.items()
            if isinstance(name, str) and name.lower() in _STATES and isinstance(one, str)
        }
    return "over" if said & _OVER else "raised"
