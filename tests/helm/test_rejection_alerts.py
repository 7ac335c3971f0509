"""The alerts on rejected notifications, tested with promtool for each reason of the closed list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from paynotify.schemas.reasons import REJECT_REASONS, RejectReason
from tests.helm.test_chart_alerts import promtool, rules

#: The provider whose genuine notifications can be rejected for the reason.
PROVIDERS: Final[dict[RejectReason, str]] = {
    "malformed": "nevogate",
    "unknown_merchant": "omnikassa",
    "bad_signature": "trustpayments",
    "missing_signature": "trustpayments",
    "unknown_event": "omnikassa",
    "expired_token": "omnikassa",
    "unexpected_field": "trustpayments",
    "over_budget": "nevogate",
    "too_old": "omnikassa",
    "algorithm": "smartpay",
    "unknown_key": "smartpay",
    "mismatch": "smartpay",
    "stale": "smartpay",
}
#: Reasons for which anybody who knows the URL can have calls rejected, beside those of a budget that is used up.
STRANGERS: Final = frozenset({"malformed", "bad_signature", "missing_signature", "algorithm", "unknown_key"})

_STEP_MINUTES: Final = 5
_STEPS_A_DAY: Final = 24 * 60 // _STEP_MINUTES
#: When the alerts are looked at, in minutes of the second day.
_SOON, _LATER = 75, 180
_REJECTED, _NOTHING = "PaynotifyNotificationsRejected", "PaynotifyNothingVerified"


class Case(NamedTuple):
    """What a provider's notifications come to, by five minutes: ``before`` on the first day, ``after`` on the second.

    Each pair is of verified and rejected ones. ``share`` is what PaynotifyNotificationsRejected says on the second day,
    empty if it stays silent; PaynotifyNothingVerified fires from the minute ``nothing_from`` on, if at all.
    """

    name: str
    before: tuple[float, float]
    after: tuple[float, float]
    share: str
    nothing_from: int | None = None

    def provider(self, reason: RejectReason) -> str:
        """A provider of its own for each case, so that one test can have all of them."""
        return f"{PROVIDERS[reason]}: {reason}, {self.name}"

    def series(self, reason: RejectReason) -> Iterator[dict[str, str]]:
        """The counters of the ingress and of verify."""
        labels = f'namespace="payments", provider="{self.provider(reason)}"'
        verify = f'paynotify_stage_outcomes_total{{{labels}, stage="verify", '
        for name, before, after in (
            (f"paynotify_ingest_stored_total{{{labels}}}", sum(self.before), sum(self.after)),
            (f'{verify}outcome="lookup", reason=""}}', self.before[0], self.after[0]),
            (f'{verify}outcome="rejected", reason="{reason}"}}', self.before[1], self.after[1]),
        ):
            then = before * _STEPS_A_DAY
            yield {"series": name, "values": f"0+{before:g}x{_STEPS_A_DAY} {then + after:g}+{after:g}x{_STEPS_A_DAY}"}


def cases_of(reason: RejectReason) -> tuple[Case, ...]:
    """Faults of the provider or of the configuration, then what must be told apart from them."""
    alone = "" if reason == "over_budget" else "100%"
    # nobody but the provider can cause the others
    flood = "" if reason == "over_budget" or reason in STRANGERS else "91.74%"
    return (
        Case("all rejected", (50, 0), (0, 50), alone, nothing_from=_SOON),
        Case("all of three an hour rejected", (0.25, 0), (0, 0.25), alone, nothing_from=_LATER),
        Case("one merchant of three rejected", (60, 0), (40, 20), alone and "33.33%"),
        Case("one now and then", (50, 1), (50, 1), ""),
        Case("a flood beside as many verified as ever", (50, 0), (45, 500), flood),
        # nobody can tell whose calls they are, so it is a warning
        Case("a stranger at a time when nobody pays", (0, 0), (0, 10), alone),
    )


def test_rejection_alerts_for_each_reason(tmp_path: Path) -> None:
    tested = [rule for rule in rules() if rule["alert"] in (_REJECTED, _NOTHING)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": tested}]}), "utf-8")
    cases = [(case, reason) for reason in REJECT_REASONS for case in cases_of(reason)]
    test = {
        "name": "two days",
        "interval": f"{_STEP_MINUTES}m",
        "input_series": [series for case, reason in cases for series in case.series(reason)],
        "alert_rule_test": [check for minute in (0, _SOON, _LATER) for check in _checks(cases, minute)],
    }
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": "15m", "tests": [test]}
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(content), "utf-8")
    promtool(tmp_path, "test", "rules", "cases.yaml")


def test_rejection_alerts_are_tested_for_the_whole_list() -> None:
    assert set(PROVIDERS) == set(REJECT_REASONS)


def test_rejection_alert_knows_what_strangers_can_cause() -> None:
    (rule,) = [rule for rule in rules() if rule["alert"] == _REJECTED]
    lists = {tuple(found.split("|")) for found in re.findall(r'reason!~"([^"]+)"', rule["expr"])}
    assert {frozenset(words) for words in lists} == {frozenset({"over_budget"}), STRANGERS | {"over_budget"}}
    assert set().union(*lists) <= set(REJECT_REASONS)


def _checks(cases: Sequence[tuple[Case, RejectReason]], minute: int) -> Iterator[dict[str, Any]]:
    rejected, nothing = [], []
    for case, reason in cases if minute else ():
        provider = case.provider(reason)
        if case.share:
            summary = f"{case.share} of the notifications of {provider} are rejected, most of them as {reason}"
            rejected.append(_alert(_REJECTED, "warning", provider, summary))
        if case.nothing_from is not None and minute >= case.nothing_from:
            summary = f"Notifications of {provider} are stored, but none has been verified for 30 minutes or more"
            nothing.append(_alert(_NOTHING, "critical", provider, summary))
    for alert, expected in ((_REJECTED, rejected), (_NOTHING, nothing)):
        yield {"eval_time": f"{24 * 60 + minute}m", "alertname": alert, "exp_alerts": expected}


def _alert(alert: str, severity: str, provider: str, summary: str) -> dict[str, Any]:
    annotations = {"summary": summary, "runbook_url": f"https://runbooks.shop.example/paynotify/{alert}.md"}
    return {"exp_labels": {"severity": severity, "provider": provider}, "exp_annotations": annotations}
