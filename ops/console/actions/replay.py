"""Replays rejected and dead-lettered records, by the same filter as the lists of them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from paynotify.ops.common.action_log import ActionLog, intention, recorded_values
from paynotify.ops.common.times import TIME_FORMS
from paynotify.ops.common.topic_reader import TopicPartition, TopicReader
from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.actions.action_run import ActionRun
from paynotify.ops.console.actions.console_action import ActionContext
from paynotify.ops.console.actions.forms import ActionField, FormValues
from paynotify.ops.console.actions.planned import ActionRefusedError, Performer, PlannedAction
from paynotify.ops.console.index.rows import NOT_SHOWN, SHOWN_ID
from paynotify.ops.console.lists.filters import DeadFilter, RejectedFilter, WrongFilterError, parse_filter
from paynotify.ops.replay.kinds import sources_of
from paynotify.ops.replay.original import replay_targets
from paynotify.ops.replay.plan import ReplayPlan, ReplaySelection, find, leave_out_replayed
from paynotify.ops.replay.sending import ReplayCounts, counted, first_records, send
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.providers import provider_names
from paynotify.schemas.reasons import DEAD_REASONS, REJECT_REASONS
from paynotify.schemas.times import parse_time, rfc3339, utc_now

#: A plan keeps 8 bytes for each; planning needs some 300.
MAX_RECORDS: Final = 100_000
_MAX_PER_SECOND: Final = 1000.0
_PER_SECOND: Final = 100.0
_HEADER: Final = ("first seen", "reason", "key", "from", "to")

#: The fields that a list of these records is cut by, too.
_FILTERED: Final = ("reason", "provider", "merchant", "key", "since", "until")
_FILTERS: Final[Mapping[str, type[RejectedFilter] | type[DeadFilter]]] = {
    "rejected": RejectedFilter,
    "dead": DeadFilter,
}

_REASONS: Final = tuple(sorted({*REJECT_REASONS, *DEAD_REASONS}))
_KIND: Final = ActionField(
    name="kind",
    label="Records",
    kind="choice",
    choices=tuple(_FILTERS),
    default="rejected",
    hint="rejected notifications, or dead-lettered lookups and responses",
)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which records, how fast, and the same as the record of the action has it."""

    kind: str
    selection: ReplaySelection
    since: datetime | None
    until: datetime | None
    per_second: float
    recorded: Mapping[str, str]


class ReplayAction:
    """The form's fields are the options of `paynotify replay`."""

    name = "replay"
    title = "Replay"
    role = Role.OPERATOR
    about = "Sends rejected notifications and dead letters to their stages again, once their cause is gone."
    fields = (
        _KIND,
        ActionField(name="reason", label="Reasons", kind="choices", choices=_REASONS),
        ActionField(name="provider", label="Providers", kind="choices", choices=tuple(provider_names())),
        ActionField(name="merchant", label="Merchants", kind="merchants"),
        ActionField(name="key", label="Keys", kind="texts", hint="MERCHANT/TRANSACTION"),
        ActionField(name="since", label="Since", hint=TIME_FORMS),
        ActionField(name="until", label="Until", hint="as since"),
        ActionField(name="per_second", label="Records a second", default=f"{_PER_SECOND:g}"),
    )

    def __init__(self, context: ActionContext) -> None:
        self._context = context

    def plan(self, form: FormValues, identity: Identity) -> PlannedAction:
        """A dry run: the records that would be sent, and why others would not."""
        configuration = self._context.configuration
        wanted = _wanted(form, identity, [one.id for one in configuration.merchants])
        targets = replay_targets(configuration.kafka)
        counts: ReplayCounts = Counter()
        with self._context.open_reader() as reader:
            plan = _found(reader, configuration, wanted)
            listed = first_records(counted(plan.records(reader), counts, targets))
        positions = _positions(plan)

        def perform(performer: Performer, run: ActionRun) -> None:
            self._perform(wanted, positions, performer, run)

        return PlannedAction(
            title=self.title,
            role=self.role,
            merchants=frozenset(wanted.selection.merchants) or None,
            records=len(plan.selected),
            sentence=plan_sentence(plan),
            perform=perform,
            facts=_facts(counts),
            warnings=_warnings(plan),
            header=_HEADER,
            rows=[_row(one) for one in listed],
        )

    def _perform(
        self, wanted: _Wanted, planned: Mapping[TopicPartition, array[int]], performer: Performer, run: ActionRun
    ) -> None:
        configuration = self._context.configuration
        with self._context.open_reader() as reader:
            plan = _found(reader, configuration, wanted)
            keep_planned(plan, planned)
            intended = intention(
                "replay",
                performer.operator,
                configuration.kafka,
                performer.recorded(wanted.recorded),
                merchant=_only(wanted.selection.merchants),
                planned=len(plan.selected),
            )
            run.begin()
            with ActionLog(configuration.kafka, intended) as log:

                def sent() -> None:
                    log.count()
                    run.advance()

                send(plan.records(reader), configuration, wanted.per_second, sent)


def _facts(counts: ReplayCounts) -> list[tuple[str, str]]:
    shown: ReplayCounts = Counter()
    for (provider, reason, target), count in counts.items():
        shown[provider, _known_reason(reason), target] += count
    return [
        (f"{provider}, {reason}", f"{count} to {target}") for (provider, reason, target), count in sorted(shown.items())
    ]


def _warnings(plan: ReplayPlan) -> list[str]:
    """Not the names of foreign topics: whoever wrote the records chose them."""
    count = plan.unknown_targets.total()
    return [f"{count} records are not sent: their original topic is not one of paynotify's."] if count else []


def _row(listed: Mapping[str, str]) -> tuple[str, ...]:
    """A record as pages may show it: headers that are not what they stand for stay hidden."""
    key = listed["key"] if SHOWN_ID.match(listed["key"]) else NOT_SHOWN
    first_seen = parse_time(listed["first_seen"])
    at = rfc3339(first_seen) if first_seen is not None else ""
    return at, _known_reason(listed["reason"]), key, listed["from"], listed["to"]


def _known_reason(text: str) -> str:
    return text if text in _REASONS else NOT_SHOWN


def plan_sentence(plan: ReplayPlan) -> str:
    """The count, as the dry run begins with it."""
    left_out = sorted(plan.left_out.items())
    total = len(plan.selected) + plan.left_out.total() + plan.unknown_targets.total()
    parts = [f"{len(plan.selected)} of {total} records would be sent", *(f"{n} left out: {why}" for why, n in left_out)]
    return "; ".join(parts) + "."


def keep_planned(plan: ReplayPlan, planned: Mapping[TopicPartition, array[int]]) -> None:
    """Reduce what would be replayed now to what the dry run showed.

    Raises:
        ActionRefusedError: something of the dry run would not be replayed any more.
    """
    wanted = {(partition, offset) for partition, offsets in planned.items() for offset in offsets}
    gone = len(wanted - set(plan.selected.values()))
    if gone:
        raise ActionRefusedError(
            f"{gone} of the {len(wanted)} records of this dry run were replayed since, are gone, or have a newer "
            "record with the same id. Make another dry run."
        )
    for digest, place in list(plan.selected.items()):
        if place not in wanted:
            del plan.selected[digest]


def _found(reader: TopicReader, configuration: Configuration, wanted: _Wanted) -> ReplayPlan:
    plan = find(
        reader,
        configuration.kafka,
        sources_of(wanted.kind),
        wanted.selection,
        wanted.since,
        wanted.until,
        max_records=MAX_RECORDS,
    )
    leave_out_replayed(reader, plan)
    return plan


def _positions(plan: ReplayPlan) -> dict[TopicPartition, array[int]]:
    """The planned records, in as little memory as can be: a plan is kept until somebody confirms it."""
    found: dict[TopicPartition, array[int]] = {}
    for partition, offset in plan.selected.values():
        found.setdefault(partition, array("q")).append(offset)
    return found


def _wanted(form: FormValues, identity: Identity, merchants: list[str]) -> _Wanted:
    """What the form selects, read as the list of these records reads its address."""
    kind = form.chosen(_KIND)
    allowed = identity.merchants(Role.OPERATOR)
    named = [one for one in merchants if allowed is None or one in allowed]
    pairs = [(name, text) for name in _FILTERED for text in form.texts(name)]
    try:
        wanted = parse_filter(_FILTERS[kind], pairs, named)
        since, until = wanted.window(utc_now())
    except WrongFilterError as error:
        raise ConfigurationError(str(error)) from None
    selection = ReplaySelection(
        reasons=wanted.reason,
        # all of theirs, and never those of others
        merchants=wanted.merchant or (() if allowed is None else tuple(sorted(allowed))),
        providers=wanted.provider,
        keys=frozenset(one.encode() for one in wanted.key),
    )
    per_second = form.number("per_second", _PER_SECOND, _MAX_PER_SECOND)
    given = {name: getattr(wanted, name) for name in _FILTERED}
    recorded = recorded_values(
        {"kind": kind, **given, "merchant": list(selection.merchants), "per_second": f"{per_second:g}"}
    )
    return _Wanted(kind, selection, since, until, per_second, recorded)


def _only(merchants: Collection[str]) -> str | None:
    """The merchant, if it is one."""
    return next(iter(merchants)) if len(merchants) == 1 else None
