"""Users are known by the headers of a proxy in front, which has signed them in."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from paynotify.ingest.networks import Networks
from paynotify.ops.console.access.grants import GrantedRoles
from paynotify.ops.console.access.identity import Identity
from paynotify.schemas.configuration.console_access import ProxyUserSettings
from paynotify.service.listener import caller_address

_MAX_GROUPS: Final = 1000


class ProxyAccess:
    """Believes the headers of the configured proxies, and nobody else's."""

    def __init__(self, settings: ProxyUserSettings, roles: GrantedRoles) -> None:
        self._proxies = Networks(settings.trusted_proxies)
        self._user_header = settings.user_header
        self._groups_header = settings.groups_header
        self._roles = roles

    async def identify(self, connection: HTTPConnection) -> Identity | None:
        """The user that the proxy names.

        Raises:
            HTTPException: the request does not come from a proxy (403), or its headers name several users (400).
        """
        if caller_address(connection.client) not in self._proxies:
            raise HTTPException(403, "The console is used through its proxy.")
        names = connection.headers.getlist(self._user_header)
        if len(names) > 1:  # of which the browser may have sent one
            raise HTTPException(400, "The proxy names several users.")
        if not names or not names[0]:
            return None
        groups = ",".join(connection.headers.getlist(self._groups_header)).split(",", _MAX_GROUPS)[:_MAX_GROUPS]
        return self._roles.identity(names[0], "proxy", (one.strip() for one in groups))
