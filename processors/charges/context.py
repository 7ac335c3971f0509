"""What the charges stage needs from outside: accounts, gateways and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from paynotify.processors.charges.state_machine import Timing
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.charging import ChargeGateway
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.merchants import Charges, ChargingMerchant


@dataclass(frozen=True, slots=True)
class ChargeContext:
    """What the handler needs: ``accounts`` of merchants that may charge, ``gateways`` by provider, and each
    merchant's provider."""

    accounts: Mapping[str, Account[ChargingMerchant]]
    gateways: Mapping[str, ChargeGateway]
    providers: Mapping[str, str]
    kafka: KafkaSettings

    def charges(self, merchant: str) -> Charges:
        """The merchant's settings for charges."""
        charges = self.accounts[merchant].merchant.charges
        assert charges is not None
        return charges

    def timing(self, merchant: str) -> Timing:
        """The merchant's times for calls and polls."""
        charges = self.charges(merchant)
        return Timing(charges.poll_schedule_seconds, charges.call_timeout_seconds, charges.close_settles_seconds)
