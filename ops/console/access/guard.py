"""Lets a request reach its route if the one who sends it has the route's role, and logs who asked for what."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from paynotify.ops.common.operator import system_user
from paynotify.ops.console.access.form_tokens import check_form
from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role
from paynotify.ops.console.access.origins import SAFE_METHODS
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.console")

#: Tells who sends a request; None if nobody is known. It may raise an `HTTPException` that asks for credentials.
Identify = Callable[[HTTPConnection], Awaitable[Identity | None]]
Endpoint = Callable[[Request], Awaitable[Response]]


async def local_user(connection: HTTPConnection) -> Identity:
    """Whoever reaches a console that listens on this machine alone: the commands of this user may do all as well."""
    return Identity(system_user() or "local", "local", {EVERY_MERCHANT: Role.CASHIER})


def guarded(endpoint: Endpoint, path: str, role: Role | None, identify: Identify) -> Endpoint:
    """The endpoint for those who have the role with the merchant that the path names, or with any if it names none.

    None is for everybody, known or not. What changes something needs a form of the console's own pages.
    """

    async def answer(request: Request) -> Response:
        status = 500
        try:
            identity = await _identified(request, role, identify)
            if identity is not None:
                request.state.identity = identity
            if role is not None:
                _require(role, identity, request.path_params.get("merchant"))
            if request.method not in SAFE_METHODS:
                await check_form(request)
            response = await endpoint(request)
            status = response.status_code
            return response
        except HTTPException as error:
            status = error.status_code
            raise
        finally:
            if role is not None:
                _log(request, path, status)

    return answer


async def _identified(request: Request, role: Role | None, identify: Identify) -> Identity | None:
    try:
        return await identify(request)
    except HTTPException:
        if role is None:  # probes and the pages for signing in have no credentials
            return None
        raise


def _require(role: Role, identity: Identity | None, merchant: str | None) -> None:
    """Let pass who has the role.

    Raises:
        HTTPException: nobody is known, or not with the role.
    """
    if identity is None:
        raise HTTPException(401, "Sign in to use the console.")
    if not identity.may(role, merchant):
        with_it = f" with the merchant {merchant}" if merchant is not None else ""
        raise HTTPException(403, f"This needs the role {role.name.lower()}{with_it}.")


def _log(request: Request, path: str, status: int) -> None:
    """The route, not the URL: ids of payments and what is searched for stay out of the log."""
    identity = getattr(request.state, "identity", None)
    who = {"who": identity.name, "known_by": identity.kind} if identity is not None else {}
    event(logger, "console_request", method=request.method, route=path, status=status, **who)
