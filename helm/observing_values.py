"""The types of the chart's values for those who watch an installation: alerts and traces."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from helm.value_types import Count, Positive, Share, ValuesSection
from paynotify.schemas.topics import RETRY_STEPS


class Alerts(ValuesSection, frozen=True, kw_only=True):
    enabled: bool
    runbook_url: Annotated[str, Meta(pattern=r"^(https://\S+)?$")] = field(name="runbookURL")
    # a window is compared with the same window of the day before
    quiet_minutes: Annotated[int, Meta(ge=1, le=1440)]
    quiet_baseline: Count
    unavailable_share: Share
    bad_signatures_per_minute: Positive
    rejected_share: Share
    # four times as long is compared with the same window of the day before
    unverified_minutes: Annotated[int, Meta(ge=1, le=360)]
    unverified_baseline: Count
    over_rate_share: Share
    fill_share: Share
    oldest_seconds: Count
    stall_seconds: Count
    # a lookup is retried at most this many times
    retry_share: Annotated[float, Meta(gt=0, le=RETRY_STEPS)]
    provider_failure_share: Share
    refused_per_hour: Positive
    overdue_share: Share
    expiry_days: Count
    undelivered_seconds: Count
    key_set_hours: Count


class Traces(ValuesSection, frozen=True, kw_only=True):
    endpoint: Annotated[str, Meta(pattern=r"^(https?://[^\s/@]+(/\S*)?)?$")]
    sampled_share: Share
