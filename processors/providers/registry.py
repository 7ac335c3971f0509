"""The registered providers with their behaviour, by name (`schemas.providers` lists their packages)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType

from paynotify.processors.providers.spec import ProviderSpec
from paynotify.schemas.providers import provider_packages


def provider_specs() -> Mapping[str, ProviderSpec]:
    """Every registered provider's spec by the provider's name, in the order of registration."""
    return _specs(provider_packages())


@lru_cache(maxsize=8)
def _specs(packages: tuple[str, ...]) -> Mapping[str, ProviderSpec]:
    specs: list[ProviderSpec] = [import_module(f"{package}.spec").SPEC for package in packages]
    return MappingProxyType({one.name: one for one in specs})
