"""A re-split notification really carries the genuine hash: otherwise the attack would prove nothing."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from paynotify.sandbox.attacker import resplit
from paynotify.sandbox.simulators.trustpayments.signature import security_hash

PASSWORD = "word"


def test_attacker_resplit_decline_keeps_its_hash_and_says_paid() -> None:
    fields = {
        "baseamount": "1000",
        "errorcode": "70000",
        "orderreference": "O1",
        "settlestatus": "3",
        "sitereference": "test_site",
        "transactionreference": "1-2-3",
        "notificationreference": "1-A1",
    }
    fields["responsesitesecurity"] = security_hash(fields, PASSWORD)
    attacks = resplit({"path": "/notifications/trustpayments/shop", "body": urlencode(fields)})
    assert len(attacks) == 2
    for attack in attacks:
        altered = dict(parse_qsl(attack.body.decode()))
        assert altered["errorcode"] == "0"
        assert security_hash(altered, PASSWORD) == altered["responsesitesecurity"] == fields["responsesitesecurity"]
