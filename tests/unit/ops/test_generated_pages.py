"""The generated pages of ``docs/`` agree with the types and definitions they are generated from."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

import msgspec
import pytest

from paynotify.ops import generate_configuration, generate_http, generate_metrics, generate_reasons, generate_rights
from paynotify.processors.metrics import Metrics
from paynotify.schemas import reasons
from paynotify.schemas.configuration.ingest import IngestSettings
from paynotify.schemas.configuration.model import Configuration, configuration_type
from paynotify.schemas.configuration.worker import WorkerSettings
from paynotify.schemas.ingress import RequestOutcome
from paynotify.schemas.providers import provider_contracts


@pytest.mark.parametrize(
    "generator",
    [generate_configuration, generate_http, generate_metrics, generate_reasons, generate_rights],
    ids=["configuration", "http", "metrics", "reasons", "rights"],
)
def test_page_is_up_to_date(generator: object) -> None:
    assert generator.PAGE.read_text("utf-8") == generator.page(), "run `make docs`"  # type: ignore[attr-defined]  # modules


def test_configuration_page_has_every_key() -> None:
    page = generate_configuration.page()
    sections: list[type[msgspec.Struct]] = [Configuration, IngestSettings, WorkerSettings]
    sections += [contract.merchant for contract in provider_contracts().values()]
    for section in sections:
        for key in section.__struct_fields__:
            assert f"| `{key}` | " in page
    assert set(configuration_type().__struct_fields__) == set(Configuration.__struct_fields__)


def test_configuration_page_has_each_section_once() -> None:
    titles = [line for line in generate_configuration.page().splitlines() if line.startswith("## ")]
    assert len(titles) == len(set(titles))


def test_meaning_is_a_sentence() -> None:
    for section in (Configuration, IngestSettings, WorkerSettings):
        for key, meaning in generate_configuration.meanings(section).items():
            assert meaning.endswith("."), key


def test_metrics_page_has_every_metric() -> None:
    page = generate_metrics.page()
    for definition in Metrics.definitions.values():
        assert f"| `{definition.name}` | " in page


def test_reasons_page_has_every_reason() -> None:
    for described, there in generate_reasons.described().values():
        assert described == set(there)
    listed = {word for one in vars(reasons).values() if get_origin(one) is Literal for word in get_args(one)}
    assert {word for described, _ in generate_reasons.described().values() for word in described} == listed


def test_http_page_has_every_route_and_outcome() -> None:
    page = generate_http.page()
    for name in provider_contracts():
        assert f"| `/notifications/{name}/MERCHANT` | " in page
    for outcome in RequestOutcome:
        assert f"`{outcome.value}`" in page
