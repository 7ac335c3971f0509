"""Builds the API of a console."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.applications import Starlette

from paynotify.ops.console.api.application import ApiCall, ConsoleApi
from paynotify.ops.console.api.event_waiters import EventWaiters
from paynotify.ops.console.api.flow_calls import FlowCalls
from paynotify.ops.console.api.list_calls import ListCalls
from paynotify.ops.console.api.operation_calls import OperationCalls
from paynotify.ops.console.api.payment_calls import PaymentCalls
from paynotify.ops.console.api.tokens import ApiTokens
from paynotify.ops.console.flow.sampler import FlowSampler
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.queries import IndexQueries
from paynotify.schemas.configuration.model import Configuration


def build_api(
    configuration: Configuration,
    queries: IndexQueries,
    waiters: EventWaiters,
    sampler: FlowSampler,
    age: Callable[[], IndexAge],
) -> Starlette:
    """The application for the path of `operations.PREFIX`.

    Raises:
        ConfigurationError: a token's secret can't be read, or is too short.
    """
    payments, operations = PaymentCalls(configuration, queries, waiters, age), OperationCalls(queries, age)
    calls: Mapping[str, ApiCall] = {
        "getOrder": payments.order,
        "getPayment": payments.payment,
        "search": operations.search,
        "getAttention": operations.attention,
        "getFlow": FlowCalls(configuration, queries, sampler, age).flow,
        **ListCalls(configuration, queries, age).by_name(),
    }
    return ConsoleApi(ApiTokens(configuration.console.api_tokens), calls, age).application()
