"""What aiokafka does in the situations that `processors.transport.patches` changes.

Each probe uses real objects of the library with the network replaced, and returns what happened. Tests run the probes
in a patched process. ``python -m tests.fakes.aiokafka_probes`` runs them without patches and prints a JSON object.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition, conn
from aiokafka import client as client_module
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer import group_coordinator
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import (
    ApiVersionRequest,
    ApiVersionResponse_v0,
    SaslAuthenticateRequest,
    SaslAuthenticateResponse_v1,
    SaslHandShakeRequest,
    SaslHandShakeResponse_v1,
)
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import JoinGroupRequest

from paynotify.processors.transport import reauthentication
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.service.kafka_client import client_settings

#: As good as for ever.
LONG_SECONDS: Final = 3600.0
JOIN_SECONDS: Final = 30.0
REQUEST_SECONDS: Final = 10.0
SESSION_SECONDS: Final = 0.1

_VERSIONS: Final = {FindCoordinatorRequest.API_KEY: (0, 1), JoinGroupRequest.API_KEY: (2, 5)}
_ENVIRONMENT: Final = "PROBED_PASSWORD"


async def passwords() -> list[str]:
    """The password of each new connection, by each way a client opens one; it changes in between."""
    kafka = KafkaSettings(
        bootstrap_servers="127.0.0.1:1",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_plain_username="user",
        sasl_plain_password=SecretRef(env=_ENVIRONMENT),
    )
    presented: list[str] = []

    async def refuse(self: Any) -> None:
        with suppress(TypeError):  # of the library, which would join a `Secret` to a text
            password = self.authenticator_plain()._sasl_plain_password
            presented.append(password if isinstance(password, str) else f"a {type(password).__name__}")
        raise OSError("no broker")

    with patch.dict(os.environ, {_ENVIRONMENT: "first"}), patch.object(AIOKafkaConnection, "connect", refuse):
        client = AIOKafkaClient(**client_settings(kafka, "probe"))
        client.cluster = SimpleNamespace(broker_metadata=lambda _: SimpleNamespace(host="127.0.0.1", port=1))
        client.force_metadata_update = lambda: None
        await client._get_conn(1)
        os.environ[_ENVIRONMENT] = "second"
        await client._get_conn(1)
        client = AIOKafkaClient(**client_settings(kafka, "probe"))
        os.environ[_ENVIRONMENT] = "third"
        with suppress(KafkaConnectionError):
            await client.bootstrap()
    return presented


def _metadata(port: int, cluster_id: str = "the first") -> Any:
    """A response of a cluster of one broker."""
    brokers = [(1, "127.0.0.1", port, None)]
    return SimpleNamespace(API_VERSION=5, brokers=brokers, topics=[], controller_id=1, cluster_id=cluster_id)


@asynccontextmanager
async def client_of(responses: Mapping[int, Any]) -> AsyncIterator[Any]:
    """A client whose bootstrap server is at port 1, while these ports are answered at."""

    async def connect(host: str, port: int, **_: Any) -> Any:
        if port not in responses:
            raise OSError("nobody listens")

        async def send(_: Any) -> Any:
            return responses[port]

        return SimpleNamespace(connected=lambda: True, close=lambda reason=None: None, send=send)

    with patch.object(client_module, "create_conn", connect):
        client = AIOKafkaClient(bootstrap_servers="127.0.0.1:1")
        client.force_metadata_update = lambda: None
        yield client


async def brokers_that_have_moved() -> list[int]:
    """The ports that a client knows of its only broker before and after that has moved."""
    responses = {1: _metadata(2), 2: _metadata(2)}
    async with client_of(responses) as client:
        client.cluster.update_metadata(_metadata(2))
        before = client.cluster.broker_metadata(1).port
        del responses[2]
        responses[1] = responses[3] = _metadata(3)
        await client._metadata_update(client.cluster, [])
        return [before, client.cluster.broker_metadata(1).port]


async def cluster_that_was_replaced() -> list[int]:
    """The ports that a client knows of its only broker before and after another cluster answers at its address."""
    responses = {1: _metadata(2), 2: _metadata(3, "another")}
    async with client_of(responses) as client:
        client.cluster.update_metadata(_metadata(2))
        before = client.cluster.broker_metadata(1).port
        await client._metadata_update(client.cluster, [])
        return [before, client.cluster.broker_metadata(1).port]


async def _answer_authentications(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: list[str]) -> None:
    """What a broker says while a client authenticates; each session lasts a minute."""
    answers: dict[int, tuple[str, Any]] = {
        ApiVersionRequest.API_KEY: ("versions", ApiVersionResponse_v0(0, [(17, 1, 1), (36, 1, 1), (18, 0, 0)])),
        SaslHandShakeRequest.API_KEY: ("handshake", SaslHandShakeResponse_v1(0, ["PLAIN"])),
        SaslAuthenticateRequest.API_KEY: ("authenticate", SaslAuthenticateResponse_v1(0, None, b"", 60_000)),
        FindCoordinatorRequest.API_KEY: ("another", b""),
    }
    with suppress(asyncio.IncompleteReadError):
        while True:
            request = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
            name, answer = answers[int.from_bytes(request[:2], "big")]
            seen.append(name)
            if answer:
                said = request[4:8] + answer.encode()  # the correlation id comes first
                writer.write(len(said).to_bytes(4, "big") + said)
    writer.close()


async def session_that_ends() -> list[str]:
    """What a broker is sent when a session is about to end, and a request is made meanwhile."""
    seen: list[str] = []
    async with await asyncio.start_server(
        lambda reader, writer: _answer_authentications(reader, writer, seen), "127.0.0.1", 0
    ) as server:
        with patch.object(reauthentication, "renewed_after_seconds", lambda lifetime: 0.01 if lifetime == 60 else 0):
            connection = await conn.create_conn(
                *server.sockets[0].getsockname()[:2],
                security_protocol="SASL_PLAINTEXT",
                sasl_mechanism="PLAIN",
                sasl_plain_username="user",
                sasl_plain_password="password",
            )
        connection._versions[FindCoordinatorRequest.API_KEY] = (0, 0)
        await asyncio.sleep(0.02)  # the session is due for renewal, if anybody looks
        another = asyncio.ensure_future(connection.send(FindCoordinatorRequest("a group", 0)))
        async with asyncio.timeout(10):
            while "another" not in seen:
                await asyncio.sleep(0.01)
        another.cancel()
        connection.close()
        await asyncio.gather(another, return_exceptions=True)
    return seen


async def close_while_a_fetch_waits() -> str:
    """What ``Fetcher.close`` does while a fetch waits to be repeated after a failure."""
    refused = asyncio.Event()

    async def refuse(*_: Any) -> None:
        refused.set()
        raise KafkaConnectionError("no broker")

    fetcher = object.__new__(Fetcher)
    fetcher._client = SimpleNamespace(send=refuse)
    fetcher._retry_backoff = LONG_SECONDS
    fetcher._fetch_waiters = set()
    fetcher._invalidate_preferred_read_replica_for_node = lambda *_: None
    fetcher._fetch_task = asyncio.ensure_future(asyncio.sleep(LONG_SECONDS))
    waiting = asyncio.ensure_future(fetcher._proc_fetch_request(None, 1, SimpleNamespace(topics=[])))
    fetcher._pending_tasks = {waiting}
    await refused.wait()
    try:
        await fetcher.close()
    except asyncio.CancelledError:
        return "raised CancelledError"
    return "returned"


async def write_to_a_reset_connection() -> str:
    """The error of a request that is written to a connection uvloop has just closed."""

    class Closed:
        def write(self, data: bytes) -> None:
            raise RuntimeError("unable to perform operation on <TCPTransport closed>; the handler is closed")

        def close(self) -> None:
            return

    connection = AIOKafkaConnection("127.0.0.1", 1)
    connection._writer, connection._versions = Closed(), _VERSIONS
    try:
        connection.send(FindCoordinatorRequest("a group", 0))
    except RuntimeError as error:
        return type(error).__name__
    finally:
        connection._writer = None
    return "none"


async def closed_after_a_timeout() -> list[str]:
    """Why the connection was closed after a request over it timed out; nothing if it was kept."""
    reasons: list[str] = []
    connection = AIOKafkaConnection("127.0.0.1", 1, request_timeout_ms=10)
    connection._writer, connection._versions = SimpleNamespace(write=lambda _: None), _VERSIONS
    connection.close = lambda reason=None, exc=None: reasons.append(reason.name)
    with suppress(TimeoutError):
        await connection.send(FindCoordinatorRequest("a group", 0))
    return reasons


async def request_timeouts() -> list[float]:
    """The seconds that a join and another request may take."""
    seconds: list[float] = []

    async def wait_for(response: Any, timeout: float) -> None:
        seconds.append(timeout)

    with patch.object(conn, "wait_for", wait_for):
        connection = AIOKafkaConnection("127.0.0.1", 1, request_timeout_ms=round(REQUEST_SECONDS * 1000))
        connection._writer, connection._versions = SimpleNamespace(write=lambda _: None), _VERSIONS
        rebalance = round(JOIN_SECONDS * 1000)
        await connection.send(
            JoinGroupRequest("group", 6_000, rebalance, "", "name", "consumer", [("roundrobin", b"")])
        )
        await connection.send(FindCoordinatorRequest("group", 0))
    return seconds


@asynccontextmanager
async def member_of_a_group() -> AsyncIterator[Any]:
    """The coordinator of a started consumer, made where the consumer makes it."""
    consumer = AIOKafkaConsumer(group_id="group", session_timeout_ms=round(SESSION_SECONDS * 1000))

    async def connected() -> None:
        return

    consumer._client.bootstrap = connected
    await consumer.start()
    try:
        yield consumer._coordinator
    finally:
        await consumer.stop()


async def heartbeat_without_a_response() -> str:
    """What a heartbeat does if nothing comes back within several session timeouts."""
    async with member_of_a_group() as coordinator:
        coordinator.coordinator_id = 1

        async def silent(*_: Any, **__: Any) -> None:
            await asyncio.sleep(LONG_SECONDS)

        coordinator._client.send = silent
        try:
            await asyncio.wait_for(coordinator._do_heartbeat(), SESSION_SECONDS * 5)
        except TimeoutError:
            return "still waits"
        finally:
            coordinator.coordinator_id = None
    return "gave up"


async def order_of_a_rebalance() -> list[str]:
    """Whether heartbeats run while the listener acquires the assigned partitions."""
    order: list[str] = []

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
        async def on_partitions_revoked(self, revoked: Any) -> None:
            return

        async def on_partitions_assigned(self, assigned: Any) -> None:
            order.append("acquired")

    async def joined(self: Any) -> tuple[str, bytes]:
        assignment = ConsumerProtocolMemberAssignment(0, [("topic", [0])], b"")
        return "roundrobin", assignment.encode()

    async def nothing(*_: Any) -> None:
        await asyncio.sleep(0)

    async with member_of_a_group() as coordinator:
        start = coordinator._start_heartbeat_task

        def recorded() -> None:
            if coordinator._heartbeat_task is None:
                order.append("heartbeats start")
            start()

        coordinator._start_heartbeat_task = recorded
        coordinator._heartbeat_routine = nothing
        coordinator.start_commit_offsets_refresh_task = lambda _: None
        coordinator._coordination_task.cancel()  # it would look for a coordinator
        coordinator._coordination_task = asyncio.ensure_future(nothing())
        coordinator._subscription.subscribe({"topic"}, listener=Listener())
        subscription = coordinator._subscription.subscription
        with patch.object(group_coordinator.CoordinatorGroupRebalance, "perform_group_join", joined):
            await coordinator.ensure_active_group(subscription, None)
    return order


async def subscribe_again_without_a_coordinator() -> str:
    """What a member does whose subscription is replaced while its group's coordinator is unknown."""
    looking, known, joining = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def found(self: Any) -> None:
        looking.set()
        await known.wait()

    async def join(self: Any) -> None:
        joining.set()
        await asyncio.sleep(LONG_SECONDS)

    with (
        patch.object(group_coordinator.GroupCoordinator, "ensure_coordinator_known", found),
        patch.object(group_coordinator.CoordinatorGroupRebalance, "perform_group_join", join),
    ):
        async with member_of_a_group() as coordinator:
            subscriptions = coordinator._subscription
            subscriptions.subscribe({"topic"})
            subscriptions.assign_from_subscribed({TopicPartition("topic", 0)})
            await looking.wait()
            subscriptions.subscribe({"topic", "another topic"})
            known.set()
            joined = asyncio.ensure_future(joining.wait())
            routine = coordinator._coordination_task
            done, _ = await asyncio.wait([joined, routine], timeout=5, return_when=asyncio.FIRST_COMPLETED)
            if routine in done:
                joined.cancel()
                return f"failed with {type(routine.exception().__cause__).__name__}"
            routine.cancel()
            coordinator._coordination_task = asyncio.ensure_future(asyncio.sleep(0))
    return "joins with the new subscription"


PROBES: Final[tuple[Callable[[], Awaitable[object]], ...]] = (
    passwords,
    session_that_ends,
    brokers_that_have_moved,
    cluster_that_was_replaced,
    close_while_a_fetch_waits,
    write_to_a_reset_connection,
    closed_after_a_timeout,
    request_timeouts,
    heartbeat_without_a_response,
    order_of_a_rebalance,
    subscribe_again_without_a_coordinator,
)


async def _outcomes() -> dict[str, object]:
    return {probe.__name__: await probe() for probe in PROBES}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    print(json.dumps(asyncio.run(_outcomes())))
