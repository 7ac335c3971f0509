"""The page of one record, by its topic, partition and offset."""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from paynotify.ops.common.topic_reader import OffsetRange, TopicPartition
from paynotify.ops.console.access.identity import Identity, Role, identity_of
from paynotify.ops.console.links import payment_path, record_path
from paynotify.ops.console.records.facts import RecordFacts, merchant_of, record_facts
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.ops.console.topic_access import OpenReader, TopicAccess
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError
from paynotify.schemas.records import Record, to_record

_MAX_OFFSET: Final = 2**63 - 1
_MAX_PARTITION: Final = 2**31 - 1


class RecordPages:
    """Answers with what may be shown of a record, to those who may see its merchant."""

    def __init__(self, configuration: Configuration, renderer: PageRenderer, open_reader: OpenReader) -> None:
        self._merchants = frozenset(one.id for one in configuration.merchants)
        self._prefix = configuration.kafka.topic_prefix
        self._renderer = renderer
        self._topics = TopicAccess(open_reader)

    def routes(self) -> tuple[ConsoleRoute, ...]:
        return (ConsoleRoute("/records/{topic}/{partition}/{offset}", self.record, Role.VIEWER),)

    async def record(self, request: Request) -> Response:
        """One record without its value."""
        topic = request.path_params["topic"]
        partition = _number(request.path_params["partition"], _MAX_PARTITION)
        offset = _number(request.path_params["offset"], _MAX_OFFSET)
        try:
            record = await run_in_threadpool(self._read, TopicPartition(topic, partition), offset)
        except (ClusterUnavailableError, ConfigurationError) as error:
            raise HTTPException(503, str(error)) from None
        if record is None or not self._may_see(identity_of(request), record):
            raise HTTPException(404, f"There is no record {topic}/{partition}/{offset}, or not any more.")
        facts = record_facts(record)
        return self._renderer.page(
            request, "record.html", topic=topic, partition=partition, offset=offset, facts=facts,
            payment=self._payment(facts), origin=_origin(facts),
        )  # fmt: skip

    def _read(self, partition: TopicPartition, offset: int) -> Record | None:
        """The record; None if the topic has none there, as after its retention or a compaction."""
        with self._topics.reader() as reader:
            if partition.partition >= reader.partition_count(partition.topic):
                return None
            whole = reader.ranges([partition])[0]
            if not whole.start <= offset < whole.end:
                return None
            found = [one for _, batch in reader.read([OffsetRange(partition, offset, offset + 1)]) for one in batch]
        return next((to_record(one) for one in found if one.offset == offset), None)

    def _may_see(self, identity: Identity, record: Record) -> bool:
        merchant = merchant_of(record, record.topic.removeprefix(self._prefix))
        return identity.may(Role.VIEWER, merchant)

    def _payment(self, facts: RecordFacts) -> tuple[str, str] | None:
        """The payment that the key names, with the way to its page."""
        merchant, _, payment = facts.key.partition("/")
        return (facts.key, payment_path(merchant, payment)) if merchant in self._merchants and payment else None


def _number(text: str, most: int) -> int:
    """The number. Starlette's own kind of path fails before anybody is known, with thousands of digits.

    Raises:
        HTTPException: it is none, or is too great.
    """
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(most)) else most + 1
    if number > most:
        raise HTTPException(404, "There is no such record.")
    return number


def _origin(facts: RecordFacts) -> tuple[str, str] | None:
    """The record that this one is a copy of, with the way to its page."""
    headers = dict(facts.headers)
    if "replayed-from" in headers:
        topic, partition, offset = headers["replayed-from"].split("/")
    else:
        topic, partition, offset = (headers.get(f"original-{part}", "") for part in ("topic", "partition", "offset"))
    if not (topic and partition and offset):
        return None
    return f"{topic}/{partition}/{offset}", record_path(topic, int(partition), int(offset))
