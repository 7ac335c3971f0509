"""The receivers that people copy, called by `paynotify deliver`'s own caller: signature, repeats, forgeries."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from paynotify.deliver.answer import DELIVERED, SubscriberAnswer
from paynotify.deliver.caller import SubscriberCaller
from paynotify.deliver.result_event import read_event
from paynotify.deliver.trust import Trust
from paynotify.sandbox.probes import free_port
from paynotify.sandbox.processes import Child, wait_for
from paynotify.schemas.configuration.deliver import DeliverSettings, Subscription
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.records import Record
from tests.fakes.subscriber import OTHER_SECRET, SECRET

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "webhooks"
ID: Final = "6cbe6c1c-4f0e-5b3b-9a51-0d9a36f4c8d1"
NODE_MODULES: Final = Path(__file__).parents[2] / "build" / "webhooks"


def record() -> Record:
    value = json.dumps({"event_id": ID, "merchant": "shop-nl", "customer": "Zoë"}).encode()
    headers = (("ce_type", b"payment.status.changed.v1"), ("ce_time", b"2026-11-29T10:00:00.000Z"))
    return Record("payments.status", 0, 0, b"shop-nl/p1", value, headers, 0.0)


async def called(port: int, secrets: Sequence[str]) -> SubscriberAnswer:
    subscription = Subscription(
        id="erp", url=f"http://127.0.0.1:{port}/hooks", secrets=tuple(SecretRef(value=one) for one in secrets)
    )
    caller = SubscriberCaller(subscription, DeliverSettings(private_networks=("127.0.0.0/8",)), Trust(None))
    event = read_event(record())
    assert event is not None
    try:
        return await caller.call(event)
    finally:
        await caller.close()


def node_receiver() -> list[str]:
    """The command of the receiver in JavaScript, with its library beside it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("needs Node.js with npm")
    NODE_MODULES.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "receiver.mjs"):
        shutil.copy(EXAMPLES / name, NODE_MODULES)
    if not (NODE_MODULES / "node_modules" / "standardwebhooks").exists():
        install = (npm, "install", "--no-package-lock", "--no-audit", "--no-fund")
        subprocess.run(install, cwd=NODE_MODULES, check=True, timeout=120, capture_output=True)
    return [node, str(NODE_MODULES / "receiver.mjs")]


@pytest.mark.parametrize("language", ["python", "javascript"])
async def test_receiver_takes_signed_calls_once_and_refuses_others(language: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "receiver.py")] if language == "python" else node_receiver()
    port = free_port()
    environment = {"WEBHOOK_SECRET": SECRET, "EVENTS_FILE": str(tmp_path / "events")}
    receiver = Child("receiver", [*command, str(port)], tmp_path / "receiver.log", environment=environment)
    try:
        assert wait_for(lambda: _listens(port), within_seconds=20, every=0.05), receiver.end()
        assert await called(port, [SECRET]) == DELIVERED
        assert await called(port, [OTHER_SECRET, SECRET]) == DELIVERED  # while secrets are changed
        assert await called(port, [OTHER_SECRET]) == SubscriberAnswer("refused")
        assert _status_of_forgery(port) == 401
        assert receiver.log_path.read_text().count(ID) == 1
    finally:
        receiver.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _status_of_forgery(port: int) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/hooks", data=b'{"type":"x"}', method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
