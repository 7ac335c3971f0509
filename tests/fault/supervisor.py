"""Starts again what has ended or says that it is not well, as whoever runs the processes in production does."""

from __future__ import annotations

from dataclasses import dataclass, field

from paynotify.sandbox.probes import probe
from paynotify.sandbox.processes import Child
from paynotify.sandbox.system import Sandbox


@dataclass(slots=True)
class Supervisor:
    """Looks at the processes when told to; ``restarts`` says of each restart why it was."""

    sandbox: Sandbox
    restarts: list[str] = field(default_factory=list)
    _ports: dict[int, int] = field(default_factory=dict)

    def look(self) -> None:
        """One round over all processes. Between faults only: within one they are ended on purpose."""
        sandbox = self.sandbox
        for number, worker in enumerate(sandbox.workers):
            if why := self._ill(worker):
                self.restarts.append(f"{worker.name}: {why}")
                worker.kill()
                sandbox.start_worker(number)
        if sandbox.ingest is not None and (why := self._ill(sandbox.ingest)):
            self.restarts.append(f"ingest: {why}")
            sandbox.ingest.kill()
            sandbox.start_ingest()

    def _ill(self, child: Child) -> str:
        """Why the process must be started again; empty where it is well, or has not come so far as to say so."""
        if not child.running:
            return f"ended with exit code {child.exit_code}"
        port = self._port(child)
        status, said = probe(port, "/livez") if port else (0, "")
        return f"not alive: {said.strip()}" if status == 503 else ""

    def _port(self, child: Child) -> int | None:
        if child.pid not in self._ports:
            opened = [int(line["port"]) for line in child.log_lines() if line.get("event") == "management_listening"]
            if not opened:
                return None
            self._ports[child.pid] = opened[0]
        return self._ports[child.pid]
