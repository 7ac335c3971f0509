"""Every group of the console's pages: its routes, with what they are built from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.console.actions.pages import ActionPages
from paynotify.ops.console.flow.pages import FlowPages
from paynotify.ops.console.flow.sampler import FlowSampler
from paynotify.ops.console.installation.doctor_runs import DoctorRuns
from paynotify.ops.console.installation.pages import InstallationPages
from paynotify.ops.console.lists.pages import ListPages
from paynotify.ops.console.live.fan_out import EventFanOut
from paynotify.ops.console.live.pages import LivePages
from paynotify.ops.console.payments.pages import PaymentPages
from paynotify.ops.console.queries import IndexQueries
from paynotify.ops.console.reconciliations.pages import ReconciliationPages
from paynotify.ops.console.records.pages import RecordPages
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.ops.console.search.pages import SearchPages
from paynotify.ops.console.topic_access import OpenReader
from paynotify.ops.doctor.examination import ExaminationScope, ScopedFinding, examined
from paynotify.schemas.configuration.model import Configuration


class PageGroup(Protocol):
    """Pages that belong together."""

    def routes(self) -> tuple[ConsoleRoute, ...]: ...


def page_routes(
    configuration: Configuration,
    queries: IndexQueries,
    renderer: PageRenderer,
    fan_out: EventFanOut,
    sampler: FlowSampler,
    actions: ActionPages,
    open_reader: OpenReader | None = None,
) -> tuple[ConsoleRoute, ...]:
    """The routes of all groups, in the order of the navigation. A test walks each by every role: name a new one in its
    table, too."""

    def mark() -> str:
        return fan_out.mark

    def examine() -> Iterator[ScopedFinding]:
        return examined(configuration, ExaminationScope(as_worker=False))

    opened = open_reader or (lambda: TopicReader(configuration))
    groups: tuple[PageGroup, ...] = (
        ListPages(configuration, queries, renderer, mark),
        SearchPages(configuration, queries, renderer, opened),
        PaymentPages(configuration, queries, renderer, opened, mark),
        RecordPages(configuration, renderer, opened),
        ReconciliationPages(queries, renderer),
        LivePages(configuration, fan_out, renderer),
        FlowPages(configuration, sampler, queries, renderer),
        InstallationPages(configuration, DoctorRuns(examine), renderer),
        actions,
    )
    return tuple(route for one in groups for route in one.routes())
