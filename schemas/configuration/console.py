"""The ``console`` section of the configuration."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from paynotify.schemas.configuration.console_api import ApiToken
from paynotify.schemas.configuration.sections import Section


class ConsoleSettings(Section, frozen=True):
    """The pages and the API of `paynotify console`."""

    grafana_url: Annotated[str, Meta(pattern=r"^(https?://[^\s/@?#]+(/[^\s?#]*)?)?\Z")] = ""
    """Base URL of the Grafana that has the chart's dashboards, for links from pages to them (default: no links)."""
    api_tokens: Annotated[tuple[ApiToken, ...], Meta(max_length=100)] = ()
    """The programs that may ask the API. Without one, nobody may."""
