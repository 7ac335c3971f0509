"""The ``ingest`` section of the configuration: the limits of the HTTP ingress."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from paynotify.schemas.configuration.sections import Count, Network, Positive, Section

#: By which header trusted proxies pass the caller's address on.
ForwardedHeader: TypeAlias = Literal["x-forwarded-for", "forwarded"]


#: A base URL of the ingress.
PublicURL: TypeAlias = Annotated[str, Meta(pattern=r"^https?://[^\s/@?#]+(/[^\s?#]*)?\Z")]


class IngestSettings(Section, frozen=True):
    """Limits of the HTTP ingress."""

    # with its headers a body must fit into a record of Kafka's default size
    max_body_bytes: Annotated[int, Meta(ge=1, le=1_000_000)] = 64 * 1024
    """Longer bodies are refused with 413."""
    max_header_bytes: Count = 16 * 1024
    """Longer request heads are refused with 431."""
    max_in_flight: Count = 5_000
    """Notifications in memory at once, from a body's first byte to the brokers' acknowledgement. Others get 503."""
    publish_timeout_seconds: Positive = 5.0
    """A notification that the brokers have not acknowledged by then gets 503."""
    body_deadline_seconds: Positive = 10.0
    """A head or body that takes longer gets 408."""
    keep_alive_seconds: Annotated[float, Meta(ge=1, le=3600)] = 75.0
    """How long a connection without a call stays open. It must be longer than your proxy or balancer keeps it."""
    rate_per_second: Positive = 500.0
    """Calls per second on each merchant's route, on average. Calls beyond the rate and burst get 429. A call of more
    than 4 KiB counts as one for each 4 KiB: with the topics' `retention_bytes` it bounds what a flood can do."""
    burst: Count = 20_000
    """Calls that each merchant's route accepts at once after a quiet time."""
    address_rate_per_second: Positive | None = None
    """Calls per second of each caller's address, for all merchants together. Not set by default: behind a proxy that
    `trusted_proxies` does not name, all calls come from one address, and genuine ones would be refused."""
    address_burst: Count = 2_000
    """Calls that each address may make at once after a quiet time."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks (CIDR) of the proxies in front, whose word on a caller's address is believed. By default nobody's is."""
    forwarded_header: ForwardedHeader = "x-forwarded-for"
    """The header in which trusted proxies pass the caller's address on. The other one is never read."""
    proxy_protocol: bool = False
    """Connections of trusted proxies begin with a header of the PROXY protocol, version 2. Others are closed."""
    public_urls: tuple[PublicURL, ...] = ()
    """URLs under which providers reach the ingress, such as `https://hooks.shop.example`. Only `paynotify doctor` reads
    them, which warns if calls can come without TLS."""
    tls_certfile: str | None = None
    """PEM file of the ingress's certificate and those between it and its authority. Without it the ingress speaks plain
    HTTP, for a proxy that terminates TLS. A changed file is used for new connections without a restart."""
    tls_keyfile: str | None = None
    """PEM file of the certificate's private key, if it is not in `tls_certfile`."""
    retry_after_seconds: Count = 5
    """The `Retry-After` header of responses 429 and 503."""
    drain_seconds: Positive = 20.0
    """How long requests in progress may take after SIGTERM."""

    def __post_init__(self) -> None:
        if self.tls_keyfile and not self.tls_certfile:
            raise ValueError("tls_keyfile needs tls_certfile")
