"""A unit's membership in its consumer group, where aiokafka's own keeps it badly.

Each difference was seen to make partitions stand still:

- A heartbeat is given up after half a session, not after the time-out of all requests, which may be longer than a
  session: on a connection that is open but dead the member would be expelled before it learns of it. The next heartbeat
  goes over a new connection within the session, and the group never notices.
- Heartbeats go on while the partitions assigned are taken over. aiokafka begins with them only afterwards; taking over
  may wait for a batch to end, and a member that says nothing for a session is expelled, joins again, and waits again.
- A member that has heard nothing from its group for a session says so (`confirmed`): another may have its partitions,
  and taking the states back from that one would only make the two do each other's work again and again.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from aiokafka.client import ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.consumer import consumer as aiokafka_consumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.group import SyncGroupRequest

#: Of a session. Heartbeats are sent four times in it: after one without an answer the next still comes in time.
_HEARTBEAT_SHARE: Final = 1 / 2


class StableGroupCoordinator(GroupCoordinator):  # type: ignore[misc]  # aiokafka has no types
    """``_confirmed_at`` (monotonic) is when the last request had been sent by whose answer it is a member."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._confirmed_at = self._synced_at = float("-inf")

    @property
    def confirmed(self) -> bool:
        """Whether the group still counts on this member, by what was last heard of it. For any thread."""
        return bool(time.monotonic() - self._confirmed_at < self._session_timeout_ms / 1000)

    async def _do_heartbeat(self) -> bool:
        sent_at = time.monotonic()
        try:
            async with asyncio.timeout(self._session_timeout_ms / 1000 * _HEARTBEAT_SHARE):
                well = bool(await super()._do_heartbeat())
        except TimeoutError:
            self._give_up_connection()
            return False
        if well:
            self._confirmed_at = sent_at
        return well

    def reset_generation(self) -> None:
        """Called when the group has said that this is no member any more."""
        self._confirmed_at = float("-inf")
        super().reset_generation()

    async def _send_req(self, request: Any) -> Any:
        if isinstance(request, SyncGroupRequest):
            self._synced_at = time.monotonic()
        return await super()._send_req(request)

    def _give_up_connection(self) -> None:
        connection = self._client._conns.get((self.coordinator_id, ConnectionGroup.COORDINATION))
        if connection is not None:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
        self.coordinator_dead()

    async def _on_join_complete(self, *args: Any) -> None:
        # not the time of now: this process may have stood still since the group answered
        self._confirmed_at = self._synced_at
        self._start_heartbeat_task()
        await super()._on_join_complete(*args)


#: aiokafka's consumer has no parameter for it.
aiokafka_consumer.GroupCoordinator = StableGroupCoordinator
