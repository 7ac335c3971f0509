"""Every parser of foreign input, with hostile input for it and the one error it may raise."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from paynotify.ingest.notification import origin, record_headers
from paynotify.ingest.sent_headers import SentHeaders
from paynotify.ops.common.times import parse_time_option
from paynotify.ops.reconcile.csv_export import payments_in
from paynotify.processors.charges.intake_stage import request_of
from paynotify.processors.charges.validation import well_formed
from paynotify.processors.fetch.lookup_record import waiting_lookup
from paynotify.processors.fetch.retry_stage import RetryStage
from paynotify.processors.orders.expected_payment import parse_expected
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import ProviderResponse
from paynotify.processors.providers.charging import CaptureOrVoid
from paynotify.processors.providers.form import fields
from paynotify.processors.providers.json_body import readings
from paynotify.processors.providers.nevogate.charging import NevogateChargeGateway
from paynotify.processors.providers.omnikassa.return_url import check_return
from paynotify.processors.providers.rabobank.single_order import bank_access, refreshed
from paynotify.processors.providers.rabobank.values import instant
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.smartpay.key_set import KeySetError, key_set_in
from paynotify.processors.providers.trustpayments.payment_list import _once
from paynotify.processors.providers.trustpayments.records import gateway_time
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.overlay import Overlay
from paynotify.schemas import topics
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.errors import (
    ConfigurationError,
    PermanentError,
    RejectedNotificationError,
    RetryableError,
    UnreadableError,
)
from paynotify.schemas.messages import Observation, decode
from paynotify.schemas.money import Money, from_major, from_minor
from paynotify.schemas.providers import id_fields, provider_contracts
from paynotify.schemas.reasons import REJECT_REASONS
from paynotify.schemas.records import Record
from paynotify.schemas.routes import without_token
from paynotify.schemas.times import parse_time, rfc3339
from paynotify.schemas.traceparent import valid_traceparent
from paynotify.service.card_numbers import CardNumbers
from paynotify.service.listener import split_address
from paynotify.service.outgoing_calls import retry_after_seconds
from tests.fakes.accounts import NOW, TRANSACTION, account, notification
from tests.fuzz import genuine
from tests.fuzz.answering import (
    KAFKA,
    Line,
    Script,
    call_context,
    fetched,
    no_publish,
    run,
    to_this_query,
)
from tests.fuzz.genuine import ACCOUNTS, notification_record
from tests.fuzz.hostile import (
    bent,
    form_bytes,
    json_bytes,
    pairs,
    scalars,
    tampered,
    texts,
    values,
)
from tests.fuzz.signed_events import (
    EVENTS,
    KEY_SETS,
    SIGNATURES,
    TOLD,
    judged_signature,
    read_event,
    told_event,
)

Errors = tuple[type[Exception], ...]


@dataclass(frozen=True, slots=True)
class Parser:
    """One parser; ``share`` is its part of all inputs, ``extreme`` how it gets one of the extremes.

    ``allowance`` multiplies the limits of time and memory.
    """

    name: str
    parse: Callable[[Any], object]
    errors: Errors
    inputs: st.SearchStrategy[Any]
    share: int
    extreme: Callable[[bytes], Any]
    allowance: int = 1


# --- notifications -----------------------------------------------------------------------------------------


def _noticed(provider: str) -> Callable[[tuple[str, bytes, str]], object]:
    shop, module = ACCOUNTS[provider], provider_specs()[provider].provider

    def judge(given: tuple[str, bytes, str]) -> object:
        method, body, query = given
        call = notification(provider, body, method=method, query=query)
        claim = module.parse(call, shop)
        module.verify(claim, call, shop)
        return module.plan(claim, call) if claim.alert is None else None

    return judge


_queries: Final = (
    st.just("")
    | st.builds("TransactionId={}".format, texts)
    | bent(b"TransactionId=" + b"a" * 32).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
)


def _calls(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[str, bytes, str]]:
    return st.tuples(st.sampled_from(("POST", "POST", "POST", "GET")), bodies, _queries)


_pings: Final = (
    json_bytes(genuine.signed_ping(genuine.PING))
    | tampered(genuine.PING).map(lambda ping: _json(genuine.signed_ping(ping)))
    | st.binary(max_size=200)
)
_forms: Final = (
    pairs(genuine.FORM).map(genuine.signed_pairs).map(form_bytes)
    | bent(form_bytes(genuine.signed_pairs(list(genuine.FORM.items()))))
    | st.binary(max_size=200)
)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _as_call(body: bytes) -> tuple[str, bytes, str]:
    return "POST", body, body.decode("utf-8", "replace")


# --- answers -----------------------------------------------------------------------------------------------


def _interpreted(provider: str, reference: str | None = None, **facts: str) -> Callable[[bytes], object]:
    shop, module = ACCOUNTS[provider], provider_specs()[provider].provider

    def interpret(body: bytes) -> object:
        return module.interpret(ProviderResponse(body, "", 200, NOW, reference=reference, facts=facts), shop)

    return interpret


_pages: Final = json_bytes(genuine.signed_page(genuine.PAGE)) | tampered(genuine.PAGE).map(
    lambda page: _json(genuine.signed_page(page))
)

_HEADERS: Final = (
    (b"content-type", b"application/json"),
    (b"content-type", b"\xff\x00"),
    (b"retry-after", b"10"),
    (b"retry-after", b"Mon, 01 Jan 0001 00:00:00 +2359"),
    (b"retry-after", b"9" * 400),
    (b"content-length", b"3"),
    (b"content-encoding", b"gzip"),
    (b"content-encoding", b"br"),
    (b"content-encoding", b"deflate"),
    (b"content-encoding", b""),
    (b"content-encoding", b"\xff"),
    (b"location", b"https://elsewhere.example/"),
    (b"set-cookie", b"a=b"),
)

#: A page may promise a next one for ever; how many are asked for in one call is another test's matter.
_PAGES: Final = 10

_statuses: Final = st.sampled_from((200, 200, 200, 200, 204, 301, 400, 401, 403, 404, 418, 429, 500, 503))


def _asked(provider: str, reference: str | None, **arguments: str) -> Callable[[tuple[Any, ...]], object]:
    shop = ACCOUNTS[provider]

    def ask(given: tuple[int, list[tuple[bytes, bytes]], bytes]) -> object:
        status, headers, body = given
        compressed = (b"content-encoding", b"gzip") in headers and len(body) % 2
        sent = gzip.compress(body, 1) if compressed else body
        questions = 0

        def answer(question: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
            nonlocal questions
            questions += 1
            if questions > _PAGES:
                return 200, [], b"{}"
            if provider == "trustpayments" and not compressed:
                return status, headers, to_this_query(sent)(question)[2]
            return status, headers, sent

        return run(fetched(provider, shop, answer, reference, **arguments))

    return ask


_CHARGING: Final = account(
    "nevogate",
    charges={
        "public_url": "https://shop.example",
        "limits": {"EUR": {"per_charge": 10_000, "per_reference": 10_000, "per_day": 10_000}},
    },
)
_REFRESHING: Final = account("omnikassa", refresh_token={"value": "refresh-1"})
_HOLD: Final = CaptureOrVoid(
    payment_id=TRANSACTION, capture=True, amount=Money(500, "EUR"), authorised=Money(1050, "EUR")
)


def _charged(given: tuple[int, list[tuple[bytes, bytes]], bytes]) -> object:
    charger, there = NevogateChargeGateway(), call_context(lambda question: given)
    return run(charger.start(TRANSACTION, _CHARGING, there)), run(charger.close(_HOLD, _CHARGING, there))


def _refreshed(given: tuple[int, list[tuple[bytes, bytes]], bytes]) -> object:
    return run(refreshed(bank_access(_REFRESHING), call_context(lambda question: given)))


def _listed(answer: bytes) -> object:
    return run(_once(ACCOUNTS["trustpayments"], call_context(to_this_query(answer)), {"orderreference": ["ORD-7"]}))


def _answers(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(_statuses, st.lists(st.sampled_from(_HEADERS), max_size=2), bodies)


def _as_answer(body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return 200, [], body


# --- records -----------------------------------------------------------------------------------------------

_LINES: Final = {provider: Line(provider, shop) for provider, shop in ACCOUNTS.items()}
_NAMES: Final = (
    "ce_id",
    "ce_source",
    "ce_time",
    "http-method",
    "http-query",
    "traceparent",
    "attempts",
    "first-seen",
    "http-status",
    "reference",
    "lookups",
    "fact-results-version",
    "not-before",
    "received-at",
    "url-token",
    "content-type",
)
_header_values: Final = texts.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=6)
_headers: Final = st.lists(st.tuples(st.sampled_from(_NAMES), _header_values), max_size=4).map(tuple)


def _verified(given: tuple[int, bytes, tuple[tuple[str, bytes], ...]]) -> object:
    number, body, headers = given
    provider = tuple(ACCOUNTS)[number]
    base = notification_record(provider, body)
    record = _with(base, body, headers)
    (output,) = run(_LINES[provider].verify.process(BatchContext([record], Overlay(None), no_publish)))
    if output.topic == topics.REJECTED:
        assert dict(output.headers)["reason"].decode() in REJECT_REASONS
    return output


def _with(base: Record, value: bytes, headers: tuple[tuple[str, bytes], ...]) -> Record:
    return Record(base.topic, 0, 1, base.key, value, (*base.headers, *headers), base.timestamp_seconds)


_RESPONSE: Final = Record(
    "responses.trustpayments",
    0,
    1,
    b"shop",
    b"",
    (
        ("ce_id", b"r-1"),
        ("ce_source", b"/providers/trustpayments/shop"),
        ("ce_time", b"2026-06-01T12:00:00Z"),
        ("lookups", b"[]"),
    ),
    NOW.timestamp(),
)


def _interpreted_record(given: tuple[bytes, tuple[tuple[str, bytes], ...]]) -> object:
    record = _with(_RESPONSE, given[0], given[1])
    return run(_LINES["trustpayments"].interpret.process(BatchContext([record], Overlay(None), no_publish)))


def _resolved(given: list[bytes]) -> object:
    state, resolve = Overlay(None), _LINES["trustpayments"].resolve
    return run(resolve.process(BatchContext([_with(_RESPONSE, one, ()) for one in given], state, no_publish)))


def _requested(raw: bytes) -> object:
    return well_formed(request_of(raw))


def _looked_up(given: tuple[bytes, tuple[tuple[str, bytes], ...]]) -> object:
    waiting = waiting_lookup(_with(_RESPONSE, given[0], given[1]))
    return rfc3339(waiting.first_seen)


def _fetched_record(given: tuple[bytes, tuple[tuple[str, bytes], ...], bytes]) -> object:
    lookup, headers, answer = given
    record = _with(_RESPONSE, lookup, headers)
    return run(_LINES["trustpayments"].fetch([record], _plain(answer)))


def _plain(body: bytes) -> Script:
    return lambda question: (200, (), body)


_REQUEUE: Final = RetryStage("trustpayments", KAFKA)


# --- small things ------------------------------------------------------------------------------------------


def _money(read: Callable[[object, object], object]) -> Callable[[tuple[object, object]], object]:
    return lambda given: read(*given)


def _time(text: str) -> object:
    moment = parse_time(text)
    return None if moment is None else (rfc3339(moment), moment - NOW)


def _bank_time(text: str) -> object:
    moment = instant(text)
    return None if moment is None else rfc3339(moment)


def _kept(values: tuple[bytes, ...]) -> object:
    names = (b"traceparent", b"content-type", b"user-agent", b"x-request-id")
    request = dict(zip(names, values, strict=False))
    kept = record_headers(origin("nevogate", "shop"), "POST", values[-1], request, b"2026-06-01T12:00:00.000Z")
    _SENT_HEADERS.add(kept, request)
    assert all(len(value) <= 256 for name, value in kept if name != "http-query")
    assert all(name == "http-query" or value.isascii() for name, value in kept)
    return kept


def _key(given: tuple[bytes, bytes]) -> object:
    for contract in provider_contracts().values():
        assert len(contract.route.key("shop", *given)) <= 4 + 1 + 64
    return without_token(given[0])


def _return(given: tuple[str, str, str]) -> None:
    order, status, signature = given
    check_return({"order_id": order, "status": status, "signature": signature}, _OMNIKASSA)


_OMNIKASSA: Final[Account[Any]] = ACCOUNTS["omnikassa"]
_SENT_HEADERS: Final = SentHeaders(CardNumbers(id_fields()).masked)
_time_texts: Final = (
    texts
    | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
    | bent(b"2026-06-01T12:00:00.120+01:00").map(lambda raw: raw.decode("utf-8", "surrogateescape"))
)
_YAML: Final = (
    "&a",
    "*a",
    "<<: *a",
    "!!int",
    "!!python/object:os.system",
    "!!binary",
    "!!timestamp",
    "0b_",
    "0x_",
    "1:60",
    ".inf",
    "? [",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "|",
    ">",
    "\t",
    "#",
    "---",
    "...",
    "%YAML 9",
    "\u2028",
    "\0",
    "\ud800",
    '"\\ud800"',
    "9" * 5000,
    "https://[",
    "https://:pw@h",
    "http://h:99999",
    "null",
    "~",
    "[" * 300,
    "{a: " * 100,
    "&a [*a, *a]",
    "? ? ? :",
    "'",
    '"',
)


@st.composite
def _documents(draw: st.DrawFn) -> str:
    """The configuration as YAML (of which JSON is a part) with pieces of its grammar thrown in."""
    text = json.dumps(draw(tampered(genuine.CONFIGURATION)), indent=1)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(_YAML)) + text[place + draw(st.sampled_from((0, 0, 1, 5))) :]
    return text


def _configured(text: str) -> object:
    return parse(text, "fuzz.yaml")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


_reads: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "lookup": json_bytes(genuine.LOOKUP),
    "observation": json_bytes(genuine.OBSERVATION),
}

PARSERS: Final = (
    Parser("omnikassa notification", _noticed("omnikassa"), (RejectedNotificationError,), _calls(_pings), 10, _as_call),
    Parser(
        "trustpayments notification",
        _noticed("trustpayments"),
        (RejectedNotificationError,),
        _calls(_forms),
        12,
        _as_call,
    ),
    Parser(
        "nevogate notification",
        _noticed("nevogate"),
        (RejectedNotificationError,),
        _calls(json_bytes(genuine.CALL)),
        10,
        _as_call,
    ),
    Parser("event", read_event, (RejectedNotificationError,), EVENTS, 6, bytes),
    Parser("event's signature", judged_signature, (RejectedNotificationError,), SIGNATURES, 6, _text),
    Parser("event as stored", told_event, (UnreadableError,), json_bytes(TOLD), 2, bytes),
    Parser("key set", key_set_in, (KeySetError,), KEY_SETS, 2, bytes),
    Parser("omnikassa page", _interpreted("omnikassa"), (UnreadableError,), _pages, 8, bytes),
    Parser(
        "omnikassa order",
        _interpreted("omnikassa", genuine.ORDER_ANSWER["order"]["id"], kind="order"),
        (UnreadableError,),
        json_bytes(genuine.ORDER_ANSWER),
        4,
        bytes,
    ),
    Parser(
        "trustpayments answer", _interpreted("trustpayments"), (UnreadableError,), json_bytes(genuine.QUERY), 8, bytes
    ),
    Parser("nevogate answer", _interpreted("nevogate"), (UnreadableError,), json_bytes(genuine.RESULT), 6, bytes),
    Parser(
        "omnikassa call",
        _asked(
            "omnikassa",
            None,
            event=str(genuine.PING["eventName"]),
            token=str(genuine.PING["authentication"]),
            expires=str(genuine.PING["expiry"]),
        ),
        (RetryableError, PermanentError),
        _answers(_pages),
        3,
        _as_answer,
    ),
    Parser(
        "trustpayments call",
        _asked("trustpayments", genuine.REFERENCE),
        (RetryableError, PermanentError),
        _answers(json_bytes(genuine.QUERY)),
        3,
        _as_answer,
    ),
    Parser(
        "nevogate call",
        _asked("nevogate", TRANSACTION),
        (RetryableError, PermanentError),
        _answers(json_bytes(genuine.RESULT)),
        3,
        _as_answer,
    ),
    Parser("charge's answer", _charged, (), _answers(json_bytes(genuine.RESULT)), 2, _as_answer),
    Parser(
        "access token",
        _refreshed,
        (RetryableError, PermanentError),
        _answers(json_bytes(genuine.ACCESS)),
        1,
        _as_answer,
    ),
    Parser("list", _listed, (RetryableError, PermanentError, UnreadableError), json_bytes(genuine.QUERY), 2, bytes),
    Parser(
        "verify",
        _verified,
        (),
        st.tuples(st.integers(0, len(ACCOUNTS) - 1), _pings | _forms | json_bytes(genuine.CALL), _headers),
        5,
        lambda raw: (1, raw, (("http-query", raw),)),
    ),
    Parser(
        "lookup",
        _looked_up,
        (UnreadableError,),
        st.tuples(_reads["lookup"], _headers),
        5,
        lambda raw: (raw, (("attempts", raw), ("first-seen", raw))),
    ),
    Parser(
        "fetch",
        _fetched_record,
        (),
        st.tuples(_reads["lookup"], _headers, json_bytes(genuine.QUERY)),
        2,
        lambda raw: (raw, (), raw),
    ),
    Parser(
        "interpret",
        _interpreted_record,
        (),
        st.tuples(json_bytes(genuine.QUERY), _headers),
        4,
        lambda raw: (raw, (("lookups", raw), ("http-status", raw))),
    ),
    Parser("observation", lambda raw: decode(raw, Observation), (UnreadableError,), _reads["observation"], 3, bytes),
    Parser("expected payment", parse_expected, (UnreadableError,), json_bytes(genuine.EXPECTED), 3, bytes),
    Parser("requested payment", _requested, (UnreadableError,), json_bytes(genuine.REQUESTED), 3, bytes),
    Parser("resolve", _resolved, (), st.lists(_reads["observation"], min_size=1, max_size=3), 4, lambda raw: [raw]),
    # an operator's own file, read once by a process that he starts
    Parser("configuration", _configured, (ConfigurationError,), _documents(), 2, _text, allowance=20),
    Parser("export", lambda raw: payments_in(raw, "fuzz.csv"), (ConfigurationError,), bent(genuine.EXPORT), 2, bytes),
    Parser("moment", lambda text: parse_time_option("--since", text), (ConfigurationError,), _time_texts, 1, _text),
    Parser("address", split_address, (ConfigurationError,), texts, 1, _text),
    Parser("traceparent", valid_traceparent, (), texts, 1, _text),
    Parser(
        "kept headers",
        _kept,
        (),
        st.lists(_header_values, min_size=5, max_size=5).map(tuple),
        1,
        lambda raw: (raw,) * 5,
    ),
    Parser("time", _time, (), _time_texts, 2, _text),
    Parser("bank's time", _bank_time, (), _time_texts, 1, _text),
    Parser("gateway's time", gateway_time, (), _time_texts, 1, _text),
    Parser(
        "not before",
        lambda raw: _REQUEUE._wait_seconds(_with(_RESPONSE, b"", (("not-before", raw),))),
        (),
        _header_values,
        1,
        bytes,
    ),
    Parser("patience", lambda text: retry_after_seconds(text, NOW, 86_400.0), (), _time_texts, 1, _text),
    Parser(
        "minor units",
        _money(from_minor),
        (UnreadableError,),
        st.tuples(values, scalars),
        1,
        lambda raw: (_text(raw), _text(raw[:3])),
    ),
    Parser(
        "major units",
        _money(from_major),
        (UnreadableError,),
        st.tuples(values, scalars),
        1,
        lambda raw: (_text(raw), "EUR"),
    ),
    Parser("readings", lambda raw: list(readings(raw)), (), json_bytes(genuine.PAGE) | bent(b"[{]"), 2, bytes),
    Parser("form", fields, (), bent(form_bytes(list(genuine.FORM.items()))) | st.binary(max_size=100), 2, bytes),
    Parser(
        "key",
        _key,
        (),
        st.tuples(bent(b"TransactionId=" + b"a" * 32), bent(b'{"transactionId" : "')),
        2,
        lambda raw: (raw, raw),
    ),
    Parser(
        "return URL",
        _return,
        (RejectedNotificationError,),
        st.tuples(texts, texts, texts),
        1,
        lambda raw: (_text(raw), "COMPLETED", _text(raw)),
    ),
)
