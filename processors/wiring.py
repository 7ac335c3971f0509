"""Composition root: builds the stages that a worker runs, with their dependencies. Nothing else knows all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeAlias

from paynotify.processors.charges.context import ChargeContext
from paynotify.processors.charges.intake_stage import ChargeIntakeStage
from paynotify.processors.charges.stage import ChargeStage, ChargeTimers
from paynotify.processors.fetch.retry_stage import RetryStage
from paynotify.processors.fetch.stage import FetchStage
from paynotify.processors.interpret.stage import InterpretStage
from paynotify.processors.limits.call_pacer import CallPacer
from paynotify.processors.limits.hourly_quota import HourlyQuota
from paynotify.processors.limits.provider_circuits import ProviderCircuits
from paynotify.processors.metrics import Metrics
from paynotify.processors.orders.expectation_cache import ExpectedPayments
from paynotify.processors.orders.intake_stage import OrderIntakeStage
from paynotify.processors.orders.stage import OrdersStage
from paynotify.processors.orders.state_machine import OVERDUE_QUEUE, poll_queue
from paynotify.processors.orders.timers import OrderTimers
from paynotify.processors.providers.account import Account, open_account
from paynotify.processors.providers.base import CallContext, Provider, accepts_unsigned
from paynotify.processors.providers.recovery import lookup_key, recovery_lookup, settlement_lookup
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.resolve.release import release_rules
from paynotify.processors.resolve.retention import payment_retention
from paynotify.processors.resolve.settlement import FollowedPayments, SettlementLooks, SettlementTimers
from paynotify.processors.resolve.stage import ResolveStage
from paynotify.processors.runtime.failpoints import Reached
from paynotify.processors.runtime.stage import StageSpec
from paynotify.processors.verify.known_ids import KnownIdsStage
from paynotify.processors.verify.stage import VerifyStage
from paynotify.processors.verify.unsigned_budget import partition_share
from paynotify.schemas import topics
from paynotify.schemas.configuration.merchants import ChargingMerchant, Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.configuration.worker import WorkerSettings
from paynotify.schemas.messages import Lookup

_PROVIDER_STAGES: Final = ("verify", "fetch", "interpret")
STAGES: Final = (*_PROVIDER_STAGES, "resolve", "orders", "charge")

#: Raw responses are large; fewer of them are in memory at a time.
_RESPONSES_PER_BATCH: Final = 50
#: They wait for their time while earlier ones are published: after a rebalance the whole batch is repeated.
_RETRIES_PER_BATCH: Final = 50
#: State is retained for this multiple of the time it is needed for.
_RETENTION_MARGIN: Final = 2
_MIN_STATE_SECONDS: Final = 3600
_KNOWN_IDS_SECONDS: Final = 3 * 24 * 3600
#: As long as ``payments.expected`` is retained.
ORDERS_SECONDS: Final = 90 * 24 * 3600
#: As long as the changelog of the charges is retained.
_CHARGES_SECONDS: Final = 400 * 24 * 3600


@dataclass(frozen=True, slots=True)
class StageSelection:
    """Which providers and stages this process runs; empty means all."""

    providers: Collection[str] = ()
    stages: Collection[str] = ()

    def includes(self, stage: str, provider: str | None) -> bool:
        """Whether the stage is selected. Stages that serve all providers have none, and go with each selected one."""
        if provider is not None and self.providers and provider not in self.providers:
            return False
        return not self.stages or stage in self.stages


@dataclass(frozen=True, slots=True)
class _Common:
    """What stages are built from."""

    configuration: Configuration
    metrics: Metrics
    calls: CallContext
    expectations: ExpectedPayments
    reached: Reached


_Accounts: TypeAlias = Mapping[str, Account[Any]]


def build_stages(
    configuration: Configuration,
    selection: StageSelection,
    metrics: Metrics,
    calls: CallContext,
    expectations: ExpectedPayments,
    reached: Reached,
) -> dict[str, tuple[StageSpec, ...]]:
    """The selected stages, by the name of their consumer group."""
    common = _Common(configuration, metrics, calls, expectations, reached)
    specs: dict[str, tuple[StageSpec, ...]] = {}
    for name, spec in provider_specs().items():
        merchants = configuration.merchants_of(name)
        selected = [stage for stage in _PROVIDER_STAGES if selection.includes(stage, name)]
        if not merchants or not selected:
            continue  # and this process does not need the provider's secrets
        accounts = {one: open_account(merchant) for one, merchant in merchants.items()}
        for stage in selected:
            specs[f"{stage}.{name}"] = _PROVIDER_BUILDERS[stage](common, spec.provider, accounts)
    for stage, build in _COMMON_BUILDERS.items():
        if selection.includes(stage, None):
            specs[stage] = build(common)
    return specs


def _verify(common: _Common, provider: Provider, accounts: _Accounts) -> tuple[StageSpec, ...]:
    configuration, worker, kafka = common.configuration, common.configuration.worker, common.configuration.kafka
    window_seconds = worker.duplicate_window(provider.name)
    source = kafka.topic(topics.notifications(provider.name))
    budget = None
    if any(accepts_unsigned(provider, account.merchant) for account in accounts.values()):
        partitions = configuration.wanted_topics()[source][1]
        budget = partition_share(worker.unsigned_budget, partitions)
    delays_seconds = worker.retry_delays_seconds
    stage = VerifyStage(provider, accounts, kafka, common.metrics, window_seconds, budget, delays_seconds)
    waits = tuple(kafka.topic(name) for name in topics.unverified_steps(provider.name))
    min_seconds = _KNOWN_IDS_SECONDS if budget else _MIN_STATE_SECONDS
    spec = partial(
        StageSpec,
        batch_records=worker.batch_records,
        stateful=window_seconds > 0 or budget is not None,
        # a budget depends on the process's own clock and on what it has spent, a retry on the keys published meanwhile
        deterministic=budget is None and not waits,
        state_seconds=max(min_seconds, int(window_seconds * _RETENTION_MARGIN)),
    )
    specs = [spec(stage, (source,))]
    if budget is not None:
        specs.append(spec(KnownIdsStage(provider.name, kafka), (kafka.topic(topics.known(provider.name)),)))
    if waits:
        requeue = RetryStage(provider.name, kafka, notifications=True)
        specs.append(StageSpec(requeue, waits, _RETRIES_PER_BATCH))
    return tuple(specs)


def _fetch(common: _Common, provider: Provider, accounts: _Accounts) -> tuple[StageSpec, ...]:
    worker, kafka = common.configuration.worker, common.configuration.kafka
    circuits = ProviderCircuits(provider.name, worker.circuit, common.metrics.circuit_open)
    stage = FetchStage(
        provider,
        accounts,
        kafka,
        _limited(common.calls, worker, provider.name),
        common.metrics,
        circuits,
        delays_seconds=worker.retry_delays_seconds,
        calls_in_flight=worker.provider_calls_in_flight,
    )
    retries = tuple(map(kafka.topic, topics.retry_steps(provider.name)))
    window_seconds = provider.policy.answered_window_seconds
    return (
        StageSpec(
            stage,
            (kafka.topic(topics.lookups(provider.name)),),
            worker.batch_records,
            stateful=provider.policy.remembers_answered,
            state_seconds=max(_MIN_STATE_SECONDS, int(window_seconds * _RETENTION_MARGIN)),
        ),
        StageSpec(RetryStage(provider.name, kafka, may_return=circuits.may_return), retries, _RETRIES_PER_BATCH),
    )


def _interpret(common: _Common, provider: Provider, accounts: _Accounts) -> tuple[StageSpec, ...]:
    kafka = common.configuration.kafka
    stage = InterpretStage(provider, accounts, kafka, common.metrics, common.expectations)
    return (StageSpec(stage, (kafka.topic(topics.responses(provider.name)),), _RESPONSES_PER_BATCH),)


def _resolve(common: _Common) -> tuple[StageSpec, ...]:
    configuration, kafka = common.configuration, common.configuration.kafka
    rules = {merchant.id: release_rules(merchant) for merchant in configuration.merchants}
    looks, timers = _settlement(common)
    stage = ResolveStage(kafka, common.metrics, rules, _charging(configuration), looks)
    return (
        StageSpec(
            stage,
            (kafka.topic(topics.OBSERVATIONS),),
            configuration.worker.batch_records,
            stateful=True,
            deterministic=True,
            timers=timers,
            retention=payment_retention(configuration.worker.retention, kafka),
        ),
    )


def _settlement(common: _Common) -> tuple[SettlementLooks, SettlementTimers]:
    """What follows the payments of merchants whose provider settles them without a notification."""
    configuration, settings = common.configuration, common.configuration.worker.settlement
    observations = configuration.kafka.topic(topics.OBSERVATIONS)
    partitions = configuration.wanted_topics()[observations][1]
    rules = {name: rule for name, spec in provider_specs().items() if (rule := spec.follow) is not None}
    merchants = {one.id: one for one in configuration.merchants if provider_of(one) in rules}
    followed = {
        name: FollowedPayments(provider_of(one), rules[provider_of(one)].references_per_lookup)
        for name, one in merchants.items()
    }
    quotas = {name: _share(settings.calls_per_hour, partitions) for name in merchants}

    def lookup(merchant: str, references: tuple[str, ...], cause: str, at: str) -> tuple[bytes, Lookup] | None:
        return _keyed(settlement_lookup(merchants[merchant], references, lookup_cause=cause, at=at))

    looks = SettlementLooks(
        followed, lookup, configuration.kafka, common.metrics, jitter_seconds=settings.jitter_seconds
    )
    timers = SettlementTimers(
        observations,
        followed,
        quotas,
        gather_seconds=settings.gather_seconds,
        events=configuration.kafka.events,
    )
    return looks, timers


def _orders(common: _Common) -> tuple[StageSpec, ...]:
    configuration, kafka, worker = common.configuration, common.configuration.kafka, common.configuration.worker
    merchants = {merchant.id: merchant for merchant in configuration.merchants}
    providers = {name: provider_of(merchant) for name, merchant in merchants.items()}
    unsigned = [name for name, merchant in merchants.items() if _unsigned(merchant)]
    orders = kafka.topic(topics.ORDERS)
    partitions = configuration.wanted_topics()[orders][1]
    quotas = {poll_queue(name): _lookup_quota(merchant, worker, partitions) for name, merchant in merchants.items()}
    timers = OrderTimers(
        orders,
        {OVERDUE_QUEUE: None, **quotas},
        common.metrics,
        grace_seconds={OVERDUE_QUEUE: worker.overdue.takeover_grace_seconds},
        events=kafka.events,
    )
    intake = OrderIntakeStage(providers, unsigned, kafka, common.metrics)
    recover = partial(_recovery_lookup, merchants)
    stage = OrdersStage(providers, kafka, common.metrics, recover, worker.overdue, worker.silence)
    return (
        StageSpec(intake, (kafka.topic(topics.EXPECTED),), worker.batch_records),
        StageSpec(
            stage,
            (orders,),
            worker.batch_records,
            stateful=True,
            deterministic=True,
            state_seconds=ORDERS_SECONDS,
            timers=timers,
        ),
    )


def _unsigned(merchant: Merchant) -> bool:
    return accepts_unsigned(provider_specs()[provider_of(merchant)].provider, merchant)


def _recovery_lookup(
    merchants: Mapping[str, Merchant],
    merchant: str,
    order_id: str | None,
    payment_id: str | None,
    cause: str,
    at: str,
) -> tuple[bytes, Lookup] | None:
    """The lookup, with its record key, that asks the provider for an expected payment; None if it has no such call."""
    return _keyed(
        recovery_lookup(merchants[merchant], order_id=order_id, payment_id=payment_id, lookup_cause=cause, at=at)
    )


def _keyed(lookup: Lookup | None) -> tuple[bytes, Lookup] | None:
    return None if lookup is None else (lookup_key(lookup), lookup)


def _lookup_quota(merchant: Merchant, worker: WorkerSettings, partitions: int) -> HourlyQuota:
    """One partition's share of the status checks of a merchant's overdue payments."""
    limited = provider_specs()[provider_of(merchant)].provider.policy.recovers_rarely
    per_hour = worker.recovery_calls_per_hour if limited else worker.overdue.lookups_per_hour
    return _share(per_hour, partitions)


def _share(per_hour: int, partitions: int) -> HourlyQuota:
    """One partition's share of a merchant's calls that no notification caused."""
    quota = max(1, per_hour // partitions)
    # a minute's worth at once: the payments that waited for the end of an outage must not cause a burst of calls
    return HourlyQuota(quota, burst=max(1.0, quota / 60))


def _charging(configuration: Configuration) -> dict[str, ChargingMerchant]:
    """The merchants that may charge, by id."""
    merchants = configuration.merchants
    return {one.id: one for one in merchants if isinstance(one, ChargingMerchant) and one.charges is not None}


def _charge(common: _Common) -> tuple[StageSpec, ...]:
    configuration, kafka, worker = common.configuration, common.configuration.kafka, common.configuration.worker
    charging = _charging(configuration)
    charges = kafka.topic(topics.CHARGES)
    partitions = configuration.wanted_topics()[charges][1]
    context = ChargeContext(
        accounts={name: open_account(merchant) for name, merchant in charging.items()},
        gateways={name: gateway for name, spec in provider_specs().items() if (gateway := spec.charge_gateway)},
        providers={merchant.id: provider_of(merchant) for merchant in configuration.merchants},
        kafka=kafka,
    )
    stage = ChargeStage(context, common.calls, common.metrics, reached=common.reached)
    quotas = {name: HourlyQuota(max(1, worker.overdue.lookups_per_hour // partitions)) for name in charging}
    intake = ChargeIntakeStage(kafka, common.metrics)
    return (
        StageSpec(intake, (kafka.topic(topics.REQUESTED),), worker.batch_records),
        StageSpec(
            stage,
            (charges,),
            charges_per_batch(worker),
            stateful=True,
            state_seconds=_CHARGES_SECONDS,
            timers=ChargeTimers(charges, quotas, common.metrics, events=kafka.events),
        ),
    )


def charges_per_batch(worker: WorkerSettings) -> int:
    """No more than may be called at the same time: a batch ends with its slowest charge, and all others wait for it."""
    return min(worker.batch_records, worker.charge_calls_in_flight)


_PROVIDER_BUILDERS: Final[Mapping[str, Callable[[_Common, Provider, _Accounts], tuple[StageSpec, ...]]]] = {
    "verify": _verify,
    "fetch": _fetch,
    "interpret": _interpret,
}
#: Of stages that serve all providers.
_COMMON_BUILDERS: Final[Mapping[str, Callable[[_Common], tuple[StageSpec, ...]]]] = {
    "resolve": _resolve,
    "orders": _orders,
    "charge": _charge,
}


def _limited(calls: CallContext, worker: WorkerSettings, provider: str) -> CallContext:
    """The context with the provider's own rate limit and quota of recovery calls."""
    rate = worker.call_rate(provider)
    return replace(
        calls,
        pace=calls.pace if rate is None else CallPacer(rate),
        recovery_wait=HourlyQuota(worker.recovery_calls_per_hour),
    )
