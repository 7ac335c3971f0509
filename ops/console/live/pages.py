"""The live tail, and the news that make open pages load themselves again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from paynotify.ops.console.access.identity import Role, identity_of
from paynotify.ops.console.lists.listing import PAGE_ROWS
from paynotify.ops.console.live.event_stream import EventStreamResponse, encoded
from paynotify.ops.console.live.events import TAIL_KINDS, LiveFilter
from paynotify.ops.console.live.fan_out import (
    MAX_WATCHERS,
    MAX_WATCHERS_OF_ONE,
    EventFanOut,
    NewEvents,
    TooManyWatchersError,
)
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.schemas.configuration.merchants import provider_of
from paynotify.schemas.configuration.model import Configuration

#: An open page loads itself again at most so often.
NEWS_SECONDS: Final = 2.0
_MAX_CHARACTERS: Final = 255
_RETRY_SECONDS: Final = "30"
_KINDS: Final = tuple(TAIL_KINDS.values())
_TAIL_FIELDS: Final = ("kind", "provider", "merchant")


class LivePages:
    """Answers from what `EventFanOut` keeps and gets, never from the topics."""

    def __init__(self, configuration: Configuration, fan_out: EventFanOut, renderer: PageRenderer) -> None:
        self._providers = {one.id: provider_of(one) for one in configuration.merchants}
        self._fan_out = fan_out
        self._renderer = renderer

    def routes(self) -> tuple[ConsoleRoute, ...]:
        return (
            ConsoleRoute("/live", self.tail, Role.VIEWER, "Live"),
            ConsoleRoute("/live/events", self.tail_events, Role.VIEWER),
            ConsoleRoute("/live/news", self.news, Role.VIEWER),
        )

    async def tail(self, request: Request) -> Response:
        """The newest events; with script also those that come."""
        mark = self._fan_out.mark  # asked before the events, so that none is missed between both
        wanted = live_filter(request)
        merchants = [one for one in sorted(self._providers) if wanted.merchants is None or one in wanted.merchants]
        asked = {name: request.query_params.get(name, "") for name in _TAIL_FIELDS}
        return self._renderer.page(
            request,
            "live.html",
            events=self._fan_out.newest(wanted, PAGE_ROWS),
            rows=PAGE_ROWS,
            asked=asked,
            choices={
                "kind": _KINDS,
                "provider": sorted({self._providers[one] for one in merchants}),
                "merchant": merchants,
            },
            is_stopped="stopped" in request.query_params,
            query=urlencode({name: text for name, text in asked.items() if text}),
            mark=mark,
        )

    async def tail_events(self, request: Request) -> Response:
        """Rows of what comes, newest first."""
        return self._stream(request, live_filter(request), self._rows)

    async def news(self, request: Request) -> Response:
        """Tells that something came which concerns a page, not what."""
        return self._stream(request, news_filter(request), _news, NEWS_SECONDS)

    def _rows(self, new: NewEvents) -> bytes:
        rows = self._renderer.fragment(
            "live_rows.html", events=new.events[::-1], left_out=new.left_out, has_gap=new.has_gap
        )
        return encoded(rows, mark=new.mark)

    def _stream(
        self, request: Request, wanted: LiveFilter, told: Callable[[NewEvents], bytes], rest_seconds: float = 0.0
    ) -> Response:
        if request.method == "HEAD":
            return Response(media_type=EventStreamResponse.media_type)
        after = request.headers.get("last-event-id") or request.query_params.get("after", "")
        try:
            watcher = self._fan_out.watch(wanted, after, _person(request))
        except TooManyWatchersError:
            text = self._renderer.fragment("live_full.html", most=MAX_WATCHERS, own=MAX_WATCHERS_OF_ONE)
            return HTMLResponse(text, 503, headers={"retry-after": _RETRY_SECONDS})
        return EventStreamResponse(self._fan_out, watcher, told, rest_seconds)


def live_filter(request: Request) -> LiveFilter:
    """What the tail shows, as the address says it.

    Raises:
        HTTPException: the address names a kind that is none.
    """
    asked = _texts(request, *_TAIL_FIELDS)
    kind = asked["kind"]
    if kind and kind not in _KINDS:
        raise HTTPException(400, f"The kind must be one of {', '.join(_KINDS)}.")
    return LiveFilter(
        kinds=frozenset([kind] if kind else _KINDS),
        provider=asked["provider"],
        merchant=asked["merchant"],
        merchants=_seen(request),
    )


def news_filter(request: Request) -> LiveFilter:
    """What concerns a page: one payment and its order, or all."""
    asked = _texts(request, "merchant", "payment", "order")
    return LiveFilter(
        merchant=asked["merchant"], payment_id=asked["payment"], order_id=asked["order"], merchants=_seen(request)
    )


def news_address(mark: str, **concerned: str | None) -> str:
    """Where a page asks for news that came after the mark: about a ``merchant``'s ``payment`` and ``order``, or all."""
    return "/live/news?" + urlencode({**{name: text for name, text in concerned.items() if text}, "after": mark})


def _news(new: NewEvents) -> bytes:
    return encoded("", event="news", mark=new.mark)


def _person(request: Request) -> str:
    """Who watches; empty where nobody can be told from another."""
    identity = identity_of(request)
    return "" if identity.kind == "local" else identity.name


def _seen(request: Request) -> frozenset[str] | None:
    return identity_of(request).merchants(Role.VIEWER)


def _texts(request: Request, *names: str) -> dict[str, str]:
    return {name: request.query_params.get(name, "")[:_MAX_CHARACTERS] for name in names}
