"""The keys that are in effect: every one, with its origin, and no secret of any kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import pytest

from paynotify.ops.console.installation.effective_configuration import (
    NOT_SET,
    WITHHELD,
    EffectiveKey,
    installation_keys,
    merchant_keys,
)
from paynotify.ops.console.installation.shown_texts import SHOWN_ORIGINS, SHOWN_TEXTS
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.providers import provider_contracts
from tests.fakes import configurations

SECRET: Final = "the-secret-of-"
TEXT: Final = "text-of-"
MERCHANTS: Final = tuple(one.merchant for one in provider_contracts().values())


def full(kind: type[Any], pattern: str) -> Any:
    """A section in which every key is set, by its type alone: texts and secrets are marks. No rule has checked it."""
    info = cast("msgspec.inspect.StructType", msgspec.inspect.type_info(kind))
    values = {}
    for field in info.fields:
        at = f"{pattern}.{field.name}" if pattern else field.name
        values[field.name] = () if at == "merchants" else value(field.type, at)
    unchecked = msgspec.defstruct(
        kind.__name__,
        [],
        bases=(kind,),
        namespace={"__post_init__": lambda self: None},
        tag_field=info.tag_field,
        tag=info.tag,
        frozen=True,
        kw_only=True,
    )
    return unchecked(**values)


def value(kind: Any, at: str) -> Any:
    if isinstance(kind, msgspec.inspect.UnionType):
        return value(next(one for one in kind.types if not isinstance(one, msgspec.inspect.NoneType)), at)
    if isinstance(kind, msgspec.inspect.StructType):
        return SecretRef(value=SECRET + at) if kind.cls is SecretRef else full(kind.cls, at)
    if isinstance(kind, msgspec.inspect.VarTupleType):
        holds_sections = isinstance(kind.item_type, msgspec.inspect.StructType) and kind.item_type.cls is not SecretRef
        return (value(kind.item_type, f"{at}[]" if holds_sections else at),)
    if isinstance(kind, msgspec.inspect.DictType):
        return {"NAME": value(kind.value_type, f"{at}.*")}
    if isinstance(kind, msgspec.inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, msgspec.inspect.BoolType):
        return True
    if isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        return 7
    assert isinstance(kind, msgspec.inspect.StrType), f"the test does not know {kind}"
    return f"https://{TEXT}host/{SECRET}{at}" if at in SHOWN_ORIGINS else TEXT + at


def all_keys() -> Iterator[EffectiveKey]:
    yield from installation_keys(full(Configuration, ""))
    for kind in MERCHANTS:
        yield from merchant_keys(full(kind, "merchants[]"))


def test_secrets_of_no_kind_appear() -> None:
    built = msgspec.to_builtins([full(Configuration, ""), *(full(kind, "merchants[]") for kind in MERCHANTS)])
    secrets = set(re.findall(rf"{SECRET}[A-Za-z_.*\[\]]+", str(built)))
    assert len(secrets) > 15, "the sections have secrets"
    shown = [one.value for one in all_keys()]
    assert not [text for text in shown if SECRET in text]
    assert sum("in the file of the configuration" in text for text in shown) >= 15


def test_texts_are_shown_only_where_they_are_named() -> None:
    shown = {text for one in all_keys() for text in re.findall(rf"{TEXT}([A-Za-z_.*\[\]]+)", one.value)}
    assert shown - {"host"} == SHOWN_TEXTS, "a name that is no key any more, or a text that nobody has decided about"


def test_shown_texts_are_not_named_like_secrets() -> None:
    named_so = re.compile(r"(password|secret|credential|hash|sha256|(?<!oauth\.)token|key)s?\Z")
    assert not [one for one in SHOWN_TEXTS if named_so.search(one)]


def loaded(tmp_path: Path, **changes: Any) -> Configuration:
    return configurations.parsed("127.0.0.1:9", "", tmp_path, **changes)


def by_path(configuration: Configuration) -> dict[str, EffectiveKey]:
    return {one.path: one for one in installation_keys(configuration)}


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ({"file": "/run/secrets/one"}, "set, from the file /run/secrets/one"),
        ({"env": "ONE_SECRET"}, "set, from the variable ONE_SECRET"),
        ({"value": "hunter2"}, "set, in the file of the configuration"),
    ],
)
def test_secret_is_set_and_says_where(reference: dict[str, str], text: str, tmp_path: Path) -> None:
    found = by_path(loaded(tmp_path, encryption={"keys": [{"id": "november", "key": reference}]}))
    assert found["encryption.keys[november].key"] == EffectiveKey("encryption.keys[november].key", text, "set")
    assert found["encryption.keys[november].id"].value == "november"
    assert by_path(loaded(tmp_path))["encryption"].value == NOT_SET


def test_key_is_set_if_its_value_is_not_the_default(tmp_path: Path) -> None:
    found = by_path(loaded(tmp_path, worker={"stall_seconds": 90, "calls_per_second": {"omnikassa": 2}}))
    assert (found["worker.stall_seconds"].value, found["worker.stall_seconds"].origin) == ("90", "set")
    assert (found["worker.circuit.failures"].value, found["worker.circuit.failures"].origin) == ("5", "default")
    rates = [found[f"worker.calls_per_second.{one}"] for one in ("omnikassa", "smartpay", "nevogate")]
    assert [(one.value, one.origin) for one in rates] == [("2", "set"), ("3", "default"), (NOT_SET, "default")]


def test_url_of_a_subscriber_shows_no_path(tmp_path: Path) -> None:
    subscriber = {
        "id": "erp",
        "url": "https://hooks.example:8443/services/T0/B0/xyzzy",
        "secrets": [{"value": "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZg=="}],
    }
    found = by_path(loaded(tmp_path, deliver={"subscriptions": [subscriber]}))
    assert found["deliver.subscriptions[erp].url"].value == "https://hooks.example/…"


def test_every_key_of_the_types_is_there(tmp_path: Path) -> None:
    configuration = loaded(tmp_path)
    sections = {one.partition(".")[0] for one in by_path(configuration)}
    assert sections == set(configuration.__struct_fields__) - {"merchants"}
    for merchant in configuration.merchants:
        keys = {one.path: one.value for one in merchant_keys(merchant)}
        assert {one.partition(".")[0] for one in keys} == {*merchant.__struct_fields__, "provider"}
        assert keys.get("username", WITHHELD) == WITHHELD
