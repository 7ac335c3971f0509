"""What a message is to the contract documents, and the messages for readers and writers outside of paynotify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from paynotify.schemas import messages
from paynotify.schemas.generate.record_headers import CLOUD_EVENT, JSON_VALUE
from paynotify.schemas.messages import event_types


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicMessage:
    """One kind of record. ``value`` is the type of its JSON; None of raw bytes, of which ``form`` may say more.

    ``key`` is the record's key, with the value's fields in braces; ``key_meaning`` says what else it can be.
    """

    name: str
    title: str
    summary: str
    description: str
    key: str
    key_meaning: str = ""
    event_types: tuple[str, ...] = ()
    value: type[Any] | None = None
    form: Mapping[str, Any] | None = None
    content_type: str = "application/json"
    required_headers: tuple[str, ...] = CLOUD_EVENT
    optional_headers: tuple[str, ...] = ("traceparent",)

    @property
    def key_in_words(self) -> str:
        """The key, and what else it can be."""
        return "; ".join(part for part in (f"`{self.key}`" if self.key else "", self.key_meaning) if part)

    @property
    def further_headers(self) -> tuple[str, ...]:
        """The headers that a record may have: of one with a JSON value, those that say so, too."""
        describes_itself = self.value is not None and "ce_type" in (*self.required_headers, *self.optional_headers)
        return (*(JSON_VALUE if describes_itself else ()), *self.optional_headers)


_APPLY_ONCE: Final = """
Apply each `event_id` once: a repeat after a crash is byte-identical and has the same id. Ignore fields that you don't
know, and headers too."""

PAYMENT_STATUS_CHANGED: Final = TopicMessage(
    name="PaymentStatusChanged",
    title="Payment status changed",
    summary="The newest state of one payment, and whether its goods may be sent.",
    description=f"""\
One event for each change of a payment.

- **Warehouses act on `fulfilment`**, not on `status`: `release` sends the goods of an `order_id` once, `hold` waits,
  `stop` does not send, or recalls.
- `sequence` counts the payment's events from 1 without gaps. A gap means that you skipped a record.
- Amounts are integers in the currency's minor unit: 1050 GBP is ten pounds fifty.
- `final` says that no later change is expected, although a refund or a late success may follow.
{_APPLY_ONCE}""",
    key="{merchant}/{payment_id}",
    event_types=(event_types.STATUS_CHANGED,),
    value=messages.PaymentStatus,
)

PAYMENT_FORGOTTEN: Final = TopicMessage(
    name="PaymentForgotten",
    title="Payment forgotten",
    summary="The payment was forgotten: a record without a value (a tombstone), which compaction follows.",
    description="""\
It comes after `worker.retention.delete_after_days` without a change, or by `paynotify forget`. Delete what you keep of
the payment and need no longer. If the provider reports the payment again, an event follows.""",
    key="{merchant}/{payment_id}",
    event_types=(event_types.PAYMENT_FORGOTTEN,),
    form={"type": "null"},
    content_type="application/octet-stream",
    required_headers=("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject"),
    optional_headers=(),
)

PAYMENT_OVERDUE: Final = TopicMessage(
    name="PaymentOverdue",
    title="Order overdue",
    summary="An expected order is not paid, declined or otherwise final in time, or is no longer overdue.",
    description=f"""\
`raised` and `cleared` of one order always take turns. `reason` is `settlement` if the payment is authorised and only
the provider's settlement is late; it is absent otherwise. Of a reason that you don't know, look at `status`.
{_APPLY_ONCE}""",
    key="{merchant}/{order_id}",
    event_types=(event_types.PAYMENT_OVERDUE,),
    value=messages.OverduePayment,
)

REQUEST_PROGRESSED: Final = TopicMessage(
    name="RequestProgressed",
    title="Request progressed",
    summary="What became of a shop's request to charge, capture or release.",
    description=f"""\
| `state` | meaning |
| --- | --- |
| `received` | accepted, not started |
| `started` | money may move from now on |
| `uncertain` | the gateway's response was lost or unclear; wait, and do not request again under another id |
| `done` | finished; `status` is the payment's status |
| `refused` | no money moved; `reason` says why |
{_APPLY_ONCE}""",
    key="{merchant}/{request_id}",
    event_types=(event_types.REQUEST_ANSWERED,),
    value=messages.PaymentRequest,
)

PROVIDER_SILENT: Final = TopicMessage(
    name="ProviderSilent",
    title="Provider silent",
    summary="A provider reports none of the orders that are expected of it, or reports again.",
    description=f"""\
`merchant` is set if the provider reports other merchants' orders and none of this one's. `urgent` means so many missed
orders within a few hours that a person should be paged.
{_APPLY_ONCE}""",
    key="{provider}",
    event_types=(event_types.PROVIDER_SILENT,),
    value=messages.ProviderSilent,
)

CASE_NOTICED: Final = TopicMessage(
    name="CaseNoticed",
    title="Case for a person",
    summary="Something that a person who runs paynotify has to know of.",
    description=f"""\
One event for each case: open a ticket for it. It holds no text from outside and no personal data. `cause` is the id of
what it was noticed at. Fields that do not apply are absent. A `kind` that you don't know is a case for a person too.
{_APPLY_ONCE}""",
    key="{merchant}/{payment_id}",
    key_meaning="of a page or query with odd elements: as its response's, `{merchant}` if that is about several",
    event_types=(event_types.OPERATIONS_NOTICED,),
    value=messages.OperationsEvent,
    optional_headers=("traceparent", "kind"),
)

PAYMENT_EXPECTED: Final = TopicMessage(
    name="PaymentExpected",
    title="Payment expected",
    summary="A shop sold something and expects it to be paid.",
    description="""\
Write one for each order, before the customer pays if you can. paynotify compares the payment's amount and order with
it, reports the order as overdue after `final_by`, and polls the provider. A later record of the same order replaces it
if its `created_at` is not older. Times are RFC 3339 with offset. A record that is not valid is dead-lettered with
`unreadable_expectation`. No header is needed.""",
    key="",
    key_meaning="any, or none; records of one order should have the same one",
    value=messages.ExpectedPayment,
    required_headers=(),
    optional_headers=(*CLOUD_EVENT, "traceparent", "replayed-from"),
)

PAYMENT_REQUESTED: Final = TopicMessage(
    name="PaymentRequested",
    title="Charge, capture or release requested",
    summary="A shop wants a payment method charged, or an authorisation captured or released.",
    description="""\
Derive `request_id` from what the charge is for: a repeated id is answered with its outcome and charges nothing.

| `action` | needs |
| --- | --- |
| `charge` | `order_id`, `amount`, `reference_payment_id` |
| `capture` | `payment_id`; a smaller `amount` voids the rest |
| `release` | `payment_id` |

**Whoever can write here can charge customers.** The outcome is on `payments.requests`. No header is needed.""",
    key="",
    key_meaning="any, or none",
    value=messages.RequestedPayment,
    required_headers=(),
    optional_headers=(*CLOUD_EVENT, "traceparent"),
)

PUBLIC_MESSAGES: Final = (
    PAYMENT_STATUS_CHANGED,
    PAYMENT_FORGOTTEN,
    PAYMENT_OVERDUE,
    REQUEST_PROGRESSED,
    PROVIDER_SILENT,
    CASE_NOTICED,
    PAYMENT_EXPECTED,
    PAYMENT_REQUESTED,
)
