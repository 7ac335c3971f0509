"""The ``console`` section of the configuration."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from paynotify.schemas.configuration.console_access import ConsoleAccessSettings
from paynotify.schemas.configuration.console_api import ApiToken
from paynotify.schemas.configuration.sections import Section

#: A URL of scheme, host and port: the console's paths begin at its root.
ConsoleURL: TypeAlias = Annotated[str, Meta(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?\Z")]


class ConsoleSettings(Section, frozen=True):
    """The pages and the API of `paynotify console`."""

    access: ConsoleAccessSettings = ConsoleAccessSettings()
    """How users are known, and what each may do."""
    public_urls: Annotated[tuple[ConsoleURL, ...], Meta(max_length=20)] = ()
    """URLs under which browsers reach the console, such as `https://console.shop.example`. Requests for other hosts are
    refused, but for this machine's own names."""
    tls_certfile: str | None = None
    """PEM file of the console's certificate and those between it and its authority. Without it the console speaks plain
    HTTP, for a proxy that terminates TLS. A changed file is used for new connections without a restart."""
    tls_keyfile: str | None = None
    """PEM file of the certificate's private key, if it is not in `tls_certfile`."""
    four_eyes_above: dict[Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")], Annotated[int, Meta(ge=0)]] = msgspec.field(
        default_factory=dict
    )
    """Amounts by currency (ISO 4217), in its minor unit, above which a second person must confirm a correction,
    capture, void or charge (default: none has to). With any limit here, amounts of other currencies and amounts that
    are not known need a second person too."""
    grafana_url: Annotated[str, Meta(pattern=r"^(https?://[^\s/@?#]+(/[^\s?#]*)?)?\Z")] = ""
    """Base URL of the Grafana that has the chart's dashboards, for links from pages to them (default: no links)."""
    api_tokens: Annotated[tuple[ApiToken, ...], Meta(max_length=100)] = ()
    """The programs that may ask the API. Without one, nobody may."""

    def __post_init__(self) -> None:
        if self.tls_keyfile and not self.tls_certfile:
            raise ValueError("tls_keyfile needs tls_certfile")
