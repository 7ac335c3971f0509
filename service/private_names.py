"""Start-up check that the installed libraries still use the private names this product depends on.

A write to a private attribute that a library no longer reads fails silently: the product would run without the patch.
So each process checks its names before it opens a client. Most of them are attributes of instances, which a class does
not show; the check therefore looks at the code of the functions that must use them. It proves that a name is used, not
that it still means the same: each patch has a behavioural test for that.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from types import CodeType
from typing import Any, Final

from paynotify.schemas.errors import UnsupportedLibraryError

#: Versions whose private names are known; `pyproject.toml` allows the same ones.
SUPPORTED: Final[Mapping[str, str]] = {
    "aiohttp": ">=3.12,<3.15",
    "aiokafka": ">=0.13,<0.15",
    "faust-streaming": ">=0.15.3,<0.16",
    "kafka-python": ">=3.0.12,<3.1",
    "mode-streaming": ">=0.7,<0.8",
    "uvicorn": ">=0.35,<0.55",
}


@dataclass(frozen=True, slots=True)
class PrivateName:
    """The object at ``path`` of ``module``, whose code must use ``names``.

    Without ``names`` the object must exist, and with ``is_class`` it must be a class.
    """

    distribution: str
    module: str
    path: str
    names: tuple[str, ...] = ()
    is_class: bool = False


def require(wanted: Iterable[PrivateName]) -> None:
    """Check that the libraries have all of the names.

    Raises:
        UnsupportedLibraryError: a name is missing; the text lists all that are, with the versions that are supported.
    """
    missing: dict[str, list[str]] = {}
    for one in wanted:
        missing.setdefault(one.distribution, []).extend(_problems(one))
    texts = [
        f"{distribution} {version(distribution)} is not supported, because {' and '.join(problems)}: "
        f"install {distribution}{SUPPORTED[distribution]}."
        for distribution, problems in missing.items()
        if problems
    ]
    if texts:
        raise UnsupportedLibraryError(" ".join(texts))


def _problems(wanted: PrivateName) -> Iterator[str]:
    where = f"{wanted.module}.{wanted.path}"
    try:
        found = _found(wanted)
    except (ImportError, AttributeError):
        yield f"{where} does not exist"
        return
    if wanted.is_class and not inspect.isclass(found):
        yield f"{where} is not a class"
    if wanted.names:
        used = _names(found)
        yield from (f"{where} does not use {name}" for name in wanted.names if name not in used)


def _found(wanted: PrivateName) -> Any:
    found: Any = importlib.import_module(wanted.module)
    for part in wanted.path.split("."):
        found = getattr(found, part) if inspect.ismodule(found) else inspect.getattr_static(found, part)
    return found


def _names(function: Any) -> set[str]:
    """Every name in the function's code, its inner functions' included. A patched function stands for its original."""
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
    return set(_names_of(code)) if code is not None else set()


def _names_of(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    yield from code.co_varnames
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_of(constant)
