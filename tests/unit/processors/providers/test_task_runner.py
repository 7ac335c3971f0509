"""What providers need done beside their stages: only for merchants that there are, and again after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paynotify.processors.providers import task_runner
from paynotify.processors.providers.background import BackgroundContext, BackgroundTask
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.model import Configuration
from tests.fakes.gateway import world
from tests.fakes.stages import metrics

CONFIGURATION = """
sandbox: true
merchants:
  - {id: shop-hu, provider: nevogate, store_name: s, api_key: {value: k}, base_url: "https://hu.example"}
  - {id: shop-v3, provider: smartpay, base_url: "https://nl.example", jwks_file: keys.json, refresh_token: {value: t}}
"""


def configured() -> Configuration:
    return parse(CONFIGURATION, "test.yaml")


def with_task(monkeypatch: pytest.MonkeyPatch, task: BackgroundTask) -> None:
    specs = {name: replace(spec, background=task) for name, spec in provider_specs().items()}
    monkeypatch.setattr(task_runner, "provider_specs", lambda: specs)
    monkeypatch.setattr(task_runner, "_AGAIN_SECONDS", 0.0)


async def test_task_runs_for_selected_providers_with_a_merchant_until_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun: list[tuple[list[str], str]] = []
    ended: list[str] = []
    running = asyncio.Event()

    async def task(merchants: Mapping[str, Any], context: BackgroundContext) -> None:
        begun.append((list(merchants), context.directory.name))
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(context.directory.name)

    with_task(monkeypatch, task)
    async with world() as here:
        selected = ("smartpay", "omnikassa")
        calls = here.call_context()
        async with task_runner.background_tasks(configured(), selected, calls, metrics(), tmp_path):
            await asyncio.wait_for(running.wait(), 10)
    assert begun == [(["shop-v3"], "provider.smartpay")]
    assert ended == ["provider.smartpay"]


async def test_task_that_fails_begins_again_and_stops_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tries: list[int] = []
    enough = asyncio.Event()

    async def task(merchants: Mapping[str, Any], context: BackgroundContext) -> None:
        tries.append(1)
        if len(tries) == 3:
            enough.set()
            await asyncio.Event().wait()
        raise ZeroDivisionError("nobody foresaw this")

    with_task(monkeypatch, task)
    async with world() as here:
        calls = here.call_context()
        async with task_runner.background_tasks(configured(), ("smartpay",), calls, metrics(), tmp_path):
            await asyncio.wait_for(enough.wait(), 10)
    assert len(tries) == 3
