"""A node without containers: runs a namespace's admitted pods as processes of this machine.

Command, arguments, environment, and the files of ConfigMaps and Secrets are the pod's own. The program is that of this
environment instead of an image's, and addresses and paths are replaced by those of this machine. The results of the
pod's probes become its status, so that controllers and `helm --wait` behave as on a cluster.
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from paynotify.sandbox.processes import Child, stop_all
from tests.helm.rendering import named
from tests.helm.test_chart_objects import selects
from tests.kube.control_plane import Access, Kubelet, Thing
from tests.kube.network import Network

_LOOK_SECONDS: Final = 0.5
_PROBE_SECONDS: Final = 5.0
_EXECUTE_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 40.0
#: That of the image, by its Dockerfile. The init process there forwards signals, as the process group does here.
_ENTRYPOINT: Final = ("paynotify",)
#: The options behind the ports that the product listens on where nothing else is said.
_LISTENS: Final = {8080: "--listen", 9090: "--management"}


@dataclass(slots=True)
class Pod:
    """A pod's only container, as it runs here: ``ports`` by their names."""

    said: Thing
    folder: Path
    environment: dict[str, str]
    ports: dict[str, int]
    child: Child
    ready: bool = False

    @property
    def container(self) -> Thing:
        container: Thing = self.said["spec"]["containers"][0]
        return container

    def is_ready(self) -> bool:
        """The result of its probes; a running pod without probes is ready."""
        probes = [self.container[kind] for kind in ("startupProbe", "readinessProbe") if kind in self.container]
        return self.child.running and all(self._asked(probe) for probe in probes)

    def _asked(self, probe: Thing) -> bool:
        (how,) = (probe[kind] for kind in ("httpGet", "tcpSocket") if kind in probe)
        address = ("127.0.0.1", self.ports[how["port"]])
        try:
            if "path" in how:
                with urllib.request.urlopen(f"http://{address[0]}:{address[1]}{how['path']}", timeout=_PROBE_SECONDS):
                    return True
            with socket.create_connection(address, _PROBE_SECONDS):
                return True
        except (OSError, urllib.error.HTTPError):
            return False


class Node:
    """Runs what is in the namespace until it is gone from there."""

    def __init__(self, access: Access, namespace: str, directory: Path, elsewhere: Mapping[str, str]) -> None:
        self._access = access
        self._namespace = namespace
        self._directory = directory
        self._pods: dict[str, Pod] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)
        self.network = Network(namespace, elsewhere, self._behind)
        #: exit codes of what has ended, by the pod's name
        self.ended: dict[str, int] = {}

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        self._stop(set(self._pods))
        self.network.close()

    def execute(self, name: str, *words: str) -> str:
        """Run a program with the pod's files and environment, as ``kubectl exec`` does; returns its output."""
        (pod,) = (one for one in self._pods.values() if one.said["metadata"]["name"] == name)
        done = subprocess.run(
            words,
            env={**os.environ, **pod.environment},
            cwd=pod.folder,
            capture_output=True,
            text=True,
            timeout=_EXECUTE_SECONDS,
            check=False,
        )
        return done.stdout + done.stderr

    def logs(self) -> str:
        return "\n".join(f"--- {pod.child.name}: {pod.child.end()}" for pod in self._pods.values())

    def _run(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            wanted = {one["metadata"]["uid"]: one for one in self._access.get("pods", self._namespace)}
            self._stop(self._pods.keys() - wanted.keys())
            for uid, said in wanted.items():
                if uid not in self._pods and said["status"]["phase"] == "Pending":
                    self._pods[uid] = self._started(said)
                if uid in self._pods:
                    self._report(self._pods[uid], said["status"]["phase"])

    def _stop(self, gone: set[str]) -> None:
        children = [self._pods.pop(uid).child for uid in gone]
        self.ended |= stop_all(children, _STOP_SECONDS)

    def _behind(self, service: str, port: int) -> int | None:
        spec = named(self._access.get("services", self._namespace), "Service", service)["spec"]
        (target,) = (one["targetPort"] for one in spec["ports"] if one["port"] == port)
        for pod in list(self._pods.values()):
            if pod.ready and selects(spec["selector"], pod.said["metadata"]["labels"]):
                return pod.ports[target]
        return None

    def _started(self, said: Thing) -> Pod:
        name, (container,) = said["metadata"]["name"], said["spec"]["containers"]
        folder = self._directory / f"{name}-{said['metadata']['uid'][:8]}"
        paths = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in said["spec"]["volumes"]}

        def local(text: str) -> str:
            """With this machine's addresses, and the pod's folder before each path that it mounts."""
            mounted = "|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True))
            return re.sub(rf"(?<![\w/])({mounted})\b", lambda found: f"{folder}{found[0]}", self.network.local(text))

        for path, volume in paths.items():
            place = folder / path.lstrip("/")
            place.mkdir(parents=True)
            for file, content in self._files(volumes[volume]).items():
                (place / file).write_bytes(content if isinstance(content, bytes) else local(content).encode())
        environment = {
            one["name"]: local(one["value"]) if "value" in one else _field(said, one["valueFrom"])
            for one in container.get("env", [])
        }
        ports, listening = _ports(container)
        words = [*container.get("command", _ENTRYPOINT), *container.get("args", []), *listening]
        environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        command = [local(_filled(_moved(word, container, ports), environment)) for word in words]
        child = Child(name, command, self._directory / f"{folder.name}.log", environment=environment, directory=folder)
        return Pod(said, folder, environment, ports, child)

    def _files(self, volume: Thing) -> Mapping[str, str | bytes]:
        if "configMap" in volume:
            found = self._access.get("configmaps", self._namespace)
            texts: dict[str, str] = named(found, "ConfigMap", volume["configMap"]["name"])["data"]
            return texts
        if "secret" in volume:
            found = self._access.get("secrets", self._namespace)
            data = named(found, "Secret", volume["secret"]["secretName"])["data"]
            return {key: base64.b64decode(value) for key, value in data.items()}
        return {}

    def _report(self, pod: Pod, phase: str) -> None:
        """Update the pod's status as a kubelet does, if it has changed."""
        if not pod.child.running and pod.said["spec"]["restartPolicy"] == "Never":
            if phase in ("Pending", "Running"):
                self._patch(pod, {"phase": "Failed" if pod.child.exit_code else "Succeeded"})
        elif (ready := pod.is_ready()) != pod.ready:
            pod.ready = ready
            now, word = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), str(ready)
            conditions = [
                {"type": kind, "status": word, "lastTransitionTime": now} for kind in ("Ready", "ContainersReady")
            ]
            container = {
                "name": pod.container["name"],
                "image": pod.container["image"],
                "imageID": "",
                "ready": ready,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            self._patch(pod, {"phase": "Running", "conditions": conditions, "containerStatuses": [container]})

    def _patch(self, pod: Pod, status: Thing) -> None:
        self._access.kubectl(
            "patch",
            "pod",
            pod.child.name,
            "-n",
            self._namespace,
            "--subresource=status",
            "--type=merge",
            "-p",
            json.dumps({"status": status}),
        )


def _ports(container: Thing) -> tuple[dict[str, int], list[str]]:
    """A free port for each of the container's, and the product's options to use them."""
    ports, words = {}, []
    for one in container.get("ports", []):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports[one["name"]] = free.getsockname()[1]
        if "command" not in container:
            words += [_LISTENS[one["containerPort"]], f"127.0.0.1:{ports[one['name']]}"]
    return ports, words


def _moved(word: str, container: Thing, ports: Mapping[str, int]) -> str:
    """An address to listen at, with the port that it has here."""
    here = {f":{one['containerPort']}": f"127.0.0.1:{ports[one['name']]}" for one in container.get("ports", [])}
    return here.get(word, word)


def _filled(word: str, environment: Mapping[str, str]) -> str:
    return re.sub(r"\$\((\w+)\)", lambda found: environment[found[1]], word)


def _field(said: Thing, source: Thing) -> str:
    assert source == {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}
    name: str = said["metadata"]["name"]
    return name


@contextmanager
def running(
    access: Access, kubelet: Kubelet, namespace: str, directory: Path, elsewhere: Mapping[str, str]
) -> Iterator[Node]:
    """The namespace's pods run for the block; ``elsewhere`` is what they reach outside of it, with its address here."""
    node = Node(access, namespace, directory, elsewhere)
    kubelet.others.add(namespace)
    node.start()
    try:
        yield node
    finally:
        node.end()
