"""Rules of the configuration that no type can express: unique ids, URLs, secrets in the file, names of topics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from paynotify.schemas.configuration.console import ConsoleSettings
from paynotify.schemas.configuration.ingest import IngestSettings
from paynotify.schemas.configuration.kafka import TopicOverride
from paynotify.schemas.configuration.merchants import FollowedMerchant, Merchant, charges_of, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.configuration.sections import MAX_POLLS
from paynotify.schemas.configuration.worker import WorkerSettings
from paynotify.schemas.configuration.yaml_document import Document, Place
from paynotify.schemas.providers import provider_contracts
from paynotify.schemas.topics import all_topics, changelog

#: Visible ASCII: a host outside it is written in Punycode, a path percent-encoded.
_URL: Final = re.compile(r"[!-~]+\Z")


def check_rules(configuration: Configuration, document: Document) -> None:
    """Check the configuration in ``document``.

    Raises:
        ConfigurationError: a rule is broken; the text names the key and its line.
    """
    _check_token_endpoint(configuration, document)
    _check_merchants(configuration, document)
    _check_proxies(configuration.ingest, document)
    _check_same_payments(configuration, document)
    if not configuration.sandbox:
        _refuse_values(document.data, (), document)
    _check_providers(configuration.worker, document)
    _check_overrides(configuration.topics.overrides, document)
    _check_windows(configuration, document)
    _check_subscriptions(configuration, document)
    _check_api_tokens(configuration, document)
    _check_console(configuration.console, configuration, document)


def _check_token_endpoint(configuration: Configuration, document: Document) -> None:
    """The client's secret is sent there."""
    oauth = configuration.kafka.sasl_oauth
    if oauth is not None and oauth.token_endpoint is not None:
        place: Place = ("kafka", "sasl_oauth", "token_endpoint")
        _check_url(oauth.token_endpoint, place, configuration.sandbox, document)


def _check_merchants(configuration: Configuration, document: Document) -> None:
    seen: set[str] = set()
    for index, merchant in enumerate(configuration.merchants):
        place: Place = ("merchants", index)
        if merchant.id in seen:
            raise document.error(
                (*place, "id"), "is another merchant's id too", "Ids are part of every key and must differ."
            )
        seen.add(merchant.id)
        _check_urls(merchant, place, configuration.sandbox, document)
        _check_networks(merchant.callers, (*place, "callers"), document)
        if isinstance(merchant, FollowedMerchant) and merchant.short_days is not None and not configuration.sandbox:
            raise document.error(
                (*place, "short_days"), "is for simulated providers only", "It needs `sandbox: true` at the top."
            )


def _check_proxies(ingest: IngestSettings, document: Document) -> None:
    """Callers' addresses are believed from named proxies only: a network of everybody names none."""
    _check_trusted(ingest.trusted_proxies, ("ingest", "trusted_proxies"), document)
    if ingest.proxy_protocol and not ingest.trusted_proxies:
        raise document.error(
            ("ingest", "proxy_protocol"), "needs trusted_proxies", "Name the networks of your own balancers."
        )


def _check_trusted(networks: Iterable[str], place: Place, document: Document) -> None:
    _check_networks(networks, place, document)
    for index, text in enumerate(networks):
        if ip_network(text).prefixlen == 0:
            raise document.error(
                (*place, index), "would believe every caller", "Name the networks of your own proxies."
            )


def _check_subscriptions(configuration: Configuration, document: Document) -> None:
    """Two subscriptions of one name would share their progress."""
    settings = configuration.deliver
    _check_networks(settings.private_networks, ("deliver", "private_networks"), document)
    seen: set[str] = set()
    for index, subscription in enumerate(settings.subscriptions):
        place: Place = ("deliver", "subscriptions", index)
        if subscription.id in seen:
            raise document.error(
                (*place, "id"), "is another subscription's id too", "Each has a consumer group of its own."
            )
        seen.add(subscription.id)
        _check_url(subscription.url, (*place, "url"), configuration.sandbox, document)
        _check_merchant_ids(subscription.merchants, (*place, "merchants"), configuration, document)


def _check_api_tokens(configuration: Configuration, document: Document) -> None:
    """Two tokens of one name could not be told apart."""
    seen: set[str] = set()
    for index, token in enumerate(configuration.console.api_tokens):
        place: Place = ("console", "api_tokens", index)
        if token.name in seen:
            raise document.error((*place, "name"), "is another token's name too", "Each program has a name of its own.")
        seen.add(token.name)
        _check_merchant_ids(token.merchants, (*place, "merchants"), configuration, document)


def _check_console(settings: ConsoleSettings, configuration: Configuration, document: Document) -> None:
    """Headers are believed from named proxies only, and passwords and sessions go over TLS."""
    access: Place = ("console", "access")
    for index, url in enumerate(settings.public_urls):
        _check_url(url, ("console", "public_urls", index), configuration.sandbox, document)
    if settings.access.proxy is not None:
        _check_trusted(settings.access.proxy.trusted_proxies, (*access, "proxy", "trusted_proxies"), document)
    if settings.access.oidc is not None:
        _check_url(settings.access.oidc.issuer, (*access, "oidc", "issuer"), configuration.sandbox, document)
    for index, grant in enumerate(settings.access.grants):
        _check_merchant_ids(grant.merchants, (*access, "grants", index, "merchants"), configuration, document)


def _check_merchant_ids(texts: Iterable[str], place: Place, configuration: Configuration, document: Document) -> None:
    """A misspelt merchant would silently be none."""
    merchants = {one.id for one in configuration.merchants}
    for number, text in enumerate(texts):
        if text not in merchants:
            raise document.error(
                (*place, number), "is not a merchant's id", "Name one of `merchants`, or leave it out."
            )


def _check_networks(texts: Iterable[str], place: Place, document: Document) -> None:
    for index, text in enumerate(texts):
        try:
            ip_network(text)
        except ValueError:
            raise document.error(
                (*place, index), "is not a network", "Give its first address in CIDR notation, such as 192.0.2.0/24."
            ) from None


def _check_same_payments(configuration: Configuration, document: Document) -> None:
    """Payments told of twice are counted once, under the other merchant: it must exist, or nobody would expect them."""
    known = {(provider_of(one), one.id) for one in configuration.merchants}
    for index, merchant in enumerate(configuration.merchants):
        same = merchant.same_payments()
        if same is not None and same not in known:
            raise document.error(
                ("merchants", index, "same_as"),
                f"names no merchant of {same[0]}",
                f"Name the {same[0]} merchant that tells of the same payments, or leave it out.",
            )


def _check_overrides(overrides: Mapping[str, TopicOverride], document: Document) -> None:
    known = {topic.name: topic for topic in all_topics()}
    for name, override in overrides.items():
        follows = known[name].follows if name in known else None
        if follows is not None and override.partitions is not None:
            raise document.error(
                ("topics", "overrides", name, "partitions"),
                f"can't be set: {name} has as many partitions as {follows}",
                f"Set the partitions of {follows}.",
            )
        if name not in known:
            raise document.error(
                ("topics", "overrides", name), "is not a topic of paynotify", "Use the name without the prefix."
            )


def _check_providers(worker: WorkerSettings, document: Document) -> None:
    """The mappings by provider name providers that have such a setting, and schedules ascend."""
    contracts = provider_contracts()
    windows = [name for name, one in contracts.items() if one.duplicate_window_seconds is not None]
    rates = [name for name, one in contracts.items() if one.calls_per_second is not None]
    schedules = worker.overdue.poll_schedule_seconds
    at_schedules: Place = ("worker", "overdue", "poll_schedule_seconds")
    _check_names(worker.duplicate_window_seconds, windows, ("worker", "duplicate_window_seconds"), document)
    _check_names(worker.calls_per_second, rates, ("worker", "calls_per_second"), document)
    _check_names(schedules, list(contracts), at_schedules, document)
    for name, times in schedules.items():
        if list(times) != sorted(times) or len(times) > MAX_POLLS:
            problem = f"must be at most {MAX_POLLS} times, each after the one before"
            raise document.error((*at_schedules, name), problem, "With an empty list nothing is polled.")


def _check_windows(configuration: Configuration, document: Document) -> None:
    """A notification is remembered for the whole window: the topic that restores its memory keeps it as long.

    Otherwise a worker that moves to another machine would take an old notification's repeat for a new one.
    """
    kept = {topic.name: topic.retention_seconds for topic, _, _ in configuration.wanted_topics().values()}
    for provider, contract in provider_contracts().items():
        if contract.duplicate_window_seconds is None:
            continue
        name = changelog(f"verify.{provider}")
        window_seconds, kept_seconds = configuration.worker.duplicate_window(provider), kept[name]
        if kept_seconds is None or window_seconds <= kept_seconds:
            continue
        if provider in configuration.worker.duplicate_window_seconds:
            raise document.error(
                ("worker", "duplicate_window_seconds", provider),
                f"must be at most {kept_seconds}, the retention of {name}, got {window_seconds:g}",
                "Shorten the window, or set a longer retention_seconds for that topic and run `topics apply`.",
            )
        raise document.error(
            ("topics", "overrides", name, "retention_seconds"),
            f"must be at least {window_seconds:g}, the duplicate window of {provider}, got {kept_seconds}",
            "Set a longer retention, or a shorter worker.duplicate_window_seconds.",
        )


def _check_names(names: Iterable[str], settable: list[str], place: Place, document: Document) -> None:
    for name in names:
        if name not in settable:
            raise document.error(
                (*place, name), "must be a provider that has this setting", f"They are {', '.join(settable)}."
            )


def _check_urls(merchant: Merchant, place: Place, sandbox: bool, document: Document) -> None:
    for key, url in merchant.base_urls().items():
        _check_url(url, (*place, key), sandbox, document)
    charges = charges_of(merchant)
    if charges is not None:
        _check_url(charges.public_url, (*place, "charges", "public_url"), sandbox, document)


def _check_url(url: str, place: Place, sandbox: bool, document: Document) -> None:
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname and parts.port != 0 and _URL.match(url))
    except ValueError:  # a port that is not a number, brackets that hold no IPv6 address
        parts, usable = urlsplit(""), False
    if not usable or parts.query or parts.fragment or "@" in parts.netloc:
        raise document.error(place, "is not a base URL", "Give scheme, host and path only.")
    if parts.scheme != "https" and not (parts.scheme == "http" and sandbox):
        raise document.error(
            place, "is not an https URL", "Use https; http needs `sandbox: true` at the top of the file."
        )


def _refuse_values(data: Any, place: Place, document: Document) -> None:
    """A secret may be written into the file itself in a sandbox only."""
    if isinstance(data, Mapping):
        if set(data) == {"value"}:
            raise document.error(
                (*place, "value"),
                "is a secret in the open",
                "Use {file: PATH} or {env: NAME}; {value: ...} needs `sandbox: true` at the top of the file.",
            )
        for key, child in data.items():
            _refuse_values(child, (*place, key), document)
    elif isinstance(data, list):
        for index, child in enumerate(data):
            _refuse_values(child, (*place, index), document)
