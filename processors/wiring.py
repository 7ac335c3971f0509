"""Which units a worker runs, and what each does with what it needs. All wiring is here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import httpx

from processors.charges.intake_stage import ChargeIntakeStage
from processors.charges.request_handler import ChargeContext
from processors.charges.stage import ChargeStage, ChargeTimers
from processors.fetch.retry_stage import RetryStage
from processors.fetch.stage import FetchStage
from processors.interpret.stage import InterpretStage
from processors.limits.call_pacer import CallPacer
from processors.limits.hourly_quota import HourlyQuota
from processors.metrics import Metrics
from processors.orders.expectation_cache import ExpectedPayments
from processors.orders.intake_stage import OrderIntakeStage
from processors.orders.stage import OrdersStage
from processors.orders.state_machine import OVERDUE_QUEUE, poll_queue
from processors.orders.timers import OrderTimers
from processors.providers.base import Account, CallContext, Provider, account_of
from processors.providers.recovery import lookup_key, recovery_lookup
from processors.providers.registry import CHARGERS, PROVIDERS
from processors.resolve.retention import PaymentRetention
from processors.resolve.stage import ResolveStage
from processors.runtime.failpoints import Reached
from processors.runtime.runner import StageSpec
from processors.verify.known_ids import KnownIdsStage
from processors.verify.stage import VerifyStage
from processors.verify.unsigned_budget import partition_share
from schemas import topics
from schemas.configuration.merchants import Merchant, provider_of
from schemas.configuration.model import Configuration, WorkerSettings
from schemas.messages import Lookup

_OF_A_PROVIDER: Final = ("verify", "fetch", "interpret")
STAGES: Final = (*_OF_A_PROVIDER, "resolve", "orders", "charge")

#: Raw answers are large; fewer of them are held at a time.
_RESPONSES_AT_A_TIME: Final = 50
#: They wait for their time while earlier ones are published: after a rebalance the whole batch comes again.
_RETRIES_AT_A_TIME: Final = 50
_STATE_MARGIN: Final = 2
_DAY_SECONDS: Final = 24 * 3600.0
_KNOWN_IDS_SECONDS: Final = 3 * 24 * 3600
#: As long as ``payments.expected`` is kept.
ORDERS_SECONDS: Final = 90 * 24 * 3600
#: As long as the changelog of the charges is kept.
_CHARGES_SECONDS: Final = 400 * 24 * 3600


@dataclass(frozen=True, slots=True)
class StageSelection:
    """Which part of the work this process does; empty means all."""

    providers: Collection[str] = ()
    stages: Collection[str] = ()

    def takes(self, stage: str, provider: str | None) -> bool:
        """Whether the stage is chosen. resolve serves all providers and goes with each choice of one."""
        if provider is not None and self.providers and provider not in self.providers:
            return False
        return not self.stages or stage in self.stages


def build_stages(
    configuration: Configuration,
    choice: StageSelection,
    metrics: Metrics,
    http: httpx.AsyncClient,
    expectations: ExpectedPayments,
    reached: Reached,
) -> dict[str, tuple[StageSpec, ...]]:
    """The units chosen, by name, and what each does."""
    works: dict[str, tuple[StageSpec, ...]] = {}
    for provider in PROVIDERS.values():
        merchants = configuration.merchants_of(provider.name)
        stages = [stage for stage in _OF_A_PROVIDER if choice.takes(stage, provider.name)]
        if not merchants or not stages:
            continue  # and their secrets need not be where this process runs
        accounts = {name: account_of(one) for name, one in merchants.items()}
        makers: Mapping[str, Callable[[], tuple[StageSpec, ...]]] = {
            "verify": lambda p=provider, a=accounts: _verify(configuration, p, a, metrics),  # type: ignore[misc]  # defaults bind the loop's values
            "fetch": lambda p=provider, a=accounts: _fetch(configuration, p, a, metrics, http),  # type: ignore[misc]  # defaults bind the loop's values
            "interpret": lambda p=provider, a=accounts: _interpret(configuration, p, a, metrics, expectations),  # type: ignore[misc]  # defaults bind the loop's values
        }
        for stage in stages:
            works[f"{stage}.{provider.name}"] = makers[stage]()
    if choice.takes("resolve", None):
        works["resolve"] = _resolve(configuration, metrics)
    if choice.takes("orders", None):
        works["orders"] = _orders(configuration, metrics)
    if choice.takes("charge", None):
        works["charge"] = _charge(configuration, metrics, http, reached)
    return works


def _verify(
    configuration: Configuration, provider: Provider, accounts: Mapping[str, Account], metrics: Metrics
) -> tuple[StageSpec, ...]:
    worker, kafka = configuration.worker, configuration.kafka
    window_seconds = getattr(worker.duplicate_window_seconds, provider.name, 0.0)
    budget = None
    if provider.policy.unsigned:
        partitions = configuration.wanted_topics()[kafka.topic(topics.notifications(provider.name))][1]
        budget = partition_share(worker.unsigned_budget, partitions)
    stage = VerifyStage(provider, accounts, kafka, metrics, window_seconds, budget)
    source = kafka.topic(topics.notifications(provider.name))
    memory_seconds = max(_KNOWN_IDS_SECONDS if budget else 3600, int(window_seconds * _STATE_MARGIN))
    stateful = window_seconds > 0 or budget is not None
    # a budget hangs on the process's own clock and on what it has spent
    work = partial(StageSpec, stateful=stateful, repeatable=budget is None, state_seconds=memory_seconds)
    verify = work(stage, (source,), worker.batch_records)
    if budget is None:
        return (verify,)
    known = kafka.topic(topics.known(provider.name))
    return (verify, work(KnownIdsStage(provider.name, kafka), (known,), worker.batch_records))


def _fetch(
    configuration: Configuration,
    provider: Provider,
    accounts: Mapping[str, Account],
    metrics: Metrics,
    http: httpx.AsyncClient,
) -> tuple[StageSpec, ...]:
    worker, kafka = configuration.worker, configuration.kafka
    stage = FetchStage(
        provider,
        accounts,
        kafka,
        _outside(worker, http),
        metrics,
        delays_seconds=worker.retry_delays_seconds,
        calls_in_flight=worker.provider_calls_in_flight,
    )
    retries = tuple(
        kafka.topic(topics.retry(provider.name, step)) for step in range(1, len(worker.retry_delays_seconds) + 1)
    )
    remembers = provider.policy.remembers_answered
    memory_seconds = max(3600, int(provider.policy.answered_window_seconds * _STATE_MARGIN))
    return (
        StageSpec(
            stage,
            (kafka.topic(topics.lookups(provider.name)),),
            worker.batch_records,
            stateful=remembers,
            state_seconds=memory_seconds,
        ),
        StageSpec(RetryStage(provider.name, kafka), retries, _RETRIES_AT_A_TIME),
    )


def _interpret(
    configuration: Configuration,
    provider: Provider,
    accounts: Mapping[str, Account],
    metrics: Metrics,
    expectations: ExpectedPayments,
) -> tuple[StageSpec, ...]:
    source = configuration.kafka.topic(topics.responses(provider.name))
    stage = InterpretStage(provider, accounts, configuration.kafka, metrics, expectations)
    return (StageSpec(stage, (source,), _RESPONSES_AT_A_TIME),)


def _resolve(configuration: Configuration, metrics: Metrics) -> tuple[StageSpec, ...]:
    required = {merchant.id for merchant in configuration.merchants if merchant.expected == "required"}
    stage = ResolveStage(configuration.kafka, metrics, required, _charging(configuration))
    source = configuration.kafka.topic(topics.OBSERVATIONS)
    kept = configuration.worker.retention
    delete_after_days = kept.delete_after_days
    keeping = PaymentRetention(
        compress_after_seconds=kept.compress_after_days * _DAY_SECONDS,
        delete_after_seconds=None if delete_after_days is None else delete_after_days * _DAY_SECONDS,
        now=lambda: datetime.now(UTC),
    )
    return (
        StageSpec(
            stage, (source,), configuration.worker.batch_records, stateful=True, repeatable=True, keeping=keeping
        ),
    )


def _orders(configuration: Configuration, metrics: Metrics) -> tuple[StageSpec, ...]:
    kafka, worker = configuration.kafka, configuration.worker
    merchants = {merchant.id: merchant for merchant in configuration.merchants}
    providers = {name: provider_of(merchant) for name, merchant in merchants.items()}
    unsigned = [provider.name for provider in PROVIDERS.values() if provider.policy.unsigned]
    orders = kafka.topic(topics.ORDERS)
    partitions = configuration.wanted_topics()[orders][1]

    def recover(
        merchant: str, order_id: str | None, payment_id: str | None, cause: str, at: str
    ) -> tuple[bytes, Lookup] | None:
        lookup = recovery_lookup(
            merchants[merchant], order_id=order_id, payment_id=payment_id, lookup_cause=cause, at=at
        )
        return None if lookup is None else (lookup_key(lookup), lookup)

    def per_hour(merchant: Merchant) -> HourlyQuota:
        rare = PROVIDERS[provider_of(merchant)].policy.recovers_rarely
        budget = worker.recovery_calls_per_hour if rare else worker.overdue.lookups_per_hour
        share = max(1, budget // partitions)
        # a minute's worth at once: what an outage made overdue must not become a storm
        return HourlyQuota(share, burst=max(1.0, share / 60))

    lanes = {OVERDUE_QUEUE: None, **{poll_queue(name): per_hour(merchant) for name, merchant in merchants.items()}}
    clock = OrderTimers(orders, lanes, metrics, settles={OVERDUE_QUEUE: worker.overdue.takeover_grace_seconds})
    announce = OrderIntakeStage(providers, unsigned, kafka, metrics)
    stage = OrdersStage(providers, kafka, metrics, recover, worker.overdue, worker.silence)
    return (
        StageSpec(announce, (kafka.topic(topics.EXPECTED),), worker.batch_records),
        StageSpec(
            stage,
            (orders,),
            worker.batch_records,
            stateful=True,
            repeatable=True,
            state_seconds=ORDERS_SECONDS,
            clock=clock,
        ),
    )


def _charging(configuration: Configuration) -> dict[str, Merchant]:
    """The merchants that may charge, by id."""
    return {one.id: one for one in configuration.merchants if getattr(one, "charges", None) is not None}


def _charge(
    configuration: Configuration, metrics: Metrics, http: httpx.AsyncClient, reached: Reached
) -> tuple[StageSpec, ...]:
    kafka, worker = configuration.kafka, configuration.worker
    charging = _charging(configuration)
    charges = kafka.topic(topics.CHARGES)
    partitions = configuration.wanted_topics()[charges][1]
    shops = ChargeContext(
        accounts={name: account_of(merchant) for name, merchant in charging.items()},
        gateways=CHARGERS,
        providers={merchant.id: provider_of(merchant) for merchant in configuration.merchants},
        kafka=kafka,
    )
    stage = ChargeStage(
        shops,
        _outside(worker, http),
        metrics,
        reached=reached,
    )
    allowances = {name: HourlyQuota(max(1, worker.overdue.lookups_per_hour // partitions)) for name in charging}
    clock = ChargeTimers(charges, allowances, metrics)
    return (
        StageSpec(ChargeIntakeStage(kafka, metrics), (kafka.topic(topics.REQUESTED),), worker.batch_records),
        StageSpec(
            stage, (charges,), charges_at_a_time(worker), stateful=True, state_seconds=_CHARGES_SECONDS, clock=clock
        ),
    )


def charges_at_a_time(worker: WorkerSettings) -> int:
    """No more than have their calls at the same time: a batch ends with its slowest, and others wait for that."""
    return min(worker.batch_records, worker.provider_calls_in_flight)


def _outside(worker: WorkerSettings, http: httpx.AsyncClient) -> CallContext:
    return CallContext(
        http=http,
        now=lambda: datetime.now(UTC),
        answer_bytes=worker.provider_response_bytes,
        timeout_seconds=worker.provider_timeout_seconds,
        transactions_per_query=worker.transactions_per_query,
        pace=CallPacer(worker.omnikassa_calls_per_second),
        recovery=HourlyQuota(worker.recovery_calls_per_hour),
    )
