"""Tokens for Amazon MSK with IAM, signed with the process's AWS credentials by Amazon's own library.

The library comes with `paynotify[msk]`. It finds credentials as all of AWS's tools do: environment, files, the role of
a Kubernetes service account or of the machine.
"""

from __future__ import annotations

import importlib
import time
from typing import Any, Final

from paynotify.schemas.errors import ConfigurationError, TokenUnavailableError
from paynotify.service.oauth_token import OAuthToken

_LIBRARY: Final = "aws_msk_iam_sasl_signer.MSKAuthTokenProvider"


class MskSigner:
    """Signs tokens for the clusters of one region.

    Raises:
        ConfigurationError: the library is not installed.
    """

    def __init__(self, region: str) -> None:
        self.name = f"the signer of tokens for Amazon MSK in {region}"
        self._region = region
        try:
            self._library: Any = importlib.import_module(_LIBRARY)
        except ImportError:
            raise ConfigurationError(
                "kafka.sasl_oauth.aws_region needs a library that is not installed: run `pip install paynotify[msk]`."
            ) from None

    def fetch(self) -> OAuthToken:
        """A new token. May ask AWS for credentials, which blocks.

        Raises:
            TokenUnavailableError: there are no credentials.
        """
        try:
            token, expires_at_milliseconds = self._library.generate_auth_token(self._region)
        except Exception as error:  # noqa: BLE001 - AWS's libraries have no base of their errors
            raise TokenUnavailableError(
                f"{self.name} has no credentials ({type(error).__name__}). Check the role of this process."
            ) from None
        # the library takes the time from this host's clock, and so does this
        return OAuthToken(token, time.monotonic() + expires_at_milliseconds / 1000 - time.time())
