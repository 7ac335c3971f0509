"""Every exception paynotify raises on purpose, in one tree.

::

    PaynotifyError
    ├── ConfigurationError              the operator must change something; commands exit with 2
    │   ├── SecretError                 a secret can't be read
    │   ├── UnsupportedLibraryError     an installed library lacks a private name this product needs
    │   └── ClusterError                the cluster's topics are not as the configuration says
    │       └── MissingTopicsError      a topic does not exist yet; processes wait until it is created
    ├── RetryableError                  the same call may succeed later
    │   ├── ClusterUnavailableError     no broker answers, or it refuses; processes wait, commands exit with 3
    │   │   └── TokenUnavailableError   there is no valid token for the brokers
    │   ├── ProviderUnavailableError    outage, timeout, 5xx, or a response that is not the provider's own
    │   │   ├── ProviderUnreachableError    no connection: the request was certainly not sent
    │   │   └── ResponseTooLongError    the response is longer than configured
    │   ├── RateLimitedError            429: the provider asks for fewer calls
    │   ├── PartitionRevokedError       another process may own the partition
    │   └── StateUnavailableError       the local state can't be read or written
    ├── PermanentError                  the same call fails until a person changes something
    │   └── ProviderRefusedError        credentials, addresses, settings, an id the provider doesn't know
    └── InvalidInputError               the bytes themselves are wrong
        ├── RejectedNotificationError   a notification that must not cause a lookup
        │   └── UndecidedNotificationError  one that can't be judged yet; rejected once its tries are used up
        └── UnreadableError             a response or message that can't be parsed or trusted

A ``reason`` is a word of a closed list in `schemas.reasons`.
"""

from __future__ import annotations

from paynotify.schemas.reasons import DeadReason, RejectReason


class PaynotifyError(Exception):
    """Base of the tree; never raised itself."""


class ConfigurationError(PaynotifyError):
    """A setting is missing or wrong. The text is one paragraph: what is wrong, where, and what to do."""


class SecretError(ConfigurationError):
    """A secret named in the configuration can't be read. The text names its place, never its value."""


class UnsupportedLibraryError(ConfigurationError):
    """An installed library lacks a private name this product needs. The text names it and the supported versions."""


class ClusterError(ConfigurationError):
    """The Kafka cluster does not fit the configuration, for instance in a topic's number of partitions."""


class MissingTopicsError(ClusterError):
    """A topic does not exist. Somebody may create it at any time, so a process waits for it."""


class RetryableError(PaynotifyError):
    """The same call may succeed later without anybody's help."""

    reason: DeadReason = "unavailable"

    def __init__(self, detail: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class ClusterUnavailableError(RetryableError):
    """No Kafka broker answers, or the brokers refuse a request. The text says where, and what to check."""


class TokenUnavailableError(ClusterUnavailableError, OSError):
    """There is no valid token for the brokers. An OSError too: for the clients it is a connection that failed."""


class ProviderUnavailableError(RetryableError):
    """Outage, timeout, 5xx, or a response that can't be the provider's own (HTML, empty, null)."""


class ProviderUnreachableError(ProviderUnavailableError):
    """No connection could be opened, so the request was certainly not sent."""


class ResponseTooLongError(ProviderUnavailableError):
    """The response is longer than ``worker.provider_response_bytes``; one to a smaller question may not be."""


class RateLimitedError(RetryableError):
    """The provider responded with 429 or its own code for it."""

    reason: DeadReason = "rate_limited"


class PartitionRevokedError(RetryableError):
    """This process may no longer write for the partition: another owns it, or the brokers revoked it."""

    reason: DeadReason = "internal_error"


class StateUnavailableError(RetryableError):
    """The local state can't be read or written: disk full, too many open files, damaged. No record is to blame."""

    reason: DeadReason = "internal_error"


class PermanentError(PaynotifyError):
    """The same call fails until a person changes something."""

    reason: DeadReason = "refused"


class ProviderRefusedError(PermanentError):
    """The provider understood the request and refused it: credentials, allow-lists, settings, unknown ids."""

    def __init__(self, reason: DeadReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class InvalidInputError(PaynotifyError):
    """The bytes themselves are wrong; parsing them again gives the same error."""


class RejectedNotificationError(InvalidInputError):
    """A notification that must not cause a lookup.

    ``detail`` is for people. It may name a field, never a value from outside.
    """

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: RejectReason = reason


class UndecidedNotificationError(RejectedNotificationError):
    """A notification that can't be judged yet, such as one whose key is not known: it is verified again later.

    Once its tries are used up it is rejected for the reason.
    """


class UnreadableError(InvalidInputError):
    """A response or message that can't be parsed (``unreadable_answer``) or trusted (``unverified_answer``)."""

    def __init__(self, detail: str, reason: DeadReason = "unreadable_answer") -> None:
        super().__init__(detail)
        self.reason = reason
