"""``paynotify replay``: rejected notifications and dead lookups or answers, back to where they came from.

Id, key and bytes stay as they were, so everything behind the topic sees the same thing again: verify remembers the
notification by its id, its lookup has the same derived id, and resolve publishes only what changes a payment. A record
that was sent back is marked with its place on the rejected or dead topic (header ``replayed-from``); the target topic
itself is therefore the memory of what was replayed, and an interrupted replay can simply be started again.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from ops.common.progress_bar import Bar
from ops.common.record_sender import RecordSender, turns
from ops.common.times import FORMS, window
from ops.common.topic_reader import Place, Span, TopicReader, record_of
from schemas import topics
from schemas.configuration.model import Configuration, KafkaSettings, load
from schemas.errors import ConfigurationError
from schemas.reasons import DEAD_REASONS, REJECT_REASONS
from schemas.records import Output, Record

REPLAYED_FROM: Final = "replayed-from"

#: What rejecting, burying and retrying add to a record; the original had none of them.
_ADDED: Final = frozenset(
    (
        "reason",
        "original-topic",
        "original-partition",
        "original-offset",
        "attempts",
        "first-seen",
        "not-before",
        REPLAYED_FROM,
    )
)
_SOURCES: Final = {"rejected": (topics.REJECTED,), "dead": (topics.DEAD,)}
_LISTED: Final = 20
_SHOPS_OWN: Final = "requests that move money; the shop makes them anew"

_HELP: Final = f"""
Nothing is sent without --yes: the default prints what would go, and where.

A record goes back to the topic its header original-topic names, and only to a topic of paynotify's own. Its id, key,
bytes and headers are the original's; the added headers (reason, original-*, attempts, first-seen, not-before) are
dropped, so a lookup gets all its tries again, and replayed-from says where it lay. Records whose place is already
named by a replayed-from header in the target topic are left out, unless --again is given; one that was replayed and
rejected anew lies at a new place and goes again. Of several records with one id only the newest goes. What a shop
announced goes back like all else; a request to charge, capture or release never does: the shop makes it anew. Times are
those at which a record was rejected or died: {FORMS}.

examples:
  paynotify replay --reason bad_signature --merchant shop-uk          what would go after a key was corrected
  paynotify replay --reason bad_signature --merchant shop-uk --yes    send it
  paynotify replay dead --provider nevogate --since 24h --yes         all of yesterday's outage
  paynotify replay dead --key shop-uk/57-9-2204417 --yes              one transaction

exit code: 0 done, 1 some records can't be sent back (their original topic is none of ours), 2 wrong use,
3 no Kafka broker could be used
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySelection:
    """Which records are meant; empty means all."""

    reasons: Collection[str] = ()
    merchants: Collection[str] = ()
    providers: Collection[str] = ()
    keys: Collection[bytes] = ()

    def takes(self, record: Record, provider: str) -> bool:
        """Whether the record is meant."""
        merchant = (record.key or b"").partition(b"/")[0].decode("utf-8", "replace")
        return (
            (not self.reasons or record.header("reason") in self.reasons)
            and (not self.merchants or merchant in self.merchants)
            and (not self.providers or provider in self.providers)
            and (not self.keys or record.key in self.keys)
        )


@dataclass(slots=True)
class ReplayPlan:
    """What lies there: the newest place of each id, where it would go, and what is left out for which cause."""

    chosen: dict[bytes, tuple[Place, int]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    foreign: Counter[str] = field(default_factory=Counter)
    oldest: dict[str, float] = field(default_factory=dict)
    by: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    listed: list[dict[str, Any]] = field(default_factory=list)

    def places(self) -> set[tuple[str, int, int]]:
        return {(place.topic, place.partition, offset) for place, offset in self.chosen.values()}


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``paynotify replay``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _HELP
    reasons = sorted({*REJECT_REASONS, *DEAD_REASONS})
    parser.add_argument(
        "kind",
        nargs="?",
        choices=("rejected", "dead", "all"),
        default="all",
        help="rejected notifications, dead lookups and answers, or both (default)",
    )
    parser.add_argument("--config", metavar="FILE", help="the configuration (or PAYNOTIFY_CONFIG)")
    parser.add_argument(
        "--reason",
        action="append",
        default=[],
        choices=reasons,
        metavar="WORD",
        help=f"only this reason (repeatable): {', '.join(reasons)}",
    )
    parser.add_argument("--merchant", action="append", default=[], metavar="ID", help="only this one's (repeatable)")
    parser.add_argument(
        "--provider", action="append", default=[], choices=topics.PROVIDERS, help="only this provider's (repeatable)"
    )
    parser.add_argument("--key", action="append", default=[], metavar="KEY", help="only this record key (repeatable)")
    parser.add_argument("--since", metavar="TIME", help="only what ended then or later")
    parser.add_argument("--until", metavar="TIME", help="only what ended before then")
    parser.add_argument("--again", action="store_true", help="also what was replayed before")
    parser.add_argument("--per-second", type=float, default=100.0, metavar="N", help="at most so many (default 100)")
    really = parser.add_mutually_exclusive_group()
    really.add_argument("--dry-run", action="store_true", help="only print what would go (the default)")
    really.add_argument("--yes", "--execute", action="store_true", dest="yes", help="really send")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Find, and with ``--yes`` send. Exit code 1 where a record's original topic is none of ours.

    Raises:
        ConfigurationError: wrong use, or a cluster that can't be reached; nothing was sent.
    """
    configuration = load(arguments.config)
    choice = _choice(arguments, configuration)
    since, until = window(arguments.since, arguments.until)
    sources = [name for kind in _kinds(arguments.kind) for name in _SOURCES[kind]]
    with TopicReader(configuration) as reader:
        found = _find(reader, configuration.kafka, sources, choice, since, until)
        if not arguments.again:
            _leave_out_replayed(reader, found)
        records = _records(reader, configuration.kafka, found)
        sent = _send(configuration, records, len(found.chosen), arguments) if arguments.yes else _list(records, found)
    _print(found, sent, arguments)
    return 1 if found.foreign else 0


def _kinds(kind: str) -> tuple[str, ...]:
    return ("rejected", "dead") if kind == "all" else (kind,)


def _choice(arguments: argparse.Namespace, configuration: Configuration) -> ReplaySelection:
    if not 0 < arguments.per_second <= 1_000_000:
        raise ConfigurationError(f"--per-second {arguments.per_second:g} is no rate. Give a number above 0.")
    known = sorted(one.id for one in configuration.merchants)
    for name in arguments.merchant:
        if name not in known:
            raise ConfigurationError(
                f"--merchant {name}: the configuration has no such merchant; it knows {', '.join(known)}."
            )
    possible = {word for kind in _kinds(arguments.kind) for word in _REASONS[kind]}
    for word in arguments.reason:
        if word not in possible:
            raise ConfigurationError(
                f"--reason {word}: no {arguments.kind} record has this reason. Choose another, or leave the kind out."
            )
    return ReplaySelection(
        reasons=frozenset(arguments.reason),
        merchants=frozenset(arguments.merchant),
        providers=frozenset(arguments.provider),
        keys=frozenset(one.encode() for one in arguments.key),
    )


_REASONS: Final[Mapping[str, Collection[str]]] = {"rejected": REJECT_REASONS, "dead": DEAD_REASONS}


def targets(kafka: KafkaSettings) -> dict[str, str]:
    """The topics a record may go back to, by name on the cluster, and whose they are: a provider's, or all's."""
    return {
        kafka.topic(name): provider
        for provider in topics.PROVIDERS
        for name in (
            topics.notifications(provider),
            topics.lookups(provider),
            topics.known(provider),
            topics.responses(provider),
            *(topics.retry(provider, step) for step in range(1, topics.RETRY_STEPS + 1)),
        )
    } | {kafka.topic(name): "all" for name in (topics.OBSERVATIONS, topics.EXPECTED, topics.ORDERS)}


def money_movers(kafka: KafkaSettings) -> frozenset[str]:
    """The topics whose records make money move. Long after a request died the shop may have charged another way."""
    return frozenset((kafka.topic(topics.REQUESTED), kafka.topic(topics.CHARGES)))


def _find(
    reader: TopicReader,
    kafka: KafkaSettings,
    sources: list[str],
    choice: ReplaySelection,
    since: datetime | None,
    until: datetime | None,
) -> ReplayPlan:
    """Read the rejected and dead records of the window; only places and ids are kept."""
    known, movers, found = targets(kafka), money_movers(kafka), ReplayPlan()
    places = reader.places(*(kafka.topic(name) for name in sources))
    spans = reader.spans(places, since.timestamp() if since else None, until.timestamp() if until else None)
    with Bar("looking for records", sum(span.length for span in spans)) as bar:
        for place, records in reader.read(spans):
            bar.advance(len(records))
            for raw in records:
                record = record_of(raw)
                target = record.header("original-topic")
                if not choice.takes(record, known.get(target, "")):
                    continue
                if target in movers:
                    found.left_out[_SHOPS_OWN] += 1
                else:
                    _consider(found, known, place, record)
    return found


def _consider(found: ReplayPlan, known: Mapping[str, str], place: Place, record: Record) -> None:
    target = record.header("original-topic")
    provider = known.get(target)
    if provider is None:
        found.foreign[target or "(none)"] += 1
        return
    identity = hashlib.blake2b(f"{target}\x1f{_name(record)}".encode(), digest_size=16).digest()
    if identity in found.chosen:
        found.left_out["an older record of the same id"] += 1
    found.chosen[identity] = (place, record.offset)
    found.oldest[target] = min(found.oldest.get(target, record.timestamp_seconds), record.timestamp_seconds)


def _name(record: Record) -> str:
    """The record's id; one without an id is known by where it first lay."""
    return record.header("ce_id") or f"{record.header('original-partition')}/{record.header('original-offset')}"


def _leave_out_replayed(reader: TopicReader, found: ReplayPlan) -> None:
    """The target topics, from the oldest chosen record on, tell what went back before."""
    spans: list[Span] = []
    for target, oldest_seconds in found.oldest.items():
        spans += reader.spans(reader.places(target), oldest_seconds)
    before: set[str] = set()
    with Bar("looking for earlier replays", sum(span.length for span in spans)) as bar:
        for _, records in reader.read(spans):
            bar.advance(len(records))
            before.update(value.decode() for raw in records for name, value in raw.headers if name == REPLAYED_FROM)
    for identity, (place, offset) in list(found.chosen.items()):
        if _mark(place.topic, place.partition, offset) in before:
            del found.chosen[identity]
            found.left_out["replayed before"] += 1


def _mark(topic: str, partition: int, offset: int) -> str:
    return f"{topic}/{partition}/{offset}"


def original(record: Record) -> Output:
    """The record as it was before it was rejected or died, marked with where it lies now."""
    kept = tuple((name, value) for name, value in record.headers if name not in _ADDED)
    mark = (REPLAYED_FROM, _mark(record.topic, record.partition, record.offset).encode())
    return Output(record.header("original-topic"), record.key, record.value, (*kept, mark))


def _records(reader: TopicReader, kafka: KafkaSettings, found: ReplayPlan) -> Iterator[Record]:
    """The chosen records, read again: their bytes were not kept meanwhile."""
    chosen = found.places()
    by_place: dict[Place, list[int]] = {}
    for place, offset in found.chosen.values():
        by_place.setdefault(place, []).append(offset)
    known = targets(kafka)
    for place, records in reader.read(Span(place, min(one), max(one) + 1) for place, one in by_place.items()):
        for raw in records:
            if (*place, raw.offset) in chosen:
                record = record_of(raw)
                target = record.header("original-topic")
                found.by[known[target], record.header("reason"), target] += 1
                yield record


def _list(records: Iterator[Record], found: ReplayPlan) -> int:
    for record in records:
        if len(found.listed) < _LISTED:
            found.listed.append(
                {
                    "id": record.header("ce_id"),
                    "key": (record.key or b"").decode("utf-8", "replace"),
                    "reason": record.header("reason"),
                    "from": _mark(record.topic, record.partition, record.offset),
                    "to": record.header("original-topic"),
                    "first_seen": record.header("first-seen"),
                }
            )
    return 0


def _send(configuration: Configuration, records: Iterator[Record], total: int, arguments: argparse.Namespace) -> int:
    sent = 0
    turn = turns(arguments.per_second)
    with RecordSender(configuration.kafka) as sender, Bar("replaying", total) as bar:
        for record in records:
            turn()
            sender.send(original(record))
            sent += 1
            bar.advance(1)
    return sent


def _print(found: ReplayPlan, sent: int, arguments: argparse.Namespace) -> None:
    report = {
        "sent": sent,
        "matched": len(found.chosen),
        "dry_run": not arguments.yes,
        "by": [
            {"provider": provider, "reason": reason, "to": target, "records": count}
            for (provider, reason, target), count in sorted(found.by.items())
        ],
        "left_out": dict(found.left_out),
        "foreign_targets": dict(found.foreign),
        "first": found.listed,
    }
    if arguments.json:
        print(orjson.dumps(report).decode())
        return
    for one in found.listed:
        print(f"{one['first_seen']:<24} {one['reason']:<18} {one['key']:<40} {one['from']} -> {one['to']}")
    if len(found.chosen) > len(found.listed) and found.listed:
        print(f"... and {len(found.chosen) - len(found.listed)} more")
    for (provider, reason, target), count in sorted(found.by.items()):
        print(f"{count:>8} {provider} {reason} -> {target}")
    for cause, count in found.left_out.items():
        print(f"{count:>8} left out: {cause}")
    for target, count in found.foreign.items():
        print(f"{count:>8} can't be sent: the original topic {target!r} is none of paynotify's", file=sys.stderr)
    print(f"{sent} sent" if arguments.yes else f"{len(found.chosen)} would be sent; --yes sends them")
