"""Which requests each rule of a site tells of, and which methods the gateway itself reports once they are settled.

Sources: the gateway's pages on URL notifications (one notification for each request; the nightly batch is none), its
pages on single bank methods, and the custom rule that merchants add for refunds and settlement.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from paynotify.sandbox.simulators.trustpayments.query import GatewayRecord
from paynotify.sandbox.simulators.trustpayments.settings import Rule

#: The gateway submits a notification once these have settled. It does not for others, such as SOFORT.
TOLD_WHEN_SETTLED: Final = frozenset({"ALIPAY", "ATA", "PAYBYBANK", "SAFETYPAY", "TRUSTLY"})


@dataclass(frozen=True, slots=True)
class RuleConditions:
    """What a rule selects: request types, and either the result of the request or the settle status it changes to."""

    requests: Collection[str]
    successful: bool | None = None
    settlestatuses: Collection[str] | None = None

    def tells_of_request(self, record: GatewayRecord) -> bool:
        """Whether it fires when the request is processed."""
        if self.successful is not None and self.successful != (record["errorcode"] == "0"):
            return False
        return record["requesttypedescription"] in self.requests and self._selects(record)

    def tells_of_settlement(self, record: GatewayRecord) -> bool:
        """Whether it fires when the settle status has changed later."""
        if record["requesttypedescription"] not in self.requests:
            return False
        if self.settlestatuses is not None:
            return self._selects(record)
        told = record["requesttypedescription"] == "AUTH" and record["paymenttypedescription"] in TOLD_WHEN_SETTLED
        return told and self.successful is not False

    def _selects(self, record: GatewayRecord) -> bool:
        return self.settlestatuses is None or record["settlestatus"] in self.settlestatuses


RULES: Final[Mapping[Rule, RuleConditions]] = {
    "STR-8": RuleConditions({"AUTH"}, successful=True),
    "STR-9": RuleConditions({"AUTH"}, successful=False),
    "STR-10": RuleConditions({"AUTH"}),
    "UDR-1": RuleConditions({"REFUND", "CHARGEBACK", "ACCOUNTCHECK"}),
    "UDR-2": RuleConditions({"AUTH", "REFUND", "CHARGEBACK"}, settlestatuses={"2", "3", "100"}),
}
