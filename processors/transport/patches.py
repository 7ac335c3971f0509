"""Process-wide patches of aiokafka, applied by `install`.

Every process that opens a client of aiokafka, Faust's among them, calls `install` first. Importing this module changes
nothing. Each patch has a test that fails without it, and a test that the unpatched library still has the defect: when
that one fails, the patch can go. See docs/explanation/decisions/0001-faust-and-the-kafka-clients.md.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from aiokafka import client, conn
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.consumer import consumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.group import JoinGroupRequest
from aiokafka.protocol.types import Schema

from paynotify.processors.transport import private_names, wire_schemas
from paynotify.processors.transport.group_coordinator import StableGroupCoordinator
from paynotify.processors.transport.reauthentication import (
    holding_requests,
    scheduling_the_next,
    with_broker_token,
    with_current_password,
)
from paynotify.processors.transport.rebootstrap import asking_bootstrap_servers, of_one_cluster
from paynotify.service.private_names import require

T = TypeVar("T")

_JOIN_MARGIN_SECONDS: Final = 5.0


def install(*, faust: bool = False) -> None:
    """Patch aiokafka for the whole process, after checking every private name that is used; once for each process.

    With ``faust`` the names that `processors.transport.faust_driver` uses are checked too.

    Raises:
        UnsupportedLibraryError: an installed library lacks a name; nothing is patched.
    """
    require(private_names.AIOKAFKA + (private_names.FAUST if faust else ()))
    _patch()


@functools.cache
def _patch() -> None:
    client.create_conn = with_broker_token(conn.create_conn)
    AIOKafkaConnection.authenticator_plain = with_current_password(AIOKafkaConnection.authenticator_plain)
    AIOKafkaConnection.authenticator_scram = with_current_password(AIOKafkaConnection.authenticator_scram)
    AIOKafkaConnection._do_sasl_handshake = scheduling_the_next(AIOKafkaConnection._do_sasl_handshake)
    Fetcher._proc_fetch_request = _cancellable(Fetcher._proc_fetch_request)
    AIOKafkaConnection.send = holding_requests(_closing_dead_connections(AIOKafkaConnection.send))
    AIOKafkaClient._metadata_update = asking_bootstrap_servers(AIOKafkaClient._metadata_update)
    ClusterMetadata.update_metadata = of_one_cluster(ClusterMetadata.update_metadata)
    consumer.GroupCoordinator = StableGroupCoordinator  # the consumer has no parameter for it
    Schema.encode, Schema.decode = wire_schemas.encode, wire_schemas.decode


def _cancellable(fetch: Any) -> Any:
    """End a cancelled fetch without an error.

    ``Fetcher.close`` awaits the fetches it has cancelled. One that waits to be repeated after a failure raises
    CancelledError there, in a caller that nobody cancelled: a worker would not stop in time, and the reader of expected
    payments would end for good. A sibling of https://github.com/aio-libs/aiokafka/issues/983, which is fixed; no
    upstream issue of this place is known.
    """

    @functools.wraps(fetch)
    async def quiet(fetcher: Any, *request: Any) -> bool:
        try:
            return bool(await fetch(fetcher, *request))
        except asyncio.CancelledError:
            return False

    return quiet


def _closing_dead_connections(send: Any) -> Any:
    """Close a connection that was reset or does not respond, and let a join take its time.

    - uvloop raises RuntimeError for a write to a connection that was just reset; aiokafka expects an OSError, so the
      consumer's thread would end and the worker with it: https://github.com/aio-libs/aiokafka/issues/1038.
    - A connection without responses is kept after its requests time out, and metadata requests use it again and again.
      No upstream issue is known.
    - The brokers answer a JoinGroup request only when all members have joined or the rebalance timeout is over. Given
      up before, the join starts again, and so does the rebalance of the whole group. Java's client waits as here
      (https://github.com/apache/kafka/pull/3503); no upstream issue is known.
    """

    @functools.wraps(send)
    def checked(connection: Any, request: Any, expect_response: bool = True) -> Any:
        usual_seconds = connection._request_timeout
        if isinstance(request, JoinGroupRequest):
            connection._request_timeout = max(usual_seconds, request._rebalance_timeout / 1000 + _JOIN_MARGIN_SECONDS)
        try:
            response = send(connection, request, expect_response)
        except KafkaError:
            raise  # these are RuntimeErrors too
        except RuntimeError as error:
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError("the connection was closed while a request was written to it") from error
        finally:
            connection._request_timeout = usual_seconds
        return _closed_on_timeout(connection, response) if expect_response else response

    return checked


async def _closed_on_timeout(connection: Any, response: Awaitable[T]) -> T:
    try:
        return await response
    except TimeoutError:
        connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
        raise
