"""A real Prometheus beside the sandbox: it scrapes the processes under the labels that Kubernetes gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import httpx
import yaml

from paynotify.sandbox.processes import Child, wait_for
from paynotify.schemas.errors import ConfigurationError, PaynotifyError
from tests.helm.tools import program

SCRAPED_EVERY_SECONDS: Final = 5
#: What a PodMonitor's targets are labelled with, besides the pod.
NAMESPACE: Final = "payments"
_JOB: Final = f"{NAMESPACE}/paynotify"

_START_SECONDS: Final = 30.0
_ASK_SECONDS: Final = 30.0


class QueryError(PaynotifyError):
    """Prometheus refused a query; the text says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time a dashboard is looked at, from Unix time to Unix time."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its labels, and its values by Unix time."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


class Prometheus:
    """A server with its data below ``directory``, as a context manager. What lies there already can be asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._targets = directory / "targets.json"
        self._known: dict[str, int] = {}
        self._undo = ExitStack()

    def __enter__(self) -> Prometheus:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._targets.write_text("[]", "utf-8")
        scrape = {
            "job_name": _JOB,
            "scrape_interval": f"{SCRAPED_EVERY_SECONDS}s",
            "file_sd_configs": [{"files": [str(self._targets)], "refresh_interval": f"{SCRAPED_EVERY_SECONDS}s"}],
        }
        config = self._directory / "prometheus.yaml"
        config.write_text(yaml.safe_dump({"scrape_configs": [scrape]}), "utf-8")
        server = Child(
            "prometheus",
            (
                program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={self._directory / 'data'}",
                "--web.listen-address=127.0.0.1:0",
                "--log.format=json",
            ),
            self._directory / "prometheus.log",
        )
        self._undo.callback(server.stop)
        try:
            listening = wait_for(lambda: _listening(server), within_seconds=_START_SECONDS)
            if not listening:
                raise ConfigurationError(f"Prometheus did not start: {server.end()}")
            self._client = self._undo.enter_context(httpx.Client(base_url=f"http://{listening}", timeout=_ASK_SECONDS))
            if not wait_for(self._ready, within_seconds=_START_SECONDS):
                raise ConfigurationError(f"Prometheus did not get ready: {server.end()}")
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._undo.close()

    def scrape(self, ports: Mapping[str, int]) -> None:
        """Scrape these management ports from now on; each has its pod's name."""
        if ports == self._known:
            return
        self._known = dict(ports)
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": NAMESPACE, "pod": pod}}
            for pod, port in ports.items()
        ]
        part = self._targets.with_suffix(".part")
        part.write_text(json.dumps(targets), "utf-8")
        part.replace(self._targets)

    def values(self, label: str, metric: str, span: Span) -> list[str]:
        """The values of a label of that metric within the span, in order.

        Raises:
            QueryError: it was refused.
        """
        asked = {"match[]": metric, "start": span.start, "end": span.end}
        return sorted(self._ask(f"label/{label}/values", asked))

    def at(self, query: str, moment: float) -> list[Series]:
        """What the query gives at that moment: series of one point each.

        Raises:
            QueryError: it was refused.
        """
        answer = self._ask("query", {"query": query, "time": moment})
        return _series(answer, lambda one: [one["value"]])

    def over(self, query: str, span: Span, step_seconds: float) -> list[Series]:
        """What the query gives over the span.

        Raises:
            QueryError: it was refused.
        """
        asked = {"query": query, "start": span.start, "end": span.end, "step": step_seconds}
        return _series(self._ask("query_range", asked), lambda one: one["values"])

    def _ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def _ask(self, path: str, asked: Mapping[str, Any]) -> Any:
        try:
            answer = self._client.get(f"/api/v1/{path}", params=dict(asked)).json()
        except (httpx.HTTPError, ValueError) as error:
            raise QueryError(f"Prometheus gave no answer ({type(error).__name__})") from None
        if answer.get("status") != "success":
            raise QueryError(str(answer.get("error")))
        if answer.get("warnings"):
            raise QueryError("; ".join(answer["warnings"]))
        return answer["data"]


def _listening(server: Child) -> str | None:
    for line in server.log_lines():
        if line.get("msg") == "Listening on":
            return str(line["address"])
    return None


def _series(answer: Any, points: Any) -> list[Series]:
    return [
        Series(one["metric"], [(float(moment), float(value)) for moment, value in points(one)])
        for one in answer["result"]
    ]
