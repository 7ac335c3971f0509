"""Finds the merchant that an option names."""

from __future__ import annotations

from collections.abc import Collection

from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError


def find_merchant(configuration: Configuration, merchant_id: str) -> Merchant:
    """The configured merchant with this id.

    Raises:
        ConfigurationError: the configuration has no merchant with this id.
    """
    for merchant in configuration.merchants:
        if merchant.id == merchant_id:
            return merchant
    raise unknown_merchant(merchant_id, [one.id for one in configuration.merchants])


def unknown_merchant(merchant_id: str, configured: Collection[str]) -> ConfigurationError:
    """The error for a merchant id that is not among the ``configured`` ones."""
    known = ", ".join(sorted(configured)) or "none"
    return ConfigurationError(f"The merchant must be one of the configured ones ({known}), got {merchant_id!r}.")
