"""The API as an ASGI application: every operation behind a token with its scope, every refusal as a problem."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from paynotify.ops.console.api.answering import ApiProblemError
from paynotify.ops.console.api.parameters import parameters_of, refuse_token_in_url
from paynotify.ops.console.api.tokens import ApiCaller, ApiTokens
from paynotify.ops.console.index.follower import IndexAge
from paynotify.schemas.api.operations import OPERATIONS, ApiOperation
from paynotify.schemas.api.problems import (
    INDEX_INCOMPLETE,
    NOT_FOUND,
    OVER_RATE,
    SCOPE_MISSING,
    UNAUTHENTICATED,
    WRONG_METHOD,
)

#: Answers a call of a caller with its parameters by name.
ApiCall = Callable[[Request, ApiCaller, Mapping[str, Any]], Awaitable[Response]]

_RETRY_SECONDS: Final = 5


class ConsoleApi:
    """Serves the operations. ``calls`` answers them by name; ``age`` tells how far the index is behind."""

    def __init__(self, tokens: ApiTokens, calls: Mapping[str, ApiCall], age: Callable[[], IndexAge]) -> None:
        self._tokens = tokens
        self._calls = calls
        self._age = age

    def application(self) -> Starlette:
        """For the path of `operations.PREFIX`."""
        handlers: Mapping[Any, Any] = {ApiProblemError: _refused, HTTPException: _not_routed}
        routes = [Route(_path(one), self._endpoint(one), name=one.name) for one in OPERATIONS]
        made = Starlette(routes=routes, exception_handlers=handlers)
        made.router.redirect_slashes = False  # a path that is wrong is a problem as any other
        return made

    def _endpoint(self, operation: ApiOperation) -> Callable[[Request], Awaitable[Response]]:
        call = self._calls[operation.name]

        async def answer(request: Request) -> Response:
            caller = self._admitted(request, operation)
            given = parameters_of(request, operation)
            if not self._age().is_complete:
                raise ApiProblemError(
                    INDEX_INCOMPLETE, "What is missing could be the answer. Ask again later.", _RETRY_SECONDS
                )
            return await call(request, caller, given)

        return answer

    def _admitted(self, request: Request, operation: ApiOperation) -> ApiCaller:
        refuse_token_in_url(request)
        caller = self._tokens.caller(request.headers.get("authorization", ""))
        if caller is None:
            raise ApiProblemError(UNAUTHENTICATED, "Send one of console.api_tokens as `Authorization: Bearer TOKEN`.")
        wait_seconds = self._tokens.wait_seconds(caller)
        if wait_seconds:
            detail = f"{caller.name} may call {caller.calls_per_second:g} times per second."
            raise ApiProblemError(OVER_RATE, detail, wait_seconds)
        if operation.scope not in caller.scopes:
            raise ApiProblemError(SCOPE_MISSING, f"{caller.name} has no scope {operation.scope}.")
        return caller


def _path(operation: ApiOperation) -> str:
    """As Starlette writes it: the last part may have slashes, as the ids of orders may."""
    return f"{operation.path[:-1]}:path}}" if operation.path.endswith("}") else operation.path


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiProblemError)
    return error.response()


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == WRONG_METHOD.status:
        answer = ApiProblemError(WRONG_METHOD, "Nothing can be changed here.").response()
        answer.headers.update(error.headers or {})
        return answer
    return ApiProblemError(NOT_FOUND, "There is no such path. See openapi-console.json.").response()
