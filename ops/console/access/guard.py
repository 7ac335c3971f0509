"""Lets a request reach its route if the one who sends it has the route's role."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from paynotify.ops.common.operator import system_user
from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role

#: Tells who sends a request; None if nobody is known.
Identify = Callable[[HTTPConnection], Awaitable[Identity | None]]
Endpoint = Callable[[Request], Awaitable[Response]]


async def local_user(connection: HTTPConnection) -> Identity:
    """Whoever reaches a console that listens on this machine alone: the commands of this user may do all as well."""
    return Identity(system_user() or "local", "local", {EVERY_MERCHANT: Role.CASHIER})


def guarded(endpoint: Endpoint, role: Role | None, identify: Identify) -> Endpoint:
    """The endpoint for those who have the role with any merchant; None is for everybody, known or not."""

    async def answer(request: Request) -> Response:
        identity = await identify(request)
        if identity is None and role is not None:
            raise HTTPException(401, "Sign in to use the console.")
        if identity is not None:
            if role is not None and not identity.may(role):
                raise HTTPException(403, f"This needs the role {role.name.lower()}.")
            request.state.identity = identity
        return await endpoint(request)

    return answer
