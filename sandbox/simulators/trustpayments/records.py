"""The gateway's records as TRANSACTIONQUERY returns them: all scalars are strings, and absent rather than null."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date, timedelta

from paynotify.sandbox.simulators.trustpayments.query import GatewayRecord
from paynotify.sandbox.simulators.trustpayments.responses import MESSAGES
from paynotify.sandbox.simulators.trustpayments.settings import (
    DynamicConversion,
    TrustPaymentsPayment,
    TrustPaymentsShop,
)
from paynotify.sandbox.simulators.trustpayments.truth import UNCERTAIN


def base_record(
    shop: TrustPaymentsShop, reference: str, kind: str, amount: int, chance: random.Random, started: str
) -> GatewayRecord:
    """A request that was accepted just now and is to settle with the next batch."""
    return {
        "requesttypedescription": kind,
        "transactionreference": reference,
        "sitereference": shop.site_reference,
        "errorcode": "0",
        "errormessage": "Ok",
        "settlestatus": "0",
        "baseamount": str(amount),
        "settlebaseamount": str(amount),
        "accounttypedescription": "ECOM",
        "paymenttypedescription": "VISA",
        "authmethod": "FINAL",
        "settleduedate": started[:10],
        "transactionstartedtimestamp": started,
        "interface": "PASS-JSON-JSON",
        "acquirerresponsecode": "00",
        "authcode": "TEST" + str(chance.randrange(10, 99)),
        "livestatus": "0",
        "maskedpan": "400000######1000",
        "expirydate": "12/2031",
        "issuer": "TEST ISSUER",
        "issuercountryiso2a": "ZZ",
        "merchantname": "Sandbox",
        "merchantcountryiso2a": "GB",
        "merchantnumber": "00000000",
        "operatorname": shop.username,
        "tid": "27880001",
        "dccenabled": "0",
        "splitfinalnumber": "1",
        "securityresponseaddress": "2",
        "securityresponsepostcode": "2",
        "securityresponsesecuritycode": "2",
        "requestreference": "A" + chance.randbytes(4).hex(),
        **shop.custom_fields,
    }


def opened(record: GatewayRecord, new: TrustPaymentsPayment) -> GatewayRecord:
    """The record of a payment that the control API has opened."""
    accepted = new.errorcode in {"0", *UNCERTAIN}
    record |= {
        "orderreference": new.order_id,
        "currencyiso3a": new.currency,
        "errorcode": new.errorcode,
        "errormessage": MESSAGES.get(new.errorcode, "Other"),
        "settlestatus": new.settlestatus or ("0" if accepted else "3"),
        "paymenttypedescription": new.payment_type,
        "settlebaseamount": str(new.settles or new.amount),
    }
    if new.started_at is not None:
        record |= {"transactionstartedtimestamp": new.started_at, "settleduedate": new.started_at[:10]}
    due = date.fromisoformat(record["settleduedate"]) + timedelta(days=new.settles_in_days)
    record["settleduedate"] = due.isoformat()
    if new.errorcode != "0":
        record |= {"authcode": "", "acquirerresponsecode": "05"}
    if new.request == "CFT":
        record |= {"requesttypedescription": "REFUND", "accounttypedescription": "CFT"}
    if new.pre_authorised:
        record["authmethod"] = "PRE"
    if new.shipments > 1:
        record |= {"authmethod": "SPLIT", "splitfinalnumber": str(new.shipments)}
    if new.subscription:
        record |= {"subscriptionnumber": "1", "subscriptiontype": "RECURRING"}
    return converted(record, new.conversion)


def converted(record: GatewayRecord, conversion: DynamicConversion | None) -> GatewayRecord:
    """With the merchant's amount as the conversion's pair, and the customer's in its place."""
    if conversion is None:
        return record
    pair = {"dccenabled": "1", "dcccurrencyiso3a": record["currencyiso3a"], "dccbaseamount": record["baseamount"]}
    customer = str(conversion.amount)
    return (
        record
        | pair
        | {
            "currencyiso3a": conversion.currency,
            "baseamount": customer,
            "settlebaseamount": customer,
        }
    )


def child_of(parent: GatewayRecord, record: GatewayRecord, changes: Mapping[str, str]) -> GatewayRecord:
    """A child, which inherits its parent's order, method and currency; a converted one at the original rate."""
    pair = parent.get("dccbaseamount")
    record |= {
        "parenttransactionreference": parent["transactionreference"],
        "orderreference": parent["orderreference"],
        "paymenttypedescription": parent["paymenttypedescription"],
        "currencyiso3a": parent["dcccurrencyiso3a"] if pair else parent["currencyiso3a"],
        **changes,
    }
    if not pair:
        return record
    amount = round(int(record["baseamount"]) * int(parent["baseamount"]) / int(pair))
    return converted(record, DynamicConversion(currency=parent["currencyiso3a"], amount=max(1, amount)))
