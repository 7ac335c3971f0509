"""Group membership that detects a dead connection before the group expels this member.

`processors.transport.patches` makes aiokafka's consumers use it. Each difference was seen to stall partitions; upstream
issues are named where one is known:

- A heartbeat times out after half a session timeout, not after the timeout of all requests, which may be longer than
  a session: on a connection that is open but dead the member would be expelled before it notices. The next heartbeat
  uses a new connection, still within the session. No upstream issue is known.
- Heartbeats continue while assigned partitions are acquired. aiokafka starts them afterwards, but acquiring may wait
  for a batch to end, and a member that is silent for a session is expelled, joins again and waits again. No upstream
  issue is known.
- A member that got no response from its group for a session knows it (`StableGroupCoordinator.confirmed`), as asked
  for in https://github.com/aio-libs/aiokafka/issues/1040: another may own its partitions, and if both acquire the
  states from each other, they only repeat each other's work.
- A subscription that is replaced while the group's coordinator is unknown, as Faust does 45 seconds after its start,
  waits for its turn. aiokafka goes on with the old one and fails, and the worker ends with it:
  https://github.com/aio-libs/aiokafka/issues/796 has the same assertion.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from aiokafka.client import ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.group import SyncGroupRequest

#: Of a session timeout. There are four heartbeats in it, so that after one without a response the next is in time.
_HEARTBEAT_SHARE: Final = 1 / 2


class StableGroupCoordinator(GroupCoordinator):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's coordinator with these four differences.

    ``_confirmed_at`` (monotonic) is when the last request was sent whose response confirmed the membership.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._confirmed_at = self._synced_at = float("-inf")
        super().__init__(*args, **kwargs)

    @property
    def confirmed(self) -> bool:
        """Whether the group confirmed this member within the last session timeout. Any thread may ask."""
        return bool(time.monotonic() - self._confirmed_at < self._session_timeout_ms / 1000)

    async def _do_heartbeat(self) -> bool:
        sent_at = time.monotonic()
        try:
            async with asyncio.timeout(self._session_timeout_ms / 1000 * _HEARTBEAT_SHARE):
                accepted = bool(await super()._do_heartbeat())
        except TimeoutError:
            self._close_connection()
            return False
        if accepted:
            self._confirmed_at = sent_at
        return accepted

    def reset_generation(self) -> None:
        """Called when the group has said that this is no longer a member."""
        self._confirmed_at = float("-inf")
        super().reset_generation()

    def need_rejoin(self, subscription: Any) -> bool:
        return not subscription.active or bool(super().need_rejoin(subscription))

    async def ensure_active_group(self, subscription: Any, prev_assignment: Any) -> Any:
        """Returns nothing for a subscription that was replaced: the caller takes the new one then."""
        return await super().ensure_active_group(subscription, prev_assignment) if subscription.active else None

    async def _send_req(self, request: Any) -> Any:
        if isinstance(request, SyncGroupRequest):
            self._synced_at = time.monotonic()
        return await super()._send_req(request)

    def _close_connection(self) -> None:
        connection = self._client._conns.get((self.coordinator_id, ConnectionGroup.COORDINATION))
        if connection is not None:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
        self.coordinator_dead()

    async def _on_join_complete(self, *args: Any) -> None:
        # when the request was sent, not now: this process may have been frozen since the group responded
        self._confirmed_at = self._synced_at
        self._start_heartbeat_task()
        await super()._on_join_complete(*args)
