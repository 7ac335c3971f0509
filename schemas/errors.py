"""Every error paynotify raises on purpose, in one tree.

::

    PaynotifyError
    ├── ConfigurationError        the operator must change something; the command exits with 2
    │   ├── SecretError           a secret can't be read
    │   └── ClusterError          brokers or topics are not as the configuration says
    │       └── ClusterUnready    none answers, or topics are missing: they may come by themselves
    ├── Retryable                 the same work may succeed later
    │   ├── ProviderUnavailable   outage, time-out, 5xx, an answer that is no answer
    │   │   └── ProviderUnreachable   no connection: the request was certainly never sent
    │   ├── ProviderBusy          429: the provider asks for patience
    │   ├── PartitionLost         another process may hold the partition: take it again or leave it
    │   └── StateUnavailable      the local state can't be read or written
    ├── Permanent                 the same work will never succeed without a person
    │   └── ProviderRefused       credentials, addresses, settings, an id the provider doesn't know
    └── Poison                    the bytes themselves are wrong
        ├── Rejected              a notification, with a reason of the closed list
        └── Unreadable            a provider's answer that can't be trusted or understood
            └── PartlyUnreadable  one that says enough of some payments, and too little of others

``reason`` words are closed lists because they become metric labels and record headers. They never hold
text from outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from schemas.messages import Observation

RejectReason = Literal[
    "malformed",
    "unknown_merchant",
    "bad_signature",
    "missing_signature",
    "unknown_event",
    "expired_token",
    "unexpected_field",
    "over_budget",
    "too_old",
]
REJECT_REASONS: tuple[RejectReason, ...] = get_args(RejectReason)

DeadReason = Literal[
    "not_found",
    "unavailable",
    "rate_limited",
    "uncertain",
    "refused",
    "credentials",
    "expired_token",
    "unknown_merchant",
    "unreadable_lookup",
    "unreadable_expectation",
    "unreadable_request",
    "unreadable_answer",
    "unverified_answer",
    "internal_error",
]
DEAD_REASONS: tuple[DeadReason, ...] = get_args(DeadReason)


#: Why a request of a shop was refused, is uncertain, or ended otherwise than asked for.
RequestReason = Literal[
    "bad_request",
    "unknown_merchant",
    "not_enabled",
    "expired",
    "order_already_charged",
    "wrong_currency",
    "no_limit",
    "over_charge_limit",
    "over_reference_limit",
    "over_day_limit",
    "unknown_reference",
    "reference_not_usable",
    "unknown_payment",
    "not_authorised",
    "already_closing",
    "over_authorised",
    "configuration",
    "inactive_store",
    "unknown_store",
    "inactive_provider",
    "unknown_provider",
    "provider_settings",
    "parameters",
    "credentials",
    "address",
    "provider_code",
    "wrong_state",
    "unavailable",
    "no_answer",
]
REQUEST_REASONS: tuple[RequestReason, ...] = get_args(RequestReason)


class PaynotifyError(Exception):
    """Base of the tree; never raised itself."""


class ConfigurationError(PaynotifyError):
    """Something the operator set is missing or wrong. The text is one paragraph: what, where, what to do."""


class SecretError(ConfigurationError):
    """A secret named in the configuration can't be read. The text names its place, never its value."""


class ClusterError(ConfigurationError):
    """The Kafka cluster can't be reached or its topics differ from the configuration."""


class ClusterUnready(ClusterError):
    """What may come without anybody changing the configuration: brokers that answer, rights, and missing topics."""


class Retryable(PaynotifyError):
    """The same work may succeed later without anybody's help."""

    reason: DeadReason = "unavailable"

    def __init__(self, detail: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class ProviderUnavailable(Retryable):
    """Outage, time-out, 5xx, or an answer that can't be the provider's own (HTML, empty, null)."""


class ProviderUnreachable(ProviderUnavailable):
    """No connection could be opened, so the request was certainly never sent."""


class ProviderBusy(Retryable):
    """The provider answered 429 or its own word for it."""

    reason: DeadReason = "rate_limited"


class PartitionLost(Retryable):
    """This process may no longer write for the partition: another has taken it, or the brokers ended its turn."""

    reason: DeadReason = "internal_error"


class StateUnavailable(Retryable):
    """The local state can't be read or written: disk full, too many open files, damaged. No record is to blame."""

    reason: DeadReason = "internal_error"


class Permanent(PaynotifyError):
    """The same work will never succeed until a person changes something."""

    reason: DeadReason = "refused"


class ProviderRefused(Permanent):
    """The provider understood and refused: credentials, allow-lists, settings, unknown ids."""

    def __init__(self, reason: DeadReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Poison(PaynotifyError):
    """The bytes themselves are wrong; repeating the work gives the same error."""


class Rejected(Poison):
    """A notification that must not cause a lookup.

    ``detail`` is for people and may name a field, never a value from outside.
    """

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: RejectReason = reason


class Unreadable(Poison):
    """A provider's answer that can't be understood (``unreadable_answer``) or trusted (``unverified_answer``)."""

    def __init__(self, detail: str, reason: DeadReason = "unreadable_answer") -> None:
        super().__init__(detail)
        self.reason = reason


class PartlyUnreadable(Unreadable):
    """What one answer says of many payments can't be read for some of them: the others are not to wait for that.

    ``observations`` are those of the payments about which everything could be read.
    """

    def __init__(self, detail: str, observations: tuple[Observation, ...]) -> None:
        super().__init__(detail)
        self.observations = observations
