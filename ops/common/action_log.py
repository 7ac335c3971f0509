"""Records what an operator does: the intention before the first effect, and what became of it after the last one.

An effect without its record would be an effect that nobody can be asked about. So the brokers acknowledge the intention
first, or the command ends without having done anything. A process that is killed in between leaves an intention without
an end, and `paynotify history` says so.
"""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final

from msgspec.structs import replace

from paynotify.ops.common.operator import Operator
from paynotify.ops.common.record_sender import RecordSender
from paynotify.schemas import topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ClusterUnavailableError
from paynotify.schemas.ids import derived_id, time_ordered_id
from paynotify.schemas.messages import OPERATOR_ACTED, ActionState, OperatorAction, OperatorCommand, encode
from paynotify.schemas.records import Output
from paynotify.schemas.times import rfc3339
from paynotify.schemas.traceparent import new_traceparent

_MAX_TEXT: Final = 200
_MAX_LISTED: Final = 20
_BLOCK_SECONDS: Final = 15.0


def recorded_arguments(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, str]:
    """The arguments of these names that were given, as bounded texts. Named one by one: none is recorded by mistake."""
    return recorded_values({name: getattr(arguments, name, None) for name in names})


def recorded_values(values: Mapping[str, object]) -> dict[str, str]:
    """The values that were given, as bounded texts."""
    return {name: text for name, value in values.items() if (text := _text(value))}


def _text(value: object) -> str:
    if value is None or value is False or value == []:
        return ""
    if isinstance(value, list | tuple):
        shown = [str(one) for one in value[:_MAX_LISTED]]
        rest = [f"and {len(value) - _MAX_LISTED} more"] if len(value) > _MAX_LISTED else []
        return _cut(" ".join((*shown, *rest)))
    return "yes" if value is True else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def intention(
    command: OperatorCommand,
    operator: Operator,
    kafka: KafkaSettings,
    arguments: Mapping[str, str],
    *,
    merchant: str | None = None,
    payment_id: str | None = None,
    planned: int | None = None,
) -> OperatorAction:
    """What the operator is about to do."""
    action_id = time_ordered_id()
    return OperatorAction(
        event_id=derived_id("operator action", action_id, "intended"),
        action_id=action_id,
        state="intended",
        command=command,
        by=operator.by,
        identity=operator.identity,
        at=rfc3339(),
        os_user=operator.os_user,
        kafka_user=kafka.sasl_plain_username,
        host=_cut(socket.gethostname()),
        merchant=merchant,
        payment_id=payment_id,
        reason=operator.reason,
        arguments=dict(arguments),
        planned=planned,
    )


class ActionLog:
    """A context manager around the effects of one action.

    Entering returns once the brokers have acknowledged the intention. Leaving records the end: ``done``, or ``failed``
    or ``interrupted`` if an exception leaves it. ``published`` counts the records that were sent: all of them are
    acknowledged if it is done.

    Raises:
        ClusterUnavailableError: the intention was not acknowledged; nothing was done.
    """

    def __init__(self, kafka: KafkaSettings, intended: OperatorAction) -> None:
        self.published = 0
        self.result: dict[str, str] = {}
        self._intended = intended
        self._topic = kafka.topic(topics.OPERATORS)
        self._traceparent = new_traceparent()
        self._headers = EventHeaders(kafka.events, f"/paynotify/{intended.command}", OPERATOR_ACTED)
        self._sender = RecordSender(
            kafka,
            client_id="paynotify-history",
            what="the record of this action, so nothing was done",
            remedy=f"that the topic {self._topic} exists (paynotify topics apply) and this user may write to it",
            block_seconds=_BLOCK_SECONDS,
        )

    def __enter__(self) -> ActionLog:
        self._sender.__enter__()
        try:
            self._record(self._intended)
        except BaseException as error:
            self._close(error)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._record(self._ended(error))
        except ClusterUnavailableError:
            # the effects are what they are: an error here would invite to repeat them
            print(
                f"warning: how this {self._intended.command} ended could not be recorded on {self._topic}; "
                "paynotify history shows it without an end",
                file=sys.stderr,
            )
        finally:
            self._close(error)

    def count(self) -> None:
        """Count one record as sent."""
        self.published += 1

    def _ended(self, error: BaseException | None) -> OperatorAction:
        state: ActionState = "done"
        if error is not None:
            state = "failed" if isinstance(error, Exception) else "interrupted"
        return replace(
            self._intended,
            event_id=derived_id("operator action", self._intended.action_id, "ended"),
            state=state,
            at=rfc3339(),
            published=self.published,
            result={name: _cut(text) for name, text in self.result.items()},
            problem=type(error).__name__ if error is not None else None,
        )

    def _record(self, action: OperatorAction) -> None:
        name = f"{action.merchant}/{action.payment_id}" if action.payment_id else action.action_id
        key = name.encode()
        headers = self._headers(action.event_id, action.at, key, traceparent=self._traceparent)
        self._sender.send(Output(self._topic, key, encode(action), headers))
        self._sender.flush()

    def _close(self, error: BaseException | None) -> None:
        with suppress(ClusterUnavailableError):  # told already
            self._sender.__exit__(type(error) if error is not None else None, error, None)
