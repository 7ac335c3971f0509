"""The filters of the console's lists: one frozen dataclass for each, read from the URL's query string once.

A field that is not in the query string keeps its default. `ListFilter.query` writes the filter back, so that each list
that somebody looks at has an address.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final, TypeVar, get_args
from urllib.parse import urlencode

import msgspec

from paynotify.ops.common.times import parse_time_option
from paynotify.ops.console.index.rows import REQUEST_STATES
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.ids import MAX_ID_LENGTH
from paynotify.schemas.messages import OPERATIONS_KINDS, OPERATOR_COMMANDS, Action, ReconciliationSource, RepairState
from paynotify.schemas.providers import provider_names
from paynotify.schemas.reasons import DEAD_REASONS, REJECT_REASONS, REQUEST_REASONS
from paynotify.schemas.status import AmountCheck, Fulfilment, Status
from paynotify.schemas.times import utc_now

#: A list's address has at most so many values of one filter.
MAX_VALUES: Final = 50

F = TypeVar("F", bound="ListFilter")
#: The last row of the page before: its columns by which the list is ordered.
Cursor = tuple[str | int, ...]


class WrongFilterError(ValueError):
    """A query string that names no filter; the text says what is wrong."""


def _one_of(words: Iterable[str], default: tuple[str, ...] = (), sql: tuple[str, ...] = ()) -> Any:
    """A field of words from a closed list. One of ``sql`` is compared, if it is not the column of the same name."""
    return field(default=default, metadata={"words": tuple(words), "sql": sql})


def _text(hint: str, sql: tuple[str, ...] = ()) -> Any:
    """A field of texts that are compared as they are."""
    return field(default=(), metadata={"words": None, "sql": sql, "hint": hint})


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """What all lists are cut by. An empty field lets everything through.

    ``since`` and ``until`` are kept as they were written: an age such as ``24h`` means another time tomorrow.
    """

    merchant: tuple[str, ...] = field(default=(), metadata={"merchants": True})
    since: str = ""
    until: str = ""
    before: Cursor = ()

    def window(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """The times of ``since`` and ``until``.

        Raises:
            WrongFilterError: one of them is no time, or the first is not before the second.
        """
        try:
            since, until = (
                parse_time_option(name, text or None, now)
                for name, text in (("since", self.since), ("until", self.until))
            )
        except ConfigurationError as error:
            raise WrongFilterError(str(error)) from None
        if since is not None and until is not None and since >= until:
            raise WrongFilterError(f"since must be before until, got {self.since!r} and {self.until!r}.")
        return since, until

    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of the query string. What has its default is left out."""
        found = []
        for one in fields(self):
            value = getattr(self, one.name)
            if value == one.default:
                continue
            if one.name == "before":
                found.append((one.name, msgspec.json.encode(value).decode()))
            else:
                found += [(one.name, text) for text in ([value] if isinstance(value, str) else value)]
        return found

    def query(self) -> str:
        """The query string, with its question mark; empty for a filter that has all defaults."""
        pairs = self.pairs()
        return f"?{urlencode(pairs)}" if pairs else ""

    def older(self: F, cursor: Cursor) -> F:
        """The same list from the row after that one."""
        return replace(self, before=cursor)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentsFilter(ListFilter):
    """Payments by their newest event."""

    provider: tuple[str, ...] = _one_of(provider_names())
    status: tuple[str, ...] = _one_of(get_args(Status))
    fulfilment: tuple[str, ...] = _one_of(get_args(Fulfilment))
    amount_check: tuple[str, ...] = _one_of(get_args(AmountCheck))


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueFilter(ListFilter):
    """Orders that are not final in time."""

    state: tuple[str, ...] = _one_of(("raised", "cleared"), ("raised",))
    provider: tuple[str, ...] = _one_of(provider_names())
    reason: tuple[str, ...] = _one_of(("settlement", "none"), sql=("coalesce(reason, 'none')",))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsFilter(ListFilter):
    """Requests to charge, capture or release."""

    state: tuple[str, ...] = _one_of(REQUEST_STATES, ("started", "uncertain"))
    action: tuple[str, ...] = _one_of(get_args(Action))
    provider: tuple[str, ...] = _one_of(provider_names())
    reason: tuple[str, ...] = _one_of(REQUEST_REASONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentFilter(ListFilter):
    """Providers that report none of the payments expected of them."""

    state: tuple[str, ...] = _one_of(("silent", "heard"), ("silent",))
    provider: tuple[str, ...] = _one_of(provider_names())


@dataclass(frozen=True, slots=True, kw_only=True)
class CasesFilter(ListFilter):
    """Cases that a person has to know of."""

    kind: tuple[str, ...] = _one_of(OPERATIONS_KINDS)
    provider: tuple[str, ...] = _one_of(provider_names())


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionsFilter(ListFilter):
    """What operators did; the same as the options of `paynotify history`. ``ended`` is ``no`` without a known end."""

    by: tuple[str, ...] = _text("a user", ('"by"', "os_user", "kafka_user"))
    command: tuple[str, ...] = _one_of(OPERATOR_COMMANDS)
    payment: tuple[str, ...] = _text("MERCHANT/PAYMENT", ("merchant || '/' || payment_id",))
    ended: tuple[str, ...] = _one_of(
        ("yes", "no"),
        sql=(
            "CASE WHEN EXISTS (SELECT 1 FROM actions AS o WHERE o.action_id = actions.action_id AND o.ended)"
            " THEN 'yes' ELSE 'no' END",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationsFilter(ListFilter):
    """What runs of `paynotify reconcile` found. ``differs`` is ``yes`` where something differs or can't be read."""

    provider: tuple[str, ...] = _one_of(provider_names())
    differs: tuple[str, ...] = _one_of(
        ("yes", "no"), sql=("CASE WHEN differences OR unreadable THEN 'yes' ELSE 'no' END",)
    )
    source: tuple[str, ...] = _one_of(get_args(ReconciliationSource))
    repair: tuple[str, ...] = _one_of(get_args(RepairState))
    by: tuple[str, ...] = _text("a user")


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedFilter(ListFilter):
    """Rejected notifications; each field is an option of `paynotify replay rejected`."""

    reason: tuple[str, ...] = _one_of(REJECT_REASONS)
    provider: tuple[str, ...] = _one_of(provider_names())
    key: tuple[str, ...] = _text("MERCHANT/TRANSACTION")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadFilter(ListFilter):
    """Dead-lettered records; each field is an option of `paynotify replay dead`."""

    reason: tuple[str, ...] = _one_of(DEAD_REASONS)
    provider: tuple[str, ...] = _one_of(provider_names())
    key: tuple[str, ...] = _text("MERCHANT/TRANSACTION")


def parse_filter(kind: type[F], pairs: Iterable[tuple[str, str]], merchants: Collection[str]) -> F:
    """The filter in a query string. ``merchants`` are those that may be named. Empty values count as not given.

    Raises:
        WrongFilterError: a parameter or value is wrong.
    """
    known = {one.name: one for one in fields(kind)}
    given: dict[str, list[str]] = {}
    for name, text in pairs:
        if name not in known:
            raise WrongFilterError(f"There is no filter {name[:50]!r} here. There are {', '.join(known)}.")
        if text.strip():
            given.setdefault(name, []).append(text.strip())
    read = kind(**{name: _value(known[name], texts, merchants) for name, texts in given.items()})
    read.window(utc_now())
    return read


def words_of(one: Field[Any], merchants: Collection[str]) -> tuple[str, ...] | None:
    """The words that a filter's field may have; None if it has texts. ``merchants`` are those that may be named."""
    return tuple(merchants) if one.metadata.get("merchants") else one.metadata.get("words")


def _value(one: Field[Any], texts: Sequence[str], merchants: Collection[str]) -> Any:
    if one.name == "before":
        return _cursor(texts[-1])
    if one.name in ("since", "until"):
        return texts[-1][:MAX_ID_LENGTH]
    if len(texts) > MAX_VALUES or any(len(text) > MAX_ID_LENGTH for text in texts):
        raise WrongFilterError(f"{one.name} has more than {MAX_VALUES} values, or too long a one.")
    words = words_of(one, merchants)
    for text in texts:
        if words is not None and text not in words:
            allowed = f"one of {', '.join(words)}" if words else "one that you may see; there is none"
            raise WrongFilterError(f"{one.name} must be {allowed}; got {text!r}.")
    return tuple(dict.fromkeys(texts))


def _cursor(text: str) -> Cursor:
    try:
        found = msgspec.json.decode(text, type=tuple[str | int, ...])
    except (msgspec.MsgspecError, UnicodeEncodeError):
        found = ()
    if not 0 < len(found) <= MAX_VALUES or any(isinstance(one, int) and abs(one) >= 2**63 for one in found):
        raise WrongFilterError("before names no row of this list. Go back to its first page.")
    return found
