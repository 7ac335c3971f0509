"""Who acts by the console, in the words of the commands' own records."""

from __future__ import annotations

import os
import re
from typing import Final

from paynotify.ops.common.operator import Operator, parse_reason, system_user
from paynotify.ops.console.access.identity import Identity

#: Errors of the commands name their options; a page's fields have the same names without dashes.
_OPTION: Final = re.compile(r"(?<![\w-])--([a-z][a-z-]*)")
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9._-]")
_MAX_NAME: Final = 64


def acting(identity: Identity, reason: str) -> Operator:
    """The person as records of actions have them. A name that nobody has checked is that of the operating system.

    Raises:
        ConfigurationError: the reason is not as it must be on topics.
    """
    os_user = system_user() or f"uid-{os.getuid()}"
    return Operator(
        by=identity.name[:_MAX_NAME],
        identity="os_user" if identity.kind == "local" else "authenticated",
        os_user=os_user[:_MAX_NAME],
        reason=parse_reason(reason),
    )


def public_name(identity_name: str) -> str:
    """The name as all consumers of results may read it: of an e-mail address, only what is before the ``@``."""
    return _NOT_PLAIN.sub("-", identity_name.partition("@")[0])


def in_form_words(error: Exception) -> str:
    """What an error says, with fields in place of options."""
    return _OPTION.sub(r"\1", str(error))
