"""Answers calls about the flow: what the console's sampler has measured, and the news of money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from paynotify.ops.console.api.answering import answered
from paynotify.ops.console.api.tokens import ApiCaller
from paynotify.ops.console.flow.history import StepFigures, newest_figures
from paynotify.ops.console.flow.money_news import money_news
from paynotify.ops.console.flow.sampler import FlowSampler
from paynotify.ops.console.flow.steps import FlowStep
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.queries import IndexQueries
from paynotify.schemas.api.lists import FlowAnswer, FlowMoneyItem, FlowStepItem
from paynotify.schemas.configuration.merchants import provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.times import rfc3339_of


class FlowCalls:
    """Answers as the page of the flow does. ``age`` tells how far the index is behind."""

    def __init__(
        self, configuration: Configuration, queries: IndexQueries, sampler: FlowSampler, age: Callable[[], IndexAge]
    ) -> None:
        self._providers = {one.id: provider_of(one) for one in configuration.merchants}
        self._queries = queries
        self._sampler = sampler
        self._age = age

    async def flow(self, request: Request, caller: ApiCaller, given: Mapping[str, Any]) -> Response:
        """The stages now, and the news of money; of the caller's merchants and their providers."""
        merchants = {one: provider for one, provider in self._providers.items() if caller.sees(one)}
        news = await run_in_threadpool(money_news, self._queries, merchants)
        samples = self._sampler.history.samples()
        measured = ((one, newest_figures(samples, one.name)) for one in self._sampler.steps_of(merchants.values()))
        answer = FlowAnswer(
            sampled_at=rfc3339_of(samples[-1].at) if samples else None,
            problem=self._sampler.problem,
            steps=tuple(
                _step(step, figures, shows_rate=caller.merchants is None)
                for step, figures in measured
                if figures is not None
            ),
            money=tuple(
                FlowMoneyItem(
                    provider=one.provider,
                    taken_at=one.taken_at,
                    given_back_at=one.given_back_at,
                    silent_since=one.silent_since,
                )
                for one in news
            ),
        )
        return answered(answer, self._age())


def _step(step: FlowStep, figures: StepFigures, *, shows_rate: bool) -> FlowStepItem:
    """Rates are those of all merchants: how much others sell is not for one who sees some."""
    return FlowStepItem(
        name=step.name,
        stage=step.stage,
        provider=step.provider,
        state=figures.state,
        lag=figures.lag,
        waiting=figures.waiting,
        oldest_seconds=figures.oldest_seconds,
        rate=figures.rate if shows_rate else None,
    )
