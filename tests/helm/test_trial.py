"""The trial of docs/tutorial/on-a-cluster.md is consistent: its files are valid and refer to each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import yaml

from paynotify.processors.providers.nevogate.contract import NevogateMerchant
from paynotify.sandbox.simulators.nevogate.settings import NevogateSettings
from paynotify.schemas.configuration.load import parse
from tests.helm.rendering import CHART, KUBERNETES, named, pod_of, run, workloads
from tests.helm.test_chart_objects import judge, workloads_are_restricted

DOCS = Path(__file__).parents[2] / "docs" / "operations"
PAGE = (DOCS.parent / "tutorial" / "on-a-cluster.md").read_text("utf-8")


def rendered() -> list[dict[str, Any]]:
    done = run("template", "trial", str(CHART), "-n", "payments", "-f", str(DOCS / "kubernetes" / "trial-values.yaml"))
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def simulator() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DOCS / "kubernetes" / "trial-simulator.yaml").read_text("utf-8")))


def test_trial_objects_are_valid_and_restricted() -> None:
    for thing in [*rendered(), *simulator()]:
        judge(json.dumps(thing, sort_keys=True), KUBERNETES[-1])
    pod = named(simulator(), "Pod", "simulator")
    all_that_runs = [*workloads(rendered()), {"kind": "Job", "spec": {"template": pod}}]
    workloads_are_restricted(all_that_runs)
    for one in all_that_runs:
        (container,) = pod_of(one)["spec"]["containers"]
        assert container.get("imagePullPolicy", "IfNotPresent") == "IfNotPresent", "the image is on the nodes"
        resources = container["resources"]
        assert resources["requests"].keys() == resources["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}


def test_trial_simulator_and_configuration_match() -> None:
    settings = msgspec.json.decode(named(simulator(), "ConfigMap", "simulator")["data"]["settings.json"])
    (shop,) = msgspec.convert(settings, NevogateSettings).shops
    configuration = parse(
        named(rendered(), "ConfigMap", "trial-paynotify-worker")["data"]["paynotify.yaml"], "paynotify.yaml"
    )
    (merchant,) = configuration.merchants
    assert isinstance(merchant, NevogateMerchant)
    assert (merchant.id, merchant.store_name) == (shop.merchant, shop.store_name)
    secret = named(simulator(), "Secret", "shop-hu")
    assert secret["stringData"] == {"api-key": shop.api_key}
    service = named(simulator(), "Service", "simulator")
    assert merchant.base_url == f"http://{service['metadata']['name']}.payments:{service['spec']['ports'][0]['port']}"
    ingest = named(rendered(), "Service", "trial-paynotify-ingest")
    assert settings["target"] == f"http://{ingest['metadata']['name']}.payments"
    assert ingest["spec"]["ports"][0]["port"] == 80


def test_trial_takes_ten_commands() -> None:
    block = PAGE.split("```sh\n")[1].split("```")[0]
    commands = [line for line in block.splitlines() if line]
    assert len(commands) == 10
    named_objects = {one["metadata"]["name"] for one in rendered()}
    assert "trial-paynotify-results" in named_objects
    assert any("exec trial-paynotify-results-0" in command for command in commands)
