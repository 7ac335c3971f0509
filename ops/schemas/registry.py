"""A schema registry with Confluent's REST API: its own, Karapace, Apicurio (``/apis/ccompat/v7``) and others."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

from paynotify.ops.common.terminal import printable
from paynotify.schemas.configuration.secrets import Secret, SecretRef
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError

Compatibility = Literal[
    "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE", "NONE"
]

_CALL_SECONDS: Final = 20.0
_MAX_BYTES: Final = 4 * 1024 * 1024
_MAX_WORDS: Final = 300
_CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
#: The registry's code for a subject that it does not know; a known one without this schema has another.
_NO_SUBJECT: Final = 40401


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """A schema as the registry knows it. ``guid`` is None in registries that give numbers alone."""

    id: int
    guid: str | None


@dataclass(frozen=True, slots=True)
class RegistryAccess:
    """Where the registry is, and how it knows who calls: one of ``password`` with a user, and ``token``."""

    url: str
    user: str | None = None
    password: SecretRef | None = None
    token: SecretRef | None = None
    ca_file: str | None = None


class SchemaRegistry:
    """One connection to a registry; a context manager. Each call takes a bounded time and reads a bounded answer.

    Raises:
        ConfigurationError: the address, a secret or the file of authorities is wrong, or the registry refuses the call.
        ClusterUnavailableError: the registry does not answer.
    """

    def __init__(self, access: RegistryAccess) -> None:
        url = urlsplit(access.url)
        if url.scheme not in ("http", "https") or not url.hostname or url.username or url.query or url.fragment:
            raise ConfigurationError(
                "--registry must be a URL such as https://registry.example.com, without user, query and fragment; "
                "user and password have options of their own."
            )
        self._name = f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"
        self._path = url.path.rstrip("/")
        self._headers = {"Accept": f"{_CONTENT_TYPE}, application/json", "Content-Type": _CONTENT_TYPE}
        authorization = _authorization(access)
        if authorization is not None:
            self._headers["Authorization"] = authorization
        if url.scheme == "https":
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                url.hostname, url.port, timeout=_CALL_SECONDS, context=_context(access.ca_file)
            )
        else:
            self._connection = http.client.HTTPConnection(url.hostname, url.port, timeout=_CALL_SECONDS)

    def __enter__(self) -> SchemaRegistry:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def find(self, subject: str, schema: str) -> tuple[RegisteredSchema | None, bool]:
        """The schema, if it is registered under the subject, and whether the subject is known."""
        status, said = self._call("POST", f"/subjects/{quote(subject, safe='')}", _document(schema))
        if status == HTTPStatus.NOT_FOUND:
            return None, said.get("error_code") != _NO_SUBJECT
        return self._registered(status, said), True

    def register(self, subject: str, schema: str) -> RegisteredSchema:
        """Register the schema under the subject; one that is registered already stays as it is."""
        status, said = self._call("POST", f"/subjects/{quote(subject, safe='')}/versions", _document(schema))
        if status == HTTPStatus.CONFLICT:
            raise ConfigurationError(
                f"{self._name} finds the schema of {subject} incompatible with the registered one: {_words(said)}. "
                "Compare --compatibility with the subject's setting."
            )
        return self._registered(status, said)

    def compatible(self, subject: str, schema: str) -> bool:
        """Whether the registry would take the schema as the subject's next version."""
        path = f"/compatibility/subjects/{quote(subject, safe='')}/versions/latest"
        status, said = self._call("POST", path, _document(schema))
        if status == HTTPStatus.NOT_FOUND:
            return True
        return self._expected(status, said).get("is_compatible") is True

    def compatibility(self, subject: str) -> str | None:
        """The subject's own setting; None if it has none, or is not known."""
        status, said = self._call("GET", f"/config/{quote(subject, safe='')}")
        if status == HTTPStatus.NOT_FOUND:
            return None
        level = self._expected(status, said).get("compatibilityLevel")
        return level if isinstance(level, str) else None

    def set_compatibility(self, subject: str, level: Compatibility) -> None:
        """Set what the subject's next versions must be compatible with."""
        path = f"/config/{quote(subject, safe='')}"
        self._expected(*self._call("PUT", path, {"compatibility": level}))

    def _registered(self, status: int, said: dict[str, Any]) -> RegisteredSchema:
        said = self._expected(status, said)
        number, guid = said.get("id"), said.get("guid")
        if not isinstance(number, int):
            raise ConfigurationError(f"{self._name} gave no schema id. Check that it is a schema registry.")
        return RegisteredSchema(number, guid if isinstance(guid, str) else None)

    def _expected(self, status: int, said: dict[str, Any]) -> dict[str, Any]:
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise ConfigurationError(
                f"{self._name} refused the credentials (HTTP {status}). Check --user, --password-file, --token-file "
                "and what this user may do."
            )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ClusterUnavailableError(f"{self._name} failed (HTTP {status}): {_words(said)}. Try again later.")
        if status != HTTPStatus.OK:
            raise ConfigurationError(
                f"{self._name} refused the call (HTTP {status}): {_words(said)}. Check that --registry names the root "
                "of its API, such as https://registry.example.com or https://registry.example.com/apis/ccompat/v7."
            )
        return said

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        content = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, self._path + path, content, self._headers)
            response = self._connection.getresponse()
            raw = response.read(_MAX_BYTES + 1)
        except ssl.SSLCertVerificationError as error:
            raise ConfigurationError(
                f"The certificate of {self._name} is not trusted ({error.verify_message}). "
                "Name its authorities with --ca."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise ClusterUnavailableError(
                f"The schema registry {self._name} did not answer ({type(error).__name__}). Check the address, and "
                "that it runs."
            ) from None
        if len(raw) > _MAX_BYTES:
            raise ConfigurationError(f"{self._name} answered with more than {_MAX_BYTES // 1024**2} MiB.")
        return response.status, _parsed(raw)


def _document(schema: str) -> dict[str, Any]:
    return {"schemaType": "JSON", "schema": schema}


def _authorization(access: RegistryAccess) -> str | None:
    if access.token is not None:
        return f"Bearer {Secret(access.token).reveal()}"
    if access.user is None or access.password is None:
        return None
    pair = f"{access.user}:{Secret(access.password).reveal()}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        reason = error.strerror or "it holds no certificates"
        raise ConfigurationError(f"The authorities in {ca_file} can't be read: {reason}. Check --ca.") from None


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _words(said: dict[str, Any]) -> str:
    """What the registry says of the refusal, on one line: a registry knows schemas alone, and no secret."""
    message = said.get("message")
    text = " ".join(message.split()) if isinstance(message, str) else ""
    return printable(text[:_MAX_WORDS]) or "it gives no reason"
