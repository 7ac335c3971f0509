"""Every error paynotify raises on purpose, in one tree.

::

    PaynotifyError
    ├── ConfigurationError        the operator must change something; the command exits with 2
    │   ├── SecretError           a secret can't be read
    │   └── ClusterError          the cluster's topics are not as the configuration says
    │       └── TopicsMissing     a topic does not exist yet; processes wait until it is created
    ├── Retryable                 the same work may succeed later
    │   ├── ClusterUnavailable    no broker answers, or it refuses; processes wait, commands exit with 3
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

``reason`` is a word of a closed list in `schemas.reasons`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.reasons import DeadReason, RejectReason

if TYPE_CHECKING:
    from schemas.messages import Observation


class PaynotifyError(Exception):
    """Base of the tree; never raised itself."""


class ConfigurationError(PaynotifyError):
    """Something the operator set is missing or wrong. The text is one paragraph: what, where, what to do."""


class SecretError(ConfigurationError):
    """A secret named in the configuration can't be read. The text names its place, never its value."""


class ClusterError(ConfigurationError):
    """The Kafka cluster does not fit the configuration, for instance in a topic's number of partitions."""


class TopicsMissing(ClusterError):
    """A topic does not exist. Somebody may create it at any time, so a process waits for it."""


class Retryable(PaynotifyError):
    """The same work may succeed later without anybody's help."""

    reason: DeadReason = "unavailable"

    def __init__(self, detail: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class ClusterUnavailable(Retryable):
    """No Kafka broker answers, or the brokers refuse a request. The text says where, and what to check."""


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
