"""``paynotify inspect``: verifies captured calls offline, with the code of the stages.

It uses no broker and no network, and prints one line of JSON per file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from paynotify.ops.common.merchants import unknown_merchant
from paynotify.processors.providers.account import Account, open_account
from paynotify.processors.providers.base import Notification, ProviderResponse
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.spec import ProviderSpec
from paynotify.schemas.configuration.load import load
from paynotify.schemas.errors import ConfigurationError, RejectedNotificationError, UnreadableError
from paynotify.schemas.messages import Lookup, fields_of
from paynotify.schemas.providers import provider_names
from paynotify.schemas.reasons import (
    HARMLESS_ALERTS,
    AlertKind,
    DeadReason,
    NotificationWarning,
    RejectReason,
    ResponseWarning,
)
from paynotify.schemas.times import parse_time

_KINDS: Final = ("notification", "response", "return-url")
_MAX_FILE_BYTES: Final = 16 * 1024 * 1024

#: The reject reason that corresponds to a dead-letter reason.
_REASONS: Final[Mapping[DeadReason, RejectReason]] = {"unverified_answer": "bad_signature"}

#: What is odd about a file that is not rejected.
_WARNINGS: Final[Mapping[NotificationWarning | ResponseWarning, str]] = {
    "unexpected_field": "a field is not in the merchant's extra_fields; the payment is looked up all the same",
    "amount_decimals": "an amount in major units is not the one in minor units; the payment is held, see "
    "currency_decimals",
}

_EPILOG: Final = """\
Each line of the output is one JSON object: file, verdict (authentic, unsigned or rejected), reason, detail, and the
lookup of a notification or the observations of a response.

examples:
  paynotify inspect --provider nevogate --merchant shop-hu captured.json
  paynotify inspect --provider omnikassa --merchant shop-nl --at 2026-11-23T09:00:01Z captured.json
  paynotify inspect --provider trustpayments --merchant shop-uk --kind return-url --query "$QUERY_STRING"
  paynotify inspect --provider smartpay --merchant shop-v3 --jwks keys.json --header "x-smartpay-signature=$SIGNATURE" \
      --header x-smartpay-event-type=order.status.finalized/v1 --header x-smartpay-event-id=evt_1 captured.json

exit codes: 0 nothing was rejected, 1 at least one file was rejected, 2 wrong use or configuration
"""


@dataclass(frozen=True, slots=True)
class Capture:
    """One captured call: the body from the file, the rest from the options."""

    body: bytes
    query: str
    method: str
    content_type: str
    at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify inspect``."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--provider", required=True, choices=sorted(provider_names()), help="provider that made the call"
    )
    parser.add_argument(
        "--merchant", metavar="ID", help="merchant whose secrets and settings apply (default: the provider's only one)"
    )
    parser.add_argument(
        "--kind", choices=_KINDS, default="notification", help="what was captured (default: notification)"
    )
    parser.add_argument("--content-type", default="", metavar="TYPE", help="Content-Type of the call")
    parser.add_argument(
        "--query", default="", metavar="QUERY", help="query string of the call, without the question mark"
    )
    parser.add_argument(
        "--method",
        choices=("GET", "POST"),
        help="method of the call (default: GET with a query and no body, otherwise POST)",
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="header of the call that the provider signs or compares; repeat it for each",
    )
    parser.add_argument(
        "--jwks", metavar="FILE", help="public keys (JWK Set) to verify with, instead of the configured ones"
    )
    parser.add_argument("--at", metavar="TIME", help="time of receipt as RFC 3339 (default: now)")
    parser.add_argument("files", nargs="*", metavar="FILE", help="captured body; - reads standard input")


def run(arguments: argparse.Namespace) -> int:
    """Verify each file. Exit code 1 if one was rejected.

    Raises:
        ConfigurationError: an option is wrong, or a file or secret cannot be read.
    """
    account = _account(arguments)
    verify = _verifier(arguments, account)
    at = _time(arguments.at)
    headers, content_type = _headers(arguments)
    rejected = False
    for name in _files(arguments):
        body = _read(name) if name is not None else b""
        method = arguments.method or ("GET" if arguments.query and not body.strip() else "POST")
        line = verify(Capture(body, arguments.query, method, content_type, at, headers))
        rejected |= line["verdict"] == "rejected"
        print(orjson.dumps({"file": name, **line}).decode(), flush=True)
    return 1 if rejected else 0


def _account(arguments: argparse.Namespace) -> Account[Any]:
    merchants = load(arguments.config).merchants_of(arguments.provider)
    name = arguments.merchant
    if name is None and len(merchants) == 1:
        (name,) = merchants
    if name is None:
        raise ConfigurationError(f"--merchant must be given; of {arguments.provider} there are {len(merchants)}.")
    if name not in merchants:
        raise unknown_merchant(name, merchants)
    merchant = merchants[name]
    if arguments.jwks is not None:
        with_keys = provider_specs()[arguments.provider].inspection.with_keys
        if with_keys is None:
            raise ConfigurationError(f"--jwks must not be given for {arguments.provider}: it has no public keys.")
        _read(arguments.jwks)  # one that can't be read would only look like a set without the key
        merchant = with_keys(merchant, Path(arguments.jwks))
    # credentials of the provider's API are not needed here, and may be missing
    return open_account(merchant, merchant.signature_secrets())


def _verifier(arguments: argparse.Namespace, account: Account[Any]) -> Callable[[Capture], dict[str, Any]]:
    spec = provider_specs()[arguments.provider]
    if arguments.kind == "notification":
        return lambda capture: _notification(capture, spec, account)
    if arguments.kind == "response":
        return lambda capture: _response(capture, spec, account)
    check = spec.inspection.check_return_url
    if check is None:
        raise ConfigurationError(
            f"--kind return-url must not be given for {spec.name}: it signs no return URL. "
            "Use --kind notification for a call of the customer's browser."
        )
    return lambda capture: _return_url(capture, check, account)


def _time(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    moment = parse_time(text)
    if moment is None:
        raise ConfigurationError(
            f"--at must be an RFC 3339 time with offset, such as 2026-11-23T09:00:01Z; got {text!r}."
        )
    return moment


def _headers(arguments: argparse.Namespace) -> tuple[dict[str, str], str]:
    """The headers as the ingress would have stored them, and the content type."""
    given: list[tuple[bytes, bytes]] = []
    for text in arguments.header:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(f"--header must be NAME=VALUE; got {text!r}.")
        given.append((name.strip().lower().encode(), value.strip().encode()))
    stored = provider_specs()[arguments.provider].contract.route.headers_of(given)
    content_type = arguments.content_type or dict(given).get(b"content-type", b"").decode()
    return {name: value.decode("utf-8", "replace") for name, value in stored.items()}, content_type


def _files(arguments: argparse.Namespace) -> list[str | None]:
    if arguments.files:
        return list(arguments.files)
    if arguments.query:
        return [None]
    raise ConfigurationError("A FILE (- reads standard input) or --query must be given.")


def _read(name: str) -> bytes:
    try:
        if name == "-":
            body = sys.stdin.buffer.read(_MAX_FILE_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                body = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"The file {name} cannot be read: {error.strerror}.") from None
    if len(body) > _MAX_FILE_BYTES:
        raise ConfigurationError(f"The file {name} must be at most {_MAX_FILE_BYTES // 1024**2} MiB.")
    return body


def _notification(capture: Capture, spec: ProviderSpec, account: Account[Any]) -> dict[str, Any]:
    provider = spec.provider
    notification = Notification(
        notification_id="inspect",
        provider=provider.name,
        merchant=account.merchant.id,
        method=capture.method,
        query=capture.query,
        content_type=capture.content_type,
        body=capture.body,
        received_at=capture.at,
        headers=capture.headers,
    )
    try:
        parsed = provider.parse(notification, account)
        verdict = provider.verify(parsed, notification, account)
    except RejectedNotificationError as rejected:
        return _line("rejected", rejected.reason, str(rejected), lookup=None)
    if parsed.alert is not None:
        harmless = parsed.alert.kind if parsed.alert.kind in HARMLESS_ALERTS else None
        about = f"{parsed.alert.name} ({parsed.alert.kind}, {parsed.alert.state}): about the service, not a payment"
        return _line(verdict, harmless, about, lookup=None)
    warned = "; ".join(_WARNINGS[one] for one in parsed.warnings)
    return _line(verdict, None, warned, lookup=_shown(provider.plan(parsed, notification), spec))


def _shown(lookup: Lookup, spec: ProviderSpec) -> dict[str, Any]:
    """The lookup without arguments that grant access: the output is copied into tickets."""
    hidden = spec.inspection.secret_arguments
    shown = fields_of(lookup)
    shown["arguments"] = {name: "(hidden)" if name in hidden else value for name, value in lookup.arguments.items()}
    return shown


def _response(capture: Capture, spec: ProviderSpec, account: Account[Any]) -> dict[str, Any]:
    # a stored response has headers that state its kind; a captured one is recognised by its content
    response = spec.inspection.recognise(
        ProviderResponse(body=capture.body, content_type=capture.content_type, http_status=200, received_at=capture.at)
    )
    try:
        interpretation = spec.provider.interpret(response, account)
    except UnreadableError as unreadable:
        return _line("rejected", _REASONS.get(unreadable.reason, "malformed"), str(unreadable), observations=[])
    observations = [fields_of(one) for one in interpretation.observations]
    if interpretation.unreadable is not None:
        reason = _REASONS.get(interpretation.unreadable, "malformed")
        return _line("rejected", reason, interpretation.detail, observations=observations)
    if interpretation.odd:
        reason = _REASONS.get(interpretation.odd[0].reason, "malformed")
        detail = "; ".join(f"{one.place}: {one.detail}" for one in interpretation.odd)
        return _line("rejected", reason, detail, observations=observations)
    verdict = "authentic" if spec.inspection.signed(response) else "unsigned"
    warned = "; ".join(_WARNINGS[one] for one in interpretation.warnings)
    return _line(verdict, None, warned, observations=observations)


def _return_url(
    capture: Capture, check: Callable[[bytes, Account[Any], datetime], None], account: Account[Any]
) -> dict[str, Any]:
    try:
        check(_query(capture), account, capture.at)
    except RejectedNotificationError as rejected:
        return _line("rejected", rejected.reason, str(rejected), lookup=None)
    return _line("authentic", None, "only a hint: the payment's status comes from the provider's response", lookup=None)


def _query(capture: Capture) -> bytes:
    """The query of a captured return URL, which may include the address."""
    raw = capture.query.encode("utf-8", "surrogatepass") or capture.body.strip()
    return raw.partition(b"?")[2] if raw.startswith((b"http://", b"https://", b"/", b"?")) else raw


def _line(verdict: str, reason: RejectReason | AlertKind | None, detail: str, **more: Any) -> dict[str, Any]:
    return {"verdict": verdict, "reason": reason, "detail": detail, **more}
