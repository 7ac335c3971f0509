"""The pages of the installation: its configuration without secrets, the doctor's findings, and its versions."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from paynotify.ops.console.access.identity import Identity, Role, identity_of
from paynotify.ops.console.installation.doctor_runs import MAX_RUN_SECONDS, DoctorRun, DoctorRuns
from paynotify.ops.console.installation.effective_configuration import (
    MAX_KEYS,
    EffectiveKey,
    installation_keys,
    merchant_keys,
)
from paynotify.ops.console.installation.keys_filter import KeysFilter
from paynotify.ops.console.installation.versions import versions
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.ops.doctor.examination import ScopedFinding
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.times import rfc3339_of

#: Merchants that a page leads to.
PAGE_MERCHANTS: Final = 50
#: The worst first.
_VERDICTS: Final = ("error", "warning", "skipped", "ok")


class InstallationPages:
    """Answers operators. Who operates some merchants only sees nothing of the others, nor of what they share."""

    def __init__(self, configuration: Configuration, runs: DoctorRuns, renderer: PageRenderer) -> None:
        self._configuration = configuration
        self._merchants = {one.id: one for one in configuration.merchants}
        self._runs = runs
        self._renderer = renderer

    def routes(self) -> tuple[ConsoleRoute, ...]:
        return (
            ConsoleRoute("/doctor", self.findings, Role.OPERATOR, "Doctor"),
            ConsoleRoute("/doctor", self.examine, Role.OPERATOR, methods=("POST",)),
            ConsoleRoute("/configuration", self.keys, Role.OPERATOR, "Configuration"),
            ConsoleRoute("/configuration/{merchant}", self.keys_of_merchant, Role.OPERATOR),
            ConsoleRoute("/versions", self.versions, Role.OPERATOR, "Versions"),
        )

    async def keys(self, request: Request) -> Response:
        """The keys that all merchants share, and the way to those of each."""
        identity, wanted = identity_of(request), KeysFilter.of(request.query_params)
        keys = list(wanted.chosen(installation_keys(self._configuration))) if _sees_all(identity) else []
        merchants = sorted(one for one in self._merchants if identity.may(Role.OPERATOR, one))
        after = wanted.first + PAGE_MERCHANTS
        return self._renderer.page(
            request, "configuration.html", merchant=None, wanted=wanted, groups=_by_section(keys[:MAX_KEYS]),
            left_out=max(0, len(keys) - MAX_KEYS), sees_all=_sees_all(identity),
            merchants=merchants[wanted.first : after], after=after if after < len(merchants) else None,
        )  # fmt: skip

    async def keys_of_merchant(self, request: Request) -> Response:
        """The keys of one merchant's section."""
        name, wanted = request.path_params["merchant"], KeysFilter.of(request.query_params)
        merchant = self._merchants.get(name)
        if merchant is None:
            raise HTTPException(404, f"There is no merchant {name!r} in the configuration.")
        keys = list(wanted.chosen(merchant_keys(merchant)))
        return self._renderer.page(
            request, "configuration.html", merchant=name, wanted=wanted, groups=[("", keys[:MAX_KEYS])] if keys else [],
            left_out=max(0, len(keys) - MAX_KEYS), sees_all=True, merchants=[], after=None,
        )  # fmt: skip

    async def findings(self, request: Request) -> Response:
        """What the doctor's newest run has found so far, the worst first."""
        run = self._runs.newest()
        return self._renderer.page(
            request, "doctor.html", run=run, findings=_worst_first(_seen(run, identity_of(request))),
            began=rfc3339_of(run.began_at) if run is not None else "", age_seconds=_age_seconds(run),
            kafka_user=self._configuration.kafka.sasl_plain_username, max_seconds=MAX_RUN_SECONDS,
        )  # fmt: skip

    async def examine(self, request: Request) -> Response:
        """Begin a run, unless one goes on or has just ended; either way its findings are what was asked for."""
        self._runs.start(identity_of(request).name)
        return RedirectResponse("/doctor", 303)

    async def versions(self, request: Request) -> Response:
        """What this process is made of, and the brokers as the doctor has found them."""
        run = self._runs.newest()
        brokers = [one.finding for one in run.findings if one.finding.about == "brokers"] if run is not None else []
        found = await run_in_threadpool(versions)
        return self._renderer.page(request, "versions.html", versions=found, brokers=brokers)


def _sees_all(identity: Identity) -> bool:
    return identity.merchants(Role.OPERATOR) is None


def _by_section(keys: Iterable[EffectiveKey]) -> list[tuple[str, list[EffectiveKey]]]:
    return [(name, list(found)) for name, found in groupby(keys, lambda one: one.path.partition(".")[0])]


def _seen(run: DoctorRun | None, identity: Identity) -> list[ScopedFinding]:
    found = run.findings if run is not None else ()
    return [one for one in found if one.merchant is None or identity.may(Role.OPERATOR, one.merchant)]


def _worst_first(findings: list[ScopedFinding]) -> list[ScopedFinding]:
    return sorted(findings, key=lambda one: _VERDICTS.index(one.finding.verdict))


def _age_seconds(run: DoctorRun | None) -> int | None:
    return None if run is None or run.ended_at is None else max(0, round(time.time() - run.ended_at))
