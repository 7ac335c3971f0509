"""Which page of the console answers an alert or a panel: its path, with its filters.

Places in braces are labels of the alert or of the series: alerts, panels and the runbook write them each in their own
way. ``{window}`` is the time that is looked at. A test reads each link with the console's own filters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

#: The address of a console that somebody has forwarded to their own machine.
LOCAL_URL: Final = "http://127.0.0.1:8090"

#: Without the provider: some dead letters are of stages that serve all of them, which no filter names.
DEAD: Final = "/dead?{window}"
OVERDUE: Final = "/overdue?provider={provider}"
FLOW: Final = "/flow"
REJECTED: Final = "/rejected?provider={provider}&{window}"
SILENT: Final = "/silent?provider={provider}"
UNCERTAIN: Final = "/requests?state=uncertain"
UNKNOWN: Final = "/payments?provider={provider}&status=unknown&fulfilment=hold"
MONEY_TAKEN_BACK: Final = "/cases?provider={provider}&kind=money_taken_back&{window}"
MONEY_RETURNED: Final = "/cases?provider={provider}&kind=money_returned&{window}"
OVER_REFUNDED: Final = "/cases?provider={provider}&kind=over_refunded&{window}"
UNSETTLED: Final = "/payments?provider={provider}&status=authorised"

#: Of the alerts that a page answers. The others are about what the console cannot see: ingress, brokers, credentials.
OF_ALERTS: Final[Mapping[str, str]] = {
    "PaynotifyBadSignatures": f"{REJECTED}&reason=bad_signature&reason=unknown_key&reason=algorithm",
    "PaynotifyNotificationsRejected": REJECTED,
    "PaynotifyNothingVerified": REJECTED,
    "PaynotifyLagging": FLOW,
    "PaynotifyStageNotRunning": FLOW,
    "PaynotifyPartitionStalled": FLOW,
    "PaynotifyStageHalted": FLOW,
    "PaynotifyRetriesGrowing": FLOW,
    "PaynotifyProviderFailing": FLOW,
    "PaynotifyCircuitOpen": FLOW,
    "PaynotifyDeadLetters": f"{DEAD}&reason={{reason}}",
    "PaynotifyUnexpectedErrors": "/dead?reason=internal_error&{window}",
    "PaynotifyRefusedTransitions": MONEY_TAKEN_BACK,
    "PaynotifyAmountsContradictory": "/payments?provider={provider}&fulfilment=hold&{window}",
    "PaynotifyMoneyReturned": MONEY_RETURNED,
    "PaynotifyOverRefunded": OVER_REFUNDED,
    "PaynotifyPaymentsOverdue": OVERDUE,
    "PaynotifySettlementsLate": f"{OVERDUE}&reason=settlement",
    "PaynotifySettlementsGivenUp": UNSETTLED,
    "PaynotifyProviderSilent": SILENT,
    "PaynotifyRequestsUncertain": UNCERTAIN,
}

_GAP: Final = re.compile(r"\{(\w+)\}")
_ALERT_WINDOW: Final = "since=24h"
_PANEL_WINDOW: Final = "since=${__from:date:iso}&until=${__to:date:iso}"


def of_alert(name: str) -> str:
    """The link of one of `OF_ALERTS` as an annotation of Prometheus has it, after the console's URL."""
    return _filled(OF_ALERTS[name], _ALERT_WINDOW, lambda label: f"{{{{ $labels.{label} }}}}")


def of_panel(link: str) -> str:
    """The link as a panel of Grafana has it. It leads to the time that the dashboard shows."""
    return "${console:raw}" + _filled(link, _PANEL_WINDOW, lambda label: f"${{__field.labels.{label}}}")


def of_runbook(name: str) -> str | None:
    """The link as the alert's page of the runbook has it, with what to fill in in capitals; None without a link."""
    link = OF_ALERTS.get(name)
    return _filled(link, _ALERT_WINDOW, str.upper) if link is not None else None


def _filled(link: str, window: str, label: Callable[[str], str]) -> str:
    return _GAP.sub(lambda gap: window if gap[1] == "window" else label(gap[1]), link)
