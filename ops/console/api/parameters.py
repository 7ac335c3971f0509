"""Reads a call's parameters as the operation describes them: what the document allows is what is taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request

from paynotify.ops.console.api.answering import ApiProblemError
from paynotify.schemas.api.operations import ApiOperation, ApiParameter
from paynotify.schemas.api.problems import INVALID_PARAMETER, TOKEN_IN_URL

#: How programs name a token in a URL.
_TOKEN_NAMES: Final = frozenset({"token", "access_token", "api_token", "api_key", "apikey", "authorization"})
_INTEGER: Final = re.compile(r"[0-9]{1,16}\Z")


def refuse_token_in_url(request: Request) -> None:
    """Refuse it, also one that is right: logs of proxies keep URLs, and the caller must learn of it.

    Raises:
        ApiProblemError: a query parameter is named like a token.
    """
    if _TOKEN_NAMES & {name.lower() for name in request.query_params}:
        raise ApiProblemError(
            TOKEN_IN_URL, "Send the token as `Authorization: Bearer TOKEN`, and replace this one: logs may have it."
        )


def parameters_of(request: Request, operation: ApiOperation) -> Mapping[str, Any]:
    """The values by name; a parameter that is not given has its default, or None.

    Raises:
        ApiProblemError: a parameter is unknown, missing, repeated or has a wrong value.
    """
    given = request.query_params
    unknown = set(given) - operation.query_names()
    if unknown:
        known = ", ".join(sorted(operation.query_names())) or "none"
        raise _refused(f"A query parameter is unknown; those of this path are: {known}.")
    return {one.name: _value(one, _texts(one, request)) for one in operation.parameters}


def _texts(one: ApiParameter, request: Request) -> list[str]:
    if one.place == "query":
        return request.query_params.getlist(one.name)
    places: Mapping[str, Mapping[str, str]] = {"path": request.path_params, "header": request.headers}
    return [text for text in [places[one.place].get(one.name)] if text is not None]


def _value(one: ApiParameter, texts: list[str]) -> Any:
    if one.schema["type"] == "array":
        if len(texts) > one.schema["maxItems"]:
            raise _refused(f"{one.name} may be given {one.schema['maxItems']} times at most.")
        return tuple(_one(one.name, one.schema["items"], text) for text in texts)
    if len(texts) > 1:
        raise _refused(f"{one.name} is given more than once.")
    if texts:
        return _one(one.name, one.schema, texts[0])
    if one.required:
        raise _refused(f"{one.name} is missing: {one.meaning}")
    return one.schema.get("default")


def _one(name: str, schema: Mapping[str, Any], text: str) -> Any:
    if schema["type"] == "integer":
        least, most = schema["minimum"], schema["maximum"]
        number = int(text) if _INTEGER.match(text) else -1
        if not least <= number <= most:
            raise _refused(f"{name} must be a whole number between {least} and {most}.")
        return number
    if "enum" in schema:
        if text not in schema["enum"]:
            raise _refused(f"{name} must be one of {', '.join(schema['enum'])}.")
        return text
    least, most = schema.get("minLength", 0), schema["maxLength"]
    if not least <= len(text) <= most:
        raise _refused(f"{name} must have between {least} and {most} characters.")
    return text


def _refused(detail: str) -> ApiProblemError:
    return ApiProblemError(INVALID_PARAMETER, detail)
