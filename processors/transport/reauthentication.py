"""aiokafka's connections authenticate with the current credentials, and again before their session ends (KIP-368).

Brokers with ``connections.max.reauth.ms`` close a connection that is used after its session, and a token's session ends
with the token. aiokafka 0.14 knows no sessions: each would end with broken requests, and a member's with a rebalance.
kafka-python authenticates again itself. No upstream issue is known for aiokafka.

`processors.transport.patches` puts these functions in place.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import random
import time
import weakref
from collections.abc import Awaitable
from typing import Any, Final

from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import SaslAuthenticateRequest, SaslHandShakeRequest

from paynotify.service.kafka_credentials import revealed
from paynotify.service.logs import event
from paynotify.service.oauth_token import BrokerToken

logger = logging.getLogger("paynotify.kafka")

#: Of a session's lifetime, as Java's client does it: connections of one moment do not authenticate at one moment.
_SESSION_SHARE: Final = (0.85, 0.95)
#: A broker takes a connection's requests one after the other, and looks at the session when it takes one: what was sent
#: behind a fetch may wait for as long as a fetch does (1.5 s in Faust), and must not wait beyond the session.
_MARGIN_SECONDS: Final = 2.5
#: Brokers refuse to authenticate a connection more often than once a second.
_MIN_SECONDS: Final = 1.2


class _AwaitedToken(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """The process's token as aiokafka asks for it."""

    def __init__(self, token: BrokerToken) -> None:
        self._token = token

    async def token(self) -> str:
        return self._token.token()

    def extensions(self) -> dict[str, str]:
        return self._token.extensions()


def with_broker_token(create_conn: Any) -> Any:
    """``create_conn`` that accepts a `BrokerToken`."""

    @functools.wraps(create_conn)
    async def connect(*address: Any, sasl_oauth_token_provider: Any = None, **settings: Any) -> Any:
        if isinstance(sasl_oauth_token_provider, BrokerToken):
            sasl_oauth_token_provider = _AwaitedToken(sasl_oauth_token_provider)
        return await create_conn(*address, sasl_oauth_token_provider=sasl_oauth_token_provider, **settings)

    return connect


def with_current_password(authenticator: Any) -> Any:
    """``authenticator_plain`` and ``authenticator_scram`` that reveal a `Secret` each time.

    aiokafka knows a password only as a text that it keeps: a password changed while the process runs would be used by
    new clients alone. No upstream issue is known.
    """

    @functools.wraps(authenticator)
    def current(connection: Any) -> Any:
        kept = connection._sasl_plain_password
        connection._sasl_plain_password = revealed(kept)
        try:
            return authenticator(connection)
        finally:
            connection._sasl_plain_password = kept

    return current


def scheduling_the_next(handshake: Any) -> Any:
    """``_do_sasl_handshake`` that is repeated before the session ends."""

    @functools.wraps(handshake)
    async def authenticate(connection: Any) -> None:
        connection.session_milliseconds = 0
        await handshake(connection)
        if connection.session_milliseconds > 0:
            # from when the request was sent: a busy event loop takes up the response late
            connection.renew_at_seconds = connection.authenticated_at_seconds + renewed_after_seconds(
                connection.session_milliseconds / 1000
            )
            wait_seconds = connection.renew_at_seconds - time.monotonic()
            asyncio.get_running_loop().call_later(wait_seconds, _begin_if_alive, weakref.ref(connection))

    return authenticate


def renewed_after_seconds(lifetime_seconds: float) -> float:
    """When to authenticate again, in a session of that lifetime."""
    seconds = lifetime_seconds * random.uniform(*_SESSION_SHARE)  # noqa: S311 - a jitter, not a secret
    # a session that is over by then is still renewed in time, since brokers accept that
    return max(min(seconds, lifetime_seconds - _MARGIN_SECONDS), _MIN_SECONDS)


def holding_requests(send: Any) -> Any:
    """``AIOKafkaConnection.send`` that notes a session's lifetime, and waits while the connection authenticates again.

    The broker takes nothing between the messages of an authentication. An event loop that was busy runs what sends
    requests before the timer that is overdue, so the time is looked at here too.
    """

    @functools.wraps(send)
    def held(connection: Any, request: Any, expect_response: bool = True) -> Any:
        if isinstance(request, SaslAuthenticateRequest):
            return _noting_session(connection, send(connection, request, expect_response))
        if isinstance(request, SaslHandShakeRequest):
            return send(connection, request, expect_response)
        if getattr(connection, "renew_at_seconds", math.inf) <= time.monotonic():
            _begin(connection)
        renewal: asyncio.Task[None] | None = getattr(connection, "renewal", None)
        if renewal is None:
            return send(connection, request, expect_response)
        return _sent_after(renewal, send, connection, request, expect_response)

    return held


async def _noting_session(connection: Any, response: Awaitable[Any]) -> Any:
    connection.authenticated_at_seconds = time.monotonic()
    answer = await response
    connection.session_milliseconds = getattr(answer, "session_lifetime_ms", 0)  # absent up to Kafka 2.1
    return answer


async def _sent_after(renewal: asyncio.Task[None], send: Any, *request: Any) -> Any:
    await asyncio.wait([renewal])  # not its result: a connection that could not be renewed is closed, and send says so
    return await send(*request)


def _begin_if_alive(reference: weakref.ref[Any]) -> None:
    connection = reference()
    if connection is not None and connection.renew_at_seconds < math.inf:
        _begin(connection)


def _begin(connection: Any) -> None:
    connection.renew_at_seconds = math.inf
    if connection.connected():
        connection.renewal = asyncio.ensure_future(_renew(connection))


async def _renew(connection: Any) -> None:
    """Authenticate again once the requests in flight are answered: a join takes longer than any other may."""
    try:
        while unanswered := [future for *_, future in connection._requests if not future.done()]:
            await asyncio.wait(unanswered)
        if connection.connected():
            await connection._do_sasl_handshake()
    except (KafkaError, OSError, TimeoutError) as error:
        if not connection.connected():
            return  # closed meanwhile, by this process or the broker
        event(logger, "session_not_renewed", level=logging.WARNING, error=type(error).__name__)
        connection.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
    finally:
        connection.renewal = None
