"""Loads the configuration file. A wrong file is refused whole, with file, line and key in the message."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from paynotify.schemas.configuration.model import Configuration, configuration_type
from paynotify.schemas.configuration.rules import check_rules
from paynotify.schemas.configuration.yaml_document import Document
from paynotify.schemas.errors import ConfigurationError


def load(path: str | os.PathLike[str] | None = None) -> Configuration:
    """The configuration in the file at ``path``, or at ``PAYNOTIFY_CONFIG``.

    Raises:
        ConfigurationError: the file is missing or not YAML, or a key is unknown, missing or has a wrong value. The text
            is one paragraph: what is wrong, where (file, line, key), and what to do.
    """
    chosen = path or os.environ.get("PAYNOTIFY_CONFIG")
    if not chosen:
        raise ConfigurationError("No configuration given. Name the file with --config FILE or PAYNOTIFY_CONFIG.")
    file = Path(chosen)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(
            f"The configuration {file} can't be read: {reason}. Check the path and its permissions."
        ) from None
    return parse(text, str(file))


def parse(text: str, file: str) -> Configuration:
    """The configuration in ``text``; ``file`` is only named in errors.

    Raises:
        ConfigurationError: as for `load`.
    """
    document = Document(text, file)
    try:
        configuration = msgspec.convert(document.data, configuration_type())
    except msgspec.ValidationError as error:
        raise document.refused(str(error)) from None
    check_rules(configuration, document)
    return configuration
