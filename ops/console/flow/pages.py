"""The flow: a diagram of the stages with their figures, and what they were in the last hour."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from paynotify.ops.console.access.identity import Role, identity_of
from paynotify.ops.console.flow.history import (
    FLOW_MEASURES,
    SAMPLE_SECONDS,
    FlowMeasure,
    FlowSample,
    StepFigures,
    newest_figures,
    series,
)
from paynotify.ops.console.flow.money_news import MoneyNews, money_news
from paynotify.ops.console.flow.sampler import FlowSampler
from paynotify.ops.console.flow.steps import FlowStep
from paynotify.ops.console.queries import IndexQueries
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.schemas.configuration.merchants import provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.times import parse_time, rfc3339_of

#: Units of ages, the greatest first, each used from two of it on.
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step in the diagram; without ``figures`` it is not measured yet."""

    step: FlowStep
    figures: StepFigures | None


class FlowPages:
    """Answers from what the sampler has measured."""

    def __init__(
        self,
        configuration: Configuration,
        sampler: FlowSampler,
        queries: IndexQueries,
        renderer: PageRenderer,
    ) -> None:
        self._providers = {one.id: provider_of(one) for one in configuration.merchants}
        self._sampler = sampler
        self._queries = queries
        self._renderer = renderer

    def routes(self) -> tuple[ConsoleRoute, ...]:
        return (
            ConsoleRoute("/flow", self.flow, Role.VIEWER, "Flow"),
            ConsoleRoute("/flow/samples", self.samples, Role.VIEWER),
        )

    async def flow(self, request: Request) -> Response:
        """The stages now, and the news of money."""
        merchants = self._merchants(request)
        news = await run_in_threadpool(money_news, self._queries, merchants)
        samples = self._sampler.history.samples()
        shown = _shown(self._steps_for(request), samples)
        return self._renderer.page(
            request,
            "flow.html",
            lanes={
                provider: [one for one in shown if one.step.provider == provider]
                for provider in dict.fromkeys(one.step.provider for one in shown)
            },
            sampled=rfc3339_of(samples[-1].at) if samples else "",
            problem=self._sampler.problem,
            shows_rates=_sees_all(request),
            seconds=int(SAMPLE_SECONDS),
            measure=_measure(request),
            measures=_measures(request),
            money=[_told(one) for one in news],
            age_text=age_text,
        )

    async def samples(self, request: Request) -> Response:
        """One measure of all steps in the last hour, or since a time, for the plot."""
        measure = _measure(request)
        try:
            since = float(request.query_params.get("since", "0"))
        except ValueError:
            raise HTTPException(400, "since must be a number of seconds since 1970.") from None
        steps = [one.name for one in self._steps_for(request)]
        at, values = await run_in_threadpool(series, self._sampler.history.samples(), steps, measure, since)
        content = {"measure": measure, "unit": FLOW_MEASURES[measure], "at": at, "steps": values}
        return Response(orjson.dumps(content), media_type="application/json")

    def _merchants(self, request: Request) -> dict[str, str]:
        seen = identity_of(request).merchants(Role.VIEWER)
        return {one: provider for one, provider in self._providers.items() if seen is None or one in seen}

    def _steps_for(self, request: Request) -> list[FlowStep]:
        """The steps that the viewer's merchants' payments take."""
        return self._sampler.steps_of(self._merchants(request).values())


def age_text(seconds: float) -> str:
    """An age such as ``3 s``, ``12 min`` or ``5 h``."""
    for unit_seconds, unit in _UNITS:
        if seconds >= 2 * unit_seconds:
            return f"{seconds // unit_seconds:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _shown(steps: Sequence[FlowStep], samples: Sequence[FlowSample]) -> list[ShownStep]:
    return [ShownStep(one, newest_figures(samples, one.name)) for one in steps]


def _sees_all(request: Request) -> bool:
    """Rates are those of all merchants: how much others sell is not for a viewer of some."""
    return identity_of(request).merchants(Role.VIEWER) is None


def _measures(request: Request) -> list[FlowMeasure]:
    return [one for one in FLOW_MEASURES if one != "rate" or _sees_all(request)]


def _measure(request: Request) -> FlowMeasure:
    asked = request.query_params.get("measure", "lag")
    if asked not in _measures(request):
        raise HTTPException(400, f"The measure must be one of {', '.join(_measures(request))}.")
    return asked


def _told(news: MoneyNews) -> dict[str, str]:
    """The times with their ages, as the page says them."""
    return {
        "provider": news.provider,
        "taken": _since(news.taken_at),
        "given_back": _since(news.given_back_at),
        "silent": _since(news.silent_since),
    }


def _since(at: str | None) -> str:
    moment = parse_time(at) if at else None
    return f"{at} ({age_text(time.time() - moment.timestamp())} ago)" if moment is not None else ""
