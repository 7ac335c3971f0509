"""Runs etcd, kube-apiserver and kube-controller-manager on the loopback: a cluster without nodes.

Nothing schedules or runs pods, so they stay pending. `Kubelet` plays the part that a release waits for: pods of jobs
are said to have succeeded. Everything else - admission, Pod Security, quotas, access rights, garbage collection, the
controllers of jobs, deployments, stateful sets and claims - is the real one.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from paynotify.sandbox.processes import wait_for
from tests.helm.tools import HELMS, helm, kubectl
from tests.kube.servers import server

_START_SECONDS: Final = 120.0
_CALL_SECONDS: Final = 180
_LOOK_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 20.0

Thing = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Access:
    """One user's way to the API."""

    kubeconfig: Path

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return self._run(kubectl(), *arguments, stdin=stdin)

    def helm(self, *arguments: str, version: str = HELMS[0]) -> subprocess.CompletedProcess[str]:
        return self._run(helm(version), *arguments)

    def get(self, kinds: str, namespace: str | None = None) -> list[Thing]:
        """Objects of some kinds, of one namespace or of the cluster."""
        where = ("-n", namespace) if namespace else ()
        done = self.kubectl("get", kinds, *where, "-o", "json")
        assert done.returncode == 0, done.stderr
        found: list[Thing] = json.loads(done.stdout)["items"]
        return found

    def apply(self, *things: Thing, namespace: str | None = None) -> None:
        where = ("-n", namespace) if namespace else ()
        done = self.kubectl("apply", "-f", "-", *where, stdin=yaml.safe_dump_all(things))
        assert done.returncode == 0, done.stderr

    def _run(self, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.kubeconfig.parent)}
        return subprocess.run(
            command, env=environment, input=stdin, capture_output=True, text=True, timeout=_CALL_SECONDS, check=False
        )


class ControlPlane:
    """The three servers; ``access`` gives each named user a way in. The first user may do everything."""

    def __init__(self, directory: Path, users: tuple[str, ...]) -> None:
        self._directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []
        self._client, self._peer, self._api, self._manager = _free_ports(4)
        self._tokens = {user: secrets.token_hex(16) for user in users}
        self.access: dict[str, Access] = {user: Access(self._kubeconfig(user)) for user in users}
        self.admin = self.access[users[0]]

    def start(self) -> None:
        """Start all and wait until the API is available and the first controllers are active.

        Raises:
            AssertionError: they were not in two minutes; with the end of the logs.
        """
        folder = self._directory
        key = folder / "service-accounts.key"
        subprocess.run(("openssl", "genrsa", "-out", str(key), "2048"), check=True, capture_output=True)
        tokens = folder / "tokens.csv"
        groups = {user: ',"system:masters"' if number == 0 else "" for number, user in enumerate(self._tokens)}
        tokens.write_text("".join(f"{self._tokens[user]},{user},{user}{groups[user]}\n" for user in groups), "utf-8")
        etcd = f"http://127.0.0.1:{self._client}"
        peer = f"http://127.0.0.1:{self._peer}"
        self._run(
            "etcd",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        self._run(
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            f"--cert-dir={folder / 'certificates'}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._api}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            f"--token-auth-file={tokens}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--endpoint-reconciler-type=none",
        )
        self._await(lambda: self.admin.kubectl("get", "--raw", "/readyz").stdout == "ok", "the API is not available")
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={self.admin.kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._manager}",
            "--leader-elect=false",
            "--use-service-account-credentials=false",
            f"--service-account-private-key-file={key}",
            f"--cert-dir={folder / 'certificates'}",
        )
        self._await(lambda: bool(self.admin.get("serviceaccounts", "default")), "no controller works")

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _run(self, name: str, *arguments: str) -> None:
        with (self._directory / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen((server(name), *arguments), cwd=self._directory, stdout=log, stderr=log)
            )

    def _await(self, condition: Callable[[], bool], otherwise: str) -> None:
        def holds() -> bool:
            assert all(process.poll() is None for process in self._processes), self._logs()
            return condition()

        assert wait_for(holds, within_seconds=_START_SECONDS, every=0.3), f"{otherwise}\n{self._logs()}"

    def _logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text('utf-8', 'replace')[-3000:]}" for path in self._directory.glob("*.log")
        )

    def _kubeconfig(self, user: str) -> Path:
        path = self._directory / f"{user}.kubeconfig"
        server_of = {"server": f"https://127.0.0.1:{self._api}", "insecure-skip-tls-verify": True}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": server_of}],
            "users": [{"name": user, "user": {"token": self._tokens[user]}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": user}}],
        }
        path.write_text(yaml.safe_dump(document), "utf-8")
        path.chmod(0o600)
        return path


class Kubelet(threading.Thread):
    """Says of each job's pod that it has succeeded, and remembers what else there was in its namespace then."""

    def __init__(self, access: Access) -> None:
        super().__init__(name="kubelet", daemon=True)
        self._access = access
        self._over = threading.Event()
        #: namespace → what kinds of names were there when each job's pod ran, in order
        self.seen: dict[str, list[set[str]]] = {}
        #: namespaces whose pods somebody else runs
        self.others: set[str] = set()

    def run(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            listing = self._access.kubectl("get", "pods", "-A", "-l", "batch.kubernetes.io/job-name", "-o", "json")
            if listing.returncode == 0:
                for pod in json.loads(listing.stdout)["items"]:
                    waits = pod.get("status", {}).get("phase") == "Pending"
                    if waits and pod["metadata"]["namespace"] not in self.others:
                        self._complete(pod["metadata"])

    def end(self) -> None:
        self._over.set()
        self.join()

    def _complete(self, pod: Mapping[str, Any]) -> None:
        namespace = pod["namespace"]
        kinds = "deployments,statefulsets,services,serviceaccounts,configmaps,networkpolicies,jobs"
        present = {f"{one['kind']}/{one['metadata']['name']}" for one in self._access.get(kinds, namespace)}
        self.seen.setdefault(namespace, []).append(present)
        self._access.kubectl(
            "patch",
            "pod",
            pod["name"],
            "-n",
            namespace,
            "--subresource=status",
            "--type=merge",
            "-p",
            json.dumps({"status": {"phase": "Succeeded"}}),
        )


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def running(directory: Path, users: tuple[str, ...]) -> Iterator[tuple[ControlPlane, Kubelet]]:
    """A control plane for the block."""
    with ExitStack() as stack:
        plane = ControlPlane(directory, users)
        stack.callback(plane.stop)
        plane.start()
        kubelet = Kubelet(plane.admin)
        kubelet.start()
        stack.callback(kubelet.end)
        yield plane, kubelet
