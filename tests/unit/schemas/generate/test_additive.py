"""The messages' schemas only grow: what an earlier release wrote fits, and what its readers need is still there.

``earlier`` holds that release's schemas, without their descriptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from paynotify.schemas.generate.json_schema import FOLDER

EARLIER: Final = Path(__file__).parent / "earlier"
NAMES: Final = sorted(file.name for file in EARLIER.iterdir())
#: Keywords with members of their own choice: new ones may come.
GROWING: Final = frozenset({"$defs", "properties"})
PROSE: Final = frozenset({"description", "title"})


def breaks(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """What of a schema is not as it was. New fields, definitions and words of an enumeration break nothing."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        if before != after:
            yield f"{place} was {before}"
        return
    for name, value in before.items():
        here = f"{place}/{name}"
        if name not in after:
            yield f"{here} is gone"
        elif name == "enum":
            yield from (f"{here} has lost {word}" for word in value if word not in after[name])
        elif name == "required" and set(value) != set(after[name]):
            yield f"{here} is not the same"
        elif name != "required":
            yield from breaks(value, after[name], here)
    if place.rpartition("/")[2] not in GROWING:
        yield from (f"{place}/{name} is new" for name in after if name not in before and name not in PROSE)


def schema(name: str, folder: Path = FOLDER) -> Any:
    return orjson.loads((folder / name).read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_schema_has_all_that_the_earlier_one_has(name: str) -> None:
    assert list(breaks(schema(name, EARLIER), schema(name))) == []


@pytest.mark.parametrize(
    ("keys", "value", "problem"),
    [
        (("$defs", "PaymentStatus", "properties", "paid"), None, "/$defs/PaymentStatus/properties/paid is gone"),
        (("$defs", "Money", "properties", "value", "type"), "string", "/$defs/Money/properties/value/type was integer"),
        (("$defs", "Money", "required"), ["value"], "/$defs/Money/required is not the same"),
        (("$defs", "Checks", "properties", "order", "enum"), ["expected"], "order/enum has lost unexpected"),
        (("$defs", "Money", "properties", "value", "minimum"), 1, "/$defs/Money/properties/value/minimum is new"),
    ],
)
def test_change_that_is_not_additive_is_found(keys: tuple[str, ...], value: Any, problem: str) -> None:
    changed = deepcopy(schema("PaymentStatus.json"))
    holder = changed
    for key in keys[:-1]:
        holder = holder[key]
    if value is None:
        del holder[keys[-1]]
    else:
        holder[keys[-1]] = value
    (found,) = breaks(schema("PaymentStatus.json", EARLIER), changed)
    assert found.endswith(problem)
