"""Which processes of a sandbox play which role, and what each role has used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from paynotify.sandbox.processes import Child
from paynotify.sandbox.system import Sandbox
from tests.bench import procfs

#: Process ids by role: ``kafka``, ``ingest``, ``worker``, ``simulator``, ``peer``.
Roles = Mapping[str, Sequence[int]]


def roles_of(sandbox: Sandbox, *, provider: str | None = None, peer: Child | None = None) -> dict[str, list[int]]:
    """The running processes by role; only this provider's simulator, if one is named.

    A cluster that is not the sandbox's own has no process here, so its role is missing.
    """
    roles: dict[str, list[int]] = {}
    kafka = broker_pid(sandbox)
    if kafka is not None:
        roles["kafka"] = [kafka]
    for child in sandbox.children():
        role, _, name = child.name.partition("-")
        if child.running and (role != "simulator" or provider in (None, name)):
            roles.setdefault(role, []).append(child.pid)
    if peer is not None:
        roles["peer"] = [peer.pid]
    return roles


def cpu_seconds(roles: Roles) -> dict[str, float]:
    """CPU used so far, by role."""
    return {role: sum(map(procfs.cpu_seconds, pids)) for role, pids in roles.items()}


@dataclass(slots=True)
class Peaks:
    """The most memory each process has held, by run and role."""

    bytes_by_run: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def note(self, run: str, roles: Roles) -> None:
        """Keep the peaks of the processes that run now."""
        self.bytes_by_run[run] = {role: [procfs.peak_rss_bytes(pid) for pid in pids] for role, pids in roles.items()}


def broker_pid(sandbox: Sandbox) -> int | None:
    """The process of the sandbox's own Kafka; none where the cluster was not ours."""
    if sandbox.broker is None:
        return None
    return procfs.pid_with_argument(str(sandbox.broker.log_path.parent / "server.properties"))
