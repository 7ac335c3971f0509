"""Every group of the console's pages: its routes, with what they are built from."""

from __future__ import annotations

from paynotify.ops.console.live.fan_out import EventFanOut
from paynotify.ops.console.live.pages import LivePages
from paynotify.ops.console.pages import PaymentPages
from paynotify.ops.console.queries import IndexQueries
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.schemas.configuration.model import Configuration


def page_routes(
    configuration: Configuration, queries: IndexQueries, renderer: PageRenderer, fan_out: EventFanOut
) -> tuple[ConsoleRoute, ...]:
    """The routes of all groups. A test walks each by every role: name a new one in its table, too."""
    payments = PaymentPages(configuration, queries, renderer, mark=lambda: fan_out.mark)
    return (*payments.routes(), *LivePages(configuration, fan_out, renderer).routes())
