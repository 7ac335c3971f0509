"""The console's ASGI application: every group's routes behind their roles, and what every answer has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from paynotify.ops.console.access.guard import Identify, guarded, local_user
from paynotify.ops.console.answer_headers import SafeAnswers
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute

_STATIC: Final = Path(__file__).resolve().parent / "static"


def build_application(
    renderer: PageRenderer, routes: Iterable[ConsoleRoute], identify: Identify = local_user
) -> SafeAnswers:
    """Serves the routes to those who have their roles. Own files are for everybody."""
    known = tuple(routes)
    renderer.navigation = tuple(one for one in known if one.title)
    served = [
        Route(one.path, guarded(one.endpoint, one.role, identify), methods=list(one.methods), name=one.path)
        for one in known
    ]

    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        values = {"code": error.status_code, "text": error.detail}
        return renderer.page(request, "error.html", status_code=error.status_code, **values)

    handlers: Mapping[Any, Any] = {HTTPException: failed}
    files = Mount("/static", StaticFiles(directory=_STATIC))
    return SafeAnswers(Starlette(routes=[*served, files], exception_handlers=handlers))
