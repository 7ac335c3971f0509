"""The topics as channels of the contract documents: those of all providers, or of all retry steps, are one channel.

Which topics there are, and with which settings, comes from `schemas.topics`; what is on each and who it is for is here.
A topic without a row here is an error, so none is missing from the documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from paynotify.schemas import topics
from paynotify.schemas.generate import topic_messages as public
from paynotify.schemas.providers import provider_names

#: Who writes a channel that paynotify only reads.
SHOPS: Final = "shops"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRow:
    """What a channel is for. ``carries`` are names of messages; ``read_by`` is the consumer group of the stage that
    reads it, ``written_by`` who writes it. ``public``: for readers and writers outside of paynotify."""

    title: str
    carries: tuple[str, ...]
    written_by: str
    read_by: str | None = None
    public: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A topic, or all topics of one kind. ``values`` are those of each parameter in the address."""

    address: str
    row: ChannelRow
    topic: topics.Topic
    values: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """The channel's name in the document: the address without its parameters."""
        return ".".join(part for part in self.address.split(".") if not part.startswith("{"))

    @property
    def of_shops(self) -> bool:
        """Whether shops write it and paynotify reads it."""
        return self.row.written_by == SHOPS


def _result(title: str, *messages: public.TopicMessage, written_by: str) -> ChannelRow:
    carries = tuple(message.name for message in messages)
    return ChannelRow(title=title, carries=carries, written_by=written_by, public=True)


def _input(title: str, message: public.TopicMessage, read_by: str) -> ChannelRow:
    return ChannelRow(title=title, carries=(message.name,), written_by=SHOPS, read_by=read_by, public=True)


_ROWS: Final[Mapping[str, ChannelRow]] = {
    topics.STATUS: _result("Every change of every payment", public.PAYMENT_STATUS_CHANGED, written_by="resolve"),
    topics.LATEST: _result(
        "The newest event of every payment",
        public.PAYMENT_STATUS_CHANGED,
        public.PAYMENT_FORGOTTEN,
        written_by="resolve",
    ),
    topics.OVERDUE: _result("Orders that are not final in time", public.PAYMENT_OVERDUE, written_by="orders"),
    topics.REQUESTS: _result("Progress of the shops' requests", public.REQUEST_PROGRESSED, written_by="charge"),
    topics.SILENT: _result("Providers that report nothing", public.PROVIDER_SILENT, written_by="orders"),
    topics.OPERATIONS: _result("Cases for a person", public.CASE_NOTICED, written_by="fetch, interpret, resolve"),
    topics.EXPECTED: _input("Orders that are about to be paid", public.PAYMENT_EXPECTED, "orders"),
    topics.REQUESTED: _input("Charges, captures and releases", public.PAYMENT_REQUESTED, "charge"),
    "notifications.{provider}": ChannelRow(
        title="Webhook calls", carries=("NotificationReceived",), written_by="ingest", read_by="verify.{provider}"
    ),
    "notifications.{provider}.retry.{step}": ChannelRow(
        title="Notifications that wait",
        carries=("NotificationWaiting",),
        written_by="verify.{provider}",
        read_by="verify.{provider}",
    ),
    topics.REJECTED: ChannelRow(
        title="Rejected notifications", carries=("NotificationRejected",), written_by="verify.{provider}"
    ),
    topics.DUPLICATES: ChannelRow(
        title="Repeated notifications", carries=("NotificationRepeated",), written_by="verify.{provider}"
    ),
    topics.ALERTS: ChannelRow(title="Providers' alerts", carries=("ProviderAlerted",), written_by="verify.{provider}"),
    "lookups.{provider}": ChannelRow(
        title="Lookups to make",
        carries=("LookupRequested",),
        written_by="verify.{provider}, fetch.{provider}, resolve, orders, paynotify reconcile",
        read_by="fetch.{provider}",
    ),
    "lookups.{provider}.retry.{step}": ChannelRow(
        title="Lookups that wait",
        carries=("LookupWaiting",),
        written_by="fetch.{provider}",
        read_by="fetch.{provider}",
    ),
    "lookups.{provider}.known": ChannelRow(
        title="Ids of unsigned calls",
        carries=("IdKnown",),
        written_by="fetch.{provider}, orders",
        read_by="verify.{provider}",
    ),
    topics.DEAD: ChannelRow(title="Dead letters", carries=("RecordDead",), written_by="all stages"),
    "responses.{provider}": ChannelRow(
        title="Providers' responses",
        carries=("ResponseReceived",),
        written_by="fetch.{provider}, charge",
        read_by="interpret.{provider}",
    ),
    topics.OBSERVATIONS: ChannelRow(
        title="Observations",
        carries=("PaymentObserved", "TimeReached", "ForgetRequested"),
        written_by="interpret.{provider}, orders, charge, resolve, paynotify correct, paynotify forget",
        read_by="resolve",
    ),
    topics.OPERATORS: ChannelRow(title="What operators do", carries=("OperatorActed",), written_by="paynotify"),
    topics.RECONCILIATIONS: ChannelRow(
        title="What reconciliations found", carries=("ReconciliationEnded",), written_by="paynotify reconcile"
    ),
    topics.ORDERS: ChannelRow(
        title="Orders and their payments",
        carries=("OrderExpected", "PaymentSeen", "OrderHeardOf", "TimeReached"),
        written_by="orders, resolve",
        read_by="orders",
    ),
    topics.CHARGES: ChannelRow(
        title="Requests and what they wait for",
        carries=("RequestAccepted", "PaymentSeen", "TimeReached"),
        written_by="charge, resolve",
        read_by="charge",
    ),
    topics.DELIVERIES_STATE: ChannelRow(
        title="Deliveries that wait, and subscriptions",
        carries=("DeliveryWaiting", "SubscriptionKept"),
        written_by="deliver.{subscription}, paynotify subscriptions",
    ),
    topics.DELIVERIES_DEAD: ChannelRow(
        title="Dead deliveries", carries=("DeliveryDead",), written_by="deliver.{subscription}"
    ),
    topics.DELIVERIES_REPLAYED: ChannelRow(
        title="Deliveries to make again",
        carries=("DeliveryReplayed",),
        written_by="paynotify replay",
        read_by="deliver.{subscription}",
    ),
    topics.CLOCK: ChannelRow(title="The brokers' clock", carries=("ClockRead",), written_by="paynotify doctor"),
}


def channels() -> tuple[Channel, ...]:
    """Every channel in the order of the table. A stage's changelog is no channel: it is nobody's contract.

    Raises:
        ValueError: a topic has no row, or topics of one channel have different settings.
    """
    alike: dict[str, list[topics.Topic]] = {address: [] for address in _ROWS}
    for topic in topics.all_topics():
        if topic.name.endswith("-changelog"):
            continue
        address = _address(topic.name)
        if address not in alike:
            raise ValueError(f"the topic {topic.name} is in no contract document: add a row for {address}")
        alike[address].append(topic)
    return tuple(_channel(address, found) for address, found in alike.items() if found)


def _address(name: str) -> str:
    """The name with its provider and retry step as parameters."""
    parts = name.split(".")
    providers = set(provider_names())
    named = ["{provider}" if part in providers else part for part in parts]
    if len(named) > 1 and named[-2] == "retry":
        named[-1] = "{step}"
    return ".".join(named)


def _channel(address: str, found: Sequence[topics.Topic]) -> Channel:
    if len({_settings(topic) for topic in found}) > 1:
        raise ValueError(f"the topics of {address} have different settings: give them rows of their own")
    values = {
        part.strip("{}"): tuple(dict.fromkeys(topic.name.split(".")[place] for topic in found))
        for place, part in enumerate(address.split("."))
        if part.startswith("{")
    }
    names = tuple(topic.name for topic in found)
    return Channel(address=address, row=_ROWS[address], topic=found[0], values=values, names=names)


def _settings(topic: topics.Topic) -> tuple[str, tuple[tuple[str, str], ...]]:
    return topic.holds, tuple(sorted(topic.kafka_settings().items()))
