"""A merchant's section of the configuration: what the sections of all providers have in common.

Each provider's contract defines its own section on top of `Merchant` (`schemas.providers`). Secrets are references
(`schemas.configuration.secrets`). `schemas.configuration.rules` checks rules across keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Meta

from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.configuration.sections import MAX_POLLS, Count, Network, Positive, Section
from paynotify.schemas.times import parse_time

# not $, which would let a line break at the end pass into keys and headers
MerchantId: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Secrets: TypeAlias = Annotated[tuple[SecretRef, ...], Meta(min_length=1)]


class Merchant(Section, frozen=True, kw_only=True):
    """One shop account at one provider. A provider's section subclasses it with the provider's name as its tag."""

    id: MerchantId
    """The merchant's name in keys, topics and URLs. It can't be changed later."""
    url_tokens: tuple[SecretRef, ...] = ()
    """Tokens of which one must end the merchant's URL (`/TOKEN` or `?token=TOKEN`), if any are set."""
    callers: tuple[Network, ...] = ()
    """Networks (CIDR) from which the provider calls this merchant's URL. Calls from others get 403. By default all may
    call. Behind a proxy it needs `ingest.trusted_proxies`."""
    expected: Literal["optional", "required"] = "optional"
    """`required`: goods are released only for payments that the shop registered on `payments.expected`."""
    release_on: Literal["captured", "authorised"] = "captured"
    """`authorised`: goods may also be released before the money is captured, where the provider's rules allow it."""

    def base_urls(self) -> Mapping[str, str]:
        """The URLs that calls to the provider go to, by the key that configures them."""
        raise NotImplementedError

    def same_payments(self) -> tuple[str, str] | None:
        """Provider and id of the merchant that these payments are also told of as; None where they are only its own."""
        return None

    def personal_fields(self) -> tuple[str, ...]:
        """The fields with personal data that this section asks the provider for."""
        return ()

    def accepts_unsigned(self) -> bool:
        """Whether notifications without a signature are accepted, where the provider's are signed as a rule."""
        return False

    def signature_secrets(self) -> tuple[SecretRef, ...]:
        """The secrets that signatures of notifications and responses are verified with."""
        return ()

    def expiring_tokens(self) -> tuple[SecretRef, ...]:
        """The secrets that are tokens with an expiry time of their own."""
        return ()

    def secret_references(self) -> Iterator[tuple[str, SecretRef]]:
        """Every secret of the section with the key that configures it."""
        for key in self.__struct_fields__:
            value = getattr(self, key)
            for one in value if isinstance(value, tuple) else (value,):
                if isinstance(one, SecretRef):
                    yield key, one


class ChargeLimits(Section, frozen=True):
    """Limits of charges in one currency, in its minor unit."""

    per_charge: Count
    """Limit of one charge."""
    per_reference: Count
    """Limit of all charges of one initial payment within 30 days."""
    per_day: Count
    """Limit of all the merchant's charges within a day (UTC)."""


class Charges(Section, frozen=True):
    """Lets the shop charge, capture and release by topic. Without this section every such request is refused."""

    public_url: str
    """URL at which the provider reaches the ingress from outside, without `/notifications`."""
    limits: Annotated[dict[Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")], ChargeLimits], Meta(min_length=1)]
    """Limits of charges by currency (ISO 4217). Charges in other currencies are refused."""
    call_timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 30.0
    """Timeout of one call that moves money."""
    close_settles_seconds: Annotated[float, Meta(gt=0, le=3600)] = 600.0
    """How long a Close may be in progress at the provider after its response was lost. It is repeated afterwards."""
    poll_schedule_seconds: tuple[Positive, ...] = (5.0, 30.0, 300.0, 900.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
    """Times after a call without a readable response at which its result is polled."""
    expires_seconds: Positive = 24 * 3600.0
    """A request that was not started within this time is refused."""

    def __post_init__(self) -> None:
        if not 0 < len(self.poll_schedule_seconds) <= MAX_POLLS or list(self.poll_schedule_seconds) != sorted(
            self.poll_schedule_seconds
        ):
            raise ValueError(f"poll_schedule_seconds must be 1 to {MAX_POLLS} times, each after the one before")


class ShortDays(Section, frozen=True):
    """Short days of a simulated provider: each lasts so many seconds, and the first begins at ``starts_at``."""

    starts_at: str
    """When the simulator's first day began (RFC 3339). It has the date of that time."""
    seconds: Positive
    """How long a day lasts."""

    def __post_init__(self) -> None:
        self.first_day()

    def first_day(self) -> datetime:
        """When the first day began.

        Raises:
            ValueError: the text is not a time.
        """
        began = parse_time(self.starts_at)
        if began is None:
            raise ValueError("starts_at must be a time such as 2026-11-22T10:00:00Z")
        return began


class FollowedMerchant(Merchant, frozen=True, kw_only=True):
    """A merchant of a provider that changes payments without a notification, so that they are looked at daily."""

    settlement_check_hour: Annotated[int, Meta(ge=0, le=23)] = 8
    """Hour of the day, in `time_zone`, at which payments that are not settled yet are looked up."""
    time_zone: str = "UTC"
    """Time zone of `settlement_check_hour`, such as `Europe/Budapest`."""
    short_days: ShortDays | None = None
    """In a sandbox: the days of the simulated provider, instead of those of `time_zone`."""

    def __post_init__(self) -> None:
        try:
            self.zone()
        except (KeyError, ValueError, OSError):  # an unknown name, one that is a path, one that is a folder
            raise ValueError("time_zone must be a name such as Europe/Budapest") from None

    def zone(self) -> tzinfo:
        """The time zone."""
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)


class ChargingMerchant(FollowedMerchant, frozen=True, kw_only=True):
    """A merchant of a provider that charges without the customer (merchant-initiated charges)."""

    charges: Charges | None = None
    """Settings of merchant-initiated charges."""


def provider_of(merchant: Merchant) -> str:
    """The provider's name in routes and topics."""
    return str(merchant.__struct_config__.tag)


def charges_of(merchant: Merchant) -> Charges | None:
    """The merchant's settings for charges; None where the provider can't charge or the shop may not."""
    return merchant.charges if isinstance(merchant, ChargingMerchant) else None
