"""The configuration file: what it may say, and how a wrong one is refused."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from paynotify.schemas.configuration.load import load, parse
from paynotify.schemas.configuration.merchants import provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.topics import all_topics, changelog
from paynotify.service.cluster import wanted_settings
from tests.fakes.configurations import merchants

VERIFY_CHANGELOG = changelog("verify.trustpayments")
PRODUCTION: dict[str, Any] = {
    "merchants": [
        {
            "id": "shop-nl",
            "provider": "omnikassa",
            "poi_id": 2004,
            "base_url": "https://bank.example/omnikassa-api",
            "signing_keys": [{"file": "/run/secrets/old"}, {"env": "NEW_KEY"}],
        },
        {
            "id": "shop-uk",
            "provider": "trustpayments",
            "site_reference": "s",
            "notification_passwords": [{"env": "P"}],
            "webservices_url": "https://gateway.example/json/",
            "username": "u",
            "password": {"env": "W"},
        },
        {
            "id": "shop-hu",
            "provider": "nevogate",
            "store_name": "s",
            "api_key": {"env": "K"},
            "base_url": "https://hu.example",
        },
    ]
}


def changed(change: Callable[[Any], Any], of: dict[str, Any] = PRODUCTION) -> str:
    document = copy.deepcopy(of)
    change(document)
    return yaml.safe_dump(document, sort_keys=False)


def parsed(change: Callable[[Any], Any] = lambda document: None) -> Configuration:
    return parse(changed(change), "shop.yaml")


def refused(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "shop.yaml")
    said = str(caught.value)
    assert re.match(r"shop\.yaml, line \d+: ", said), said
    assert "\n" not in said
    return said


def test_defaults_are_for_production() -> None:
    configuration = parsed()
    assert configuration.sandbox is False
    assert [provider_of(merchant) for merchant in configuration.merchants] == ["omnikassa", "trustpayments", "nevogate"]
    assert list(configuration.merchants_of("nevogate")) == ["shop-hu"]
    assert configuration.topics.minimum_insync() == 2
    assert len(configuration.wanted_topics()) == len(all_topics())


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda d: d.update(worker={"bach_records": 5}), "worker.bach_records is not a key"),
        (lambda d: d.update(workers={}), "workers is not a key"),
        (lambda d: d["merchants"][0].update(poiid=1), r"merchants\[0\].poiid is not a key"),
        (lambda d: d["merchants"][1].update(api_key={"env": "K"}), r"merchants\[1\].api_key is not a key"),
        (lambda d: d["merchants"][2].pop("api_key"), r"merchants\[2\] lacks the key api_key"),
        (lambda d: d["merchants"][2].pop("provider"), r"merchants\[2\]"),
        (lambda d: d["merchants"][2].update(provider="paypal"), r"merchants\[2\]"),
        (lambda d: d["merchants"][0].update(poi_id="x"), r"merchants\[0\].poi_id has a wrong value"),
        (lambda d: d["merchants"][0].update(results_version=3), r"merchants\[0\].results_version has a wrong value"),
        (lambda d: d["merchants"][0].update(signing_keys=[]), r"merchants\[0\].signing_keys has a wrong value"),
        (lambda d: d["merchants"][1].update(id="shop-nl"), r"merchants\[1\].id is another merchant's id"),
        (lambda d: d.update(merchants=[]), "merchants has a wrong value"),
        (lambda d: d.pop("merchants"), "the file lacks the key merchants"),
        (lambda d: d.update(kafka={"topic_prefix": "a b"}), "kafka.topic_prefix has a wrong value"),
        (lambda d: d.update(kafka={"security_protocol": "TLS"}), "kafka.security_protocol has a wrong value"),
        (lambda d: d.update(kafka={"security_protocol": "SASL_SSL"}), r"kafka has a wrong value \(SASL_SSL needs "),
        (lambda d: d.update(topics={"partitions": 0}), "topics.partitions has a wrong value"),
        (lambda d: d.update(topics={"overrides": {"payments": {}}}), "topics.overrides.payments is not a topic"),
        (lambda d: d.update(worker={"batch_records": "many"}), "worker.batch_records has a wrong value"),
        (lambda d: d.update(worker={"provider_timeout_seconds": -1}), "worker.provider_timeout_seconds has a wrong"),
        (lambda d: d.update(worker={"retry_delays_seconds": [1, 2]}), "worker has a wrong value"),
        (lambda d: d.update(worker={"retry_delays_seconds": [5, 4, 3, 2, 1]}), "worker has a wrong value"),
        (
            lambda d: d.update(worker={"retention": {"compress_after_days": 10, "delete_after_days": 30}}),
            "worker.retention.delete_after_days has a wrong value",
        ),
        (
            lambda d: d.update(worker={"dead_letter_limit": {"share": 0.01, "window_records": 50}}),
            "worker.dead_letter_limit has a wrong value",
        ),
        (
            lambda d: d.update(worker={"dead_letter_limit": {"consecutive_records": 0}}),
            "worker.dead_letter_limit.consecutive_records has a wrong value",
        ),
        (lambda d: d.update(worker={"stall_seconds": 5}), "worker has a wrong value"),
        (
            lambda d: d.update(worker={"duplicate_window_seconds": {"trustpayments": 259_201}}),
            "worker.duplicate_window_seconds.trustpayments must be at most 259200, the retention of "
            "paynotify.verify.trustpayments-state-changelog, got 259201",
        ),
        (
            lambda d: d.update(topics={"overrides": {VERIFY_CHANGELOG: {"retention_seconds": 3600}}}),
            r"topics.overrides.*retention_seconds must be at least 180000, the duplicate window of trustpayments",
        ),
        (lambda d: d.update(ingest={"max_body_bytes": 0}), "ingest.max_body_bytes has a wrong value"),
        (lambda d: d.update(ingest={"max_body_bytes": 2_000_000}), "ingest.max_body_bytes has a wrong value"),
        (lambda d: d.update(ingest={"keep_alive_seconds": 0}), "ingest.keep_alive_seconds has a wrong value"),
        (lambda d: d.update(ingest={"trusted_proxies": ["proxy"]}), r"ingest.trusted_proxies\[0\] has a wrong value"),
        (
            lambda d: d.update(ingest={"trusted_proxies": ["10.0.0.0/8", "10.0.0.1/8"]}),
            r"ingest.trusted_proxies\[1\] is not a network",
        ),
        (lambda d: d.update(ingest={"trusted_proxies": ["::/0"]}), r"ingest.trusted_proxies\[0\] would believe every"),
        (lambda d: d.update(ingest={"proxy_protocol": True}), "ingest.proxy_protocol needs trusted_proxies"),
        (lambda d: d.update(ingest={"forwarded_header": "x-real-ip"}), "ingest.forwarded_header has a wrong value"),
        (lambda d: d.update(ingest={"tls_keyfile": "/k.pem"}), r"ingest has a wrong value \(tls_keyfile needs"),
        (lambda d: d["merchants"][1].update(callers=["10.0.0.0/33"]), r"merchants\[1\].callers\[0\] is not a network"),
        (
            lambda d: d.update(worker={"provider_response_bytes": 2_000_000}),
            "worker.provider_response_bytes has a wrong",
        ),
    ],
)
def test_refusal_names_the_key(change: Callable[[Any], Any], key: str) -> None:
    assert re.search(key, refused(changed(change)))


@pytest.mark.parametrize(("window", "retention"), [(259_200, None), (600_000, 604_800)])
def test_duplicate_window_may_be_as_long_as_its_changelogs_retention(window: int, retention: int | None) -> None:
    overrides = {} if retention is None else {VERIFY_CHANGELOG: {"retention_seconds": retention}}
    worker = {"duplicate_window_seconds": {"trustpayments": window}}
    configuration = parsed(lambda document: document.update(worker=worker, topics={"overrides": overrides}))
    assert configuration.worker.duplicate_window("trustpayments") == window


def test_refusal_has_the_line_of_the_key() -> None:
    text = "state_directory: /tmp/state\nworker:\n  batch_records: 5\n\n  retries: 3\nmerchants: []\n"
    assert refused(text).startswith("shop.yaml, line 5: worker.retries")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("worker: {}\nworker: {}\n", "line 2: worker is given twice"),
        ("worker: [\n", "line 2: this is not YAML"),
        ("- a\n", "line 1: the file has a wrong value"),
        ("", "line 1: the file lacks the key merchants"),
    ],
)
def test_file_that_is_no_mapping_of_settings_is_refused(text: str, said: str) -> None:
    assert said in refused(text)


@pytest.mark.parametrize("place", [("merchants", 0, "signing_keys", 0), ("merchants", 2, "api_key")])
def test_secret_in_the_open_needs_a_sandbox(place: tuple[str | int, ...]) -> None:
    def change(document: Any) -> None:
        *path, last = place
        for step in path:
            document = document[step]
        document[last] = {"value": "hunter2"}

    said = refused(changed(change))
    assert "is a secret in the open" in said
    assert "hunter2" not in said
    parse("sandbox: true\n" + changed(change), "shop.yaml")


@pytest.mark.parametrize(
    "secret", [{}, {"file": "/a", "env": "B"}, {"path": "/a"}, {"value": "x", "env": "B"}, "hunter2", None]
)
def test_secret_is_exactly_one_reference(secret: Any) -> None:
    said = refused(changed(lambda document: document["merchants"][2].update(api_key=secret)))
    assert "merchants[2].api_key" in said
    assert "hunter2" not in said


def test_http_needs_a_sandbox() -> None:
    def change(document: Any) -> None:
        document["merchants"][1]["webservices_url"] = "http://gateway.example/json/"

    assert "merchants[1].webservices_url is not an https URL" in refused(changed(change))
    parse("sandbox: true\n" + changed(change), "shop.yaml")


def test_short_days_need_a_sandbox_and_a_first_day() -> None:
    def change(document: Any) -> None:
        document["merchants"][2]["short_days"] = {"starts_at": "2026-11-22T10:00:00Z", "seconds": 8}

    def wrong(document: Any) -> None:
        document["merchants"][2]["short_days"] = {"starts_at": "today", "seconds": 8}

    assert "merchants[2].short_days is for simulated providers only" in refused(changed(change))
    parse("sandbox: true\n" + changed(change), "shop.yaml")
    assert "starts_at must be a time" in refused("sandbox: true\n" + changed(wrong))


def test_configurations_of_the_tests_are_valid() -> None:
    assert parse(yaml.safe_dump({"sandbox": True, "merchants": merchants()}), "shop.yaml").sandbox


def test_topics_have_the_prefix_and_their_overrides() -> None:
    overrides = {
        "observations": {"partitions": 12},
        "payments.status": {"retention_seconds": 60, "settings": {"a": "b"}},
    }
    configuration = parsed(
        lambda d: d.update(
            kafka={"topic_prefix": "shop."}, topics={"partitions": 6, "replication_factor": 2, "overrides": overrides}
        )
    )
    wanted = configuration.wanted_topics()
    assert wanted["shop.observations"][1:] == (12, 2)
    assert wanted["shop.lookups.dead"][1:] == (6, 2)
    topic = wanted["shop.payments.status"][0]
    assert topic.kafka_settings() == {"cleanup.policy": "delete", "retention.ms": "60000", "a": "b"}


def test_changelog_has_as_many_partitions_as_its_source() -> None:
    configuration = parsed(lambda d: d.update(topics={"overrides": {"observations": {"partitions": 12}}}))
    assert configuration.wanted_topics()[changelog("resolve")][1] == 12
    overrides = {changelog("resolve"): {"partitions": 3}}
    said = refused(changed(lambda d: d.update(topics={"overrides": overrides})))
    assert "has as many partitions as observations" in said


def test_min_insync_replicas_never_exceed_the_replicas() -> None:
    overrides = {
        "notifications.alerts": {"replication_factor": 1},
        "observations": {"settings": {"min.insync.replicas": "3"}},
    }
    settings = wanted_settings(parsed(lambda d: d.update(topics={"overrides": overrides})))
    assert settings["payments.status"]["min.insync.replicas"] == "2"
    assert settings["notifications.alerts"]["min.insync.replicas"] == "1"
    assert settings["observations"]["min.insync.replicas"] == "3"


def test_configuration_file_is_named_by_option_or_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(changed(lambda document: None))
    assert len(load(file).merchants) == 3
    monkeypatch.setenv("PAYNOTIFY_CONFIG", str(file))
    assert len(load().merchants) == 3
    monkeypatch.delenv("PAYNOTIFY_CONFIG")
    with pytest.raises(ConfigurationError, match="PAYNOTIFY_CONFIG"):
        load()


def test_configuration_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(str(tmp_path))):
        load(tmp_path)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(binary)


def test_configuration_can_be_printed() -> None:
    document = {"sandbox": True, "merchants": merchants()}
    document["merchants"][2]["api_key"] = {"value": "hunter2-api"}  # type: ignore[index]  # plain data of the test
    assert "hunter2" not in repr(parse(yaml.safe_dump(document), "shop.yaml"))
