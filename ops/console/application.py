"""The console's ASGI application: every group's routes behind their roles, and what every answer has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from paynotify.ops.console.access.guard import Identify, guarded, local_user
from paynotify.ops.console.access.site import ConsoleSite
from paynotify.ops.console.answer_headers import PROBE_PATHS, SafeAnswers
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.schemas.api.operations import PREFIX

_STATIC: Final = Path(__file__).resolve().parent / "static"


def build_application(
    renderer: PageRenderer,
    routes: Iterable[ConsoleRoute],
    identify: Identify = local_user,
    site: ConsoleSite | None = None,
    api: ASGIApp | None = None,
) -> SafeAnswers:
    """Serves the routes to those who have their roles. Own files are for everybody. ``site`` is where it is reached.

    ``api`` answers programs below its own path. It has tokens of its own, and knows nothing of sessions and roles.
    """
    place = site or ConsoleSite()
    known = (*routes, *(ConsoleRoute(path, _alive, None) for path in PROBE_PATHS))
    renderer.navigation = tuple(one for one in known if one.title)
    served = [
        Route(one.path, guarded(one.endpoint, one.path, one.role, identify), methods=list(one.methods), name=one.path)
        for one in known
    ]

    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        values = {"code": error.status_code, "text": error.detail}
        answer = renderer.page(request, "error.html", status_code=error.status_code, **values)
        answer.headers.update(error.headers or {})
        return answer

    handlers: Mapping[Any, Any] = {HTTPException: failed}
    mounts = [Mount("/static", StaticFiles(directory=_STATIC)), *([Mount(PREFIX, api)] if api is not None else [])]
    application = Starlette(routes=[*served, *mounts], exception_handlers=handlers)
    with_sessions = SessionMiddleware(
        application,
        secret_key=place.session_key,
        session_cookie=place.cookie,
        max_age=place.session_seconds,
        https_only=place.is_secure,
    )
    return SafeAnswers(with_sessions, place.origins)


async def _alive(request: Request) -> Response:
    """For probes. It tells nothing of the topics: pages are served while they are away, and say so."""
    return PlainTextResponse("alive\n")
