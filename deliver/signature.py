"""The headers of Standard Webhooks: id, time and a signature of every secret that is valid now."""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from paynotify.schemas.configuration.secrets import Secret, SecretRef, reveal_all
from paynotify.schemas.errors import SecretError


class Signer:
    """Signs calls to one subscriber. Changed secrets are read again."""

    def __init__(self, secrets: Sequence[SecretRef]) -> None:
        self._secrets = tuple(Secret(one) for one in secrets)
        self._revealed: tuple[str, ...] = ()
        self._webhooks: list[Webhook] = []

    def headers(self, event_id: str, body: bytes, now: datetime) -> Mapping[str, str]:
        """The headers of a call at this time.

        Raises:
            SecretError: no secret can be read, or one is not what it must be.
        """
        self._read()
        text = body.decode()
        return {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(one.sign(event_id, now, text) for one in self._webhooks),
        }

    def _read(self) -> None:
        revealed = reveal_all(self._secrets)
        if revealed == self._revealed:
            return
        webhooks = []
        for secret, text in zip(self._secrets, revealed, strict=False):
            try:
                webhooks.append(Webhook(text))
            except (EmptyWebhookSecretError, binascii.Error, ValueError):
                raise SecretError(
                    f"{secret.reference!r} is no secret of a webhook. It must be `whsec_` and base64."
                ) from None
        self._webhooks, self._revealed = webhooks, revealed
