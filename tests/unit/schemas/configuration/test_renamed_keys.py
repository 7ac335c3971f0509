"""A file with a key of an earlier release is refused with the key's new name."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.renamed_keys import RENAMED_KEYS, renamed
from paynotify.schemas.errors import ConfigurationError
from tests.unit.schemas.configuration.test_model import PRODUCTION

CHARGING = PRODUCTION["merchants"][2] | {
    "charges": {
        "public_url": "https://pay.example",
        "limits": {"EUR": {"per_charge": 1, "per_reference": 1, "per_day": 1}},
    }
}


def refusal(key: str) -> str:
    """What a file that has the key (below a merchant's section: the first merchant's) is refused with."""
    document: Any = copy.deepcopy({"merchants": [CHARGING]})
    section = document
    *path, name = key.split(".")
    for step in path:
        section = section["merchants"][0] if step == "merchants" else section.setdefault(step, {})
    section[name] = "neither a number nor a section"
    with pytest.raises(ConfigurationError) as caught:
        parse(yaml.safe_dump(document, sort_keys=False), "shop.yaml")
    return str(caught.value)


def shown(key: str) -> str:
    return key.replace("merchants.", "merchants[0].")


@pytest.mark.parametrize(("old", "new"), RENAMED_KEYS.items())
def test_old_key_is_refused_with_its_line_and_new_name(old: str, new: str) -> None:
    section = shown(old.rpartition(".")[0])
    message = refusal(old)
    assert message.startswith("shop.yaml, line ")
    assert f": {shown(old)} was renamed to {section}.{new}. " in message


@pytest.mark.parametrize(("old", "new"), RENAMED_KEYS.items())
def test_new_name_is_a_key_of_the_same_section(old: str, new: str) -> None:
    key = f"{old.rpartition('.')[0]}.{new}"
    assert renamed(key.split(".")) is None
    # a value that is wrong for every key: known keys are refused for it, unknown ones for their name
    assert "has a wrong value" in refusal(key)


def test_line_of_an_old_key_is_its_own() -> None:
    with pytest.raises(ConfigurationError, match=r"^shop\.yaml, line 4: worker\.overdue\.settle_seconds was renamed"):
        parse("worker:\n  overdue:\n    lookups_per_hour: 1\n    settle_seconds: 5\nmerchants: []\n", "shop.yaml")
