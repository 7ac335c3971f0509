"""Configuration files and secrets that would do harm, or lead to a traceback: each is told in one paragraph."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.secrets import Secret, SecretRef
from paynotify.schemas.errors import ConfigurationError, SecretError

SHOP = "merchants: [{{id: {id}, provider: nevogate, store_name: s, api_key: {key}, base_url: {url}}}]\n{more}"


def text(*, id: str = "shop", key: str = "{env: KEY}", url: str = "'https://hu.example'", more: str = "") -> str:  # noqa: A002 - the key's own name
    return SHOP.format(id=id, key=key, url=url, more=more)


def refused(document: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        parse(document, "shop.yaml")
    assert str(error.value).startswith("shop.yaml")
    return str(error.value)


def test_base_document_is_valid() -> None:
    assert parse(text(), "shop.yaml").merchants[0].id == "shop"


@pytest.mark.parametrize(
    "url",
    [
        "https://[",
        "https://hu.example:x",
        "https://hu.example:99999",
        "https://hu.example:0",
        "https://:pw@hu.example",
        "https://u@hu.example",
        "https:///path",
        "https://hu.example/?a=1",
        "https://hu.example/#a",
        "https://é.example",
        "https://hu.example/a b",
        '"https://hu.example/\\r\\nX: y"',
        "ftp://hu.example",
        "http://hu.example",
        "''",
    ],
)
def test_base_url_is_scheme_host_and_path(url: str) -> None:
    quoted = url if url[0] in "\"'" else f"'{url}'"
    assert "merchants[0].base_url" in refused(text(url=quoted))


@pytest.mark.parametrize("name", ['"a\\n"', "'a/b'", "'a b'", "''", '"a\\0"', "é"])
def test_merchants_id_fits_into_keys_and_addresses(name: str) -> None:
    assert "merchants[0].id" in refused(text(id=name))


@pytest.mark.parametrize(
    "document",
    [
        "a: &a [*a]",
        "a: &a {a: *a}",
        "[" * 65536,
        "{" * 5000,
        "- " * 5000,
        "? " * 5000,
        "a: 0b_",
        "a: !!int x",
        "a: !!timestamp x",
        "a: !!python/object:os.system x",
        "a: " + "9" * 5000,
        'a: "\\ud800"',
        '"\\ud800": 1',
        "? [a]\n: b",
        'a: "\\UFFFFFFFF"',
        "a: \0",
        "\ud800",
        "a: b: c",
        "%YAML 9",
        "&a a: *b",
        '"": 1',
        "x]: 1",
        "x[: 1",
        "<<: {}",
        "a.b: 1",
        "a: *b",
        "a: 1\n---\na: 2",
        "a: 1" + ":1" * 30_000,
        "? &a b\n: *a",
    ],
)
def test_odd_yaml_is_refused_with_a_paragraph(document: str) -> None:
    refused(document)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ("topics:\n overrides:\n  observations:\n   .partitions: 8", "line 4: topics.overrides.observations"),
        ("topics:\n overrides:\n  observations:\n   a[: 8", "line 4: topics.overrides.observations.a["),
        ("topics:\n overrides:\n  observations:\n   'a` - at `$.x': 8", "line 4: topics.overrides.observations.a`"),
        (
            "topics:\n overrides:\n  responses.nevogate:\n   partitions: x",
            "line 4: topics.overrides.responses.nevogate",
        ),
        ("topics:\n overrides:\n  a:\n   partitions: 1\n  b:\n   partitions: x", "line 2: topics.overrides.partitions"),
    ],
)
def test_mistake_below_a_free_name_has_its_line(document: str, place: str) -> None:
    assert f"shop.yaml, {place}" in refused(document)


def test_currency_in_small_letters_is_refused() -> None:
    charges = "{public_url: 'https://x.example', limits: {eur: {per_charge: 1, per_reference: 1, per_day: 1}}}"
    assert "merchants[0].charges.limits has a wrong value" in refused(
        text(url=f"'https://hu.example', charges: {charges}")
    )


OAUTH: Final = "{security_protocol: SASL_SSL, sasl_mechanism: OAUTHBEARER"
CLIENT: Final = "client_id: c, client_secret: {env: S}"


@pytest.mark.parametrize(
    ("kafka", "word"),
    [
        ("{security_protocol: SASL_SSL}", "sasl_mechanism"),
        ("{security_protocol: SASL_SSL, sasl_mechanism: PLAIN, sasl_plain_username: u}", "sasl_plain_password"),
        ("{sasl_mechanism: PLAIN, sasl_plain_username: u, sasl_plain_password: {env: P}}", "SASL_SSL"),
        ("{security_protocol: SSL, sasl_plain_username: u}", "SASL_SSL"),
        ("{security_protocol: SSL, ssl_keyfile: k}", "ssl_certfile"),
        ("{security_protocol: SASL_SSL, sasl_mechanism: OAUTHBEARER}", "sasl_oauth"),
        ("{sasl_mechanism: OAUTHBEARER, sasl_oauth: {token_file: t}}", "SASL_SSL"),
        ("{security_protocol: SASL_SSL, sasl_mechanism: PLAIN, sasl_oauth: {token_file: t}}", "OAUTHBEARER"),
        (f"{OAUTH}, sasl_plain_username: u, sasl_oauth: {{token_file: t}}}}", "sasl_plain_username"),
        (f"{OAUTH}, sasl_oauth: {{token_file: t, aws_region: r}}}}", "exactly one of"),
        (f"{OAUTH}, sasl_oauth: {{token_endpoint: 'https://i.example/t', client_id: c}}}}", "client_secret"),
        (f"{OAUTH}, sasl_oauth: {{token_file: t, scope: s}}}}", "need token_endpoint"),
        (f"{OAUTH}, sasl_oauth: {{token_file: t, extensions: {{auth: x}}}}}}", "extensions"),
        (f"{OAUTH}, sasl_oauth: {{token_endpoint: 'http://i.example/t', {CLIENT}}}}}", "https"),
    ],
)
def test_kafka_settings_never_drop_a_password_or_send_it_in_the_open(kafka: str, word: str) -> None:
    assert word in refused(text(more=f"kafka: {kafka}"))


@pytest.mark.parametrize(
    "key", ["{}", "{value: k}", "{value: ''}", "{file: ''}", "{env: ''}", "{env: A, file: b}", "k"]
)
def test_secret_has_one_place_which_is_not_the_file(key: str) -> None:
    message = refused(text(key=key))
    assert "merchants[0].api_key" in message
    refused(text(key=key.replace("value: k", "value: ''"), more="sandbox: true"))


def test_environment_variable_that_is_no_text_is_named_without_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"PAYNOTIFY_TEST_KEY", b"geheim\xff")
    with pytest.raises(SecretError, match="PAYNOTIFY_TEST_KEY is not UTF-8") as error:
        Secret(SecretRef(env="PAYNOTIFY_TEST_KEY")).reveal()
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\xff\xfe"])
def test_secret_file_without_text_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(SecretError, match="key"):
        Secret(SecretRef(file=str(file))).reveal()
    with pytest.raises(SecretError):
        Secret(SecretRef(file="a\0b")).reveal()


def test_secret_file_replaced_within_one_clock_tick_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paynotify.schemas.configuration.secrets._RECHECK_SECONDS", 0.0)
    file, other = tmp_path / "key", tmp_path / "other"
    file.write_text("old", "utf-8")
    secret = Secret(SecretRef(file=str(file)))
    assert secret.reveal() == "old"
    moment = file.stat().st_mtime_ns
    other.write_text("new", "utf-8")
    os.utime(other, ns=(moment, moment))
    other.replace(file)
    assert secret.reveal() == "new"
    file.unlink()
    assert secret.reveal() == "new", "a file that is being replaced is missing for a moment"
