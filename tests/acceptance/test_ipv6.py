"""In a network namespace that has IPv6 alone: brokers are reached, calls are stored, and probes are answered."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Final

import pytest

pytestmark = pytest.mark.kafka

#: Root in a namespace of its own network, which needs no rights on most machines.
NAMESPACE: Final = ("unshare", "--map-root-user", "--net")
PROBES: Final = dict.fromkeys(("/startz", "/livez", "/readyz"), "200 ok")


def namespaces_are_allowed() -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run((*NAMESPACE, "ip", "link", "set", "lo", "up"), capture_output=True).returncode == 0


def test_processes_work_with_ipv6_alone() -> None:
    if not namespaces_are_allowed():
        pytest.skip("needs `unshare` and `ip`, and the right to make a network namespace")
    program = (*NAMESPACE, sys.executable, "-m", "tests.acceptance.ipv6_alone")
    done = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["over IPv4"] == "Network is unreachable", "the namespace has IPv4 as well"
    assert (found["ingress"], found["worker"]) == (PROBES, PROBES), found["logs"]
    assert found["notification"].startswith("200"), found["logs"]
