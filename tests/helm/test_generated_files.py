"""The generated files are up to date, and schema, values and their explanations match."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm import generate
from paynotify.schemas.configuration.model import Configuration
from tests.helm.rendering import CHART

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))


@pytest.mark.parametrize("path", generate.documents(), ids=lambda path: path.name)
def test_generated_files_are_up_to_date(path: Path) -> None:
    assert path.read_text("utf-8") == generate.documents()[path], "run `make schemas`"


def test_schema_and_values_file_have_the_same_keys() -> None:
    parts = json.loads((CHART / "values.schema.json").read_text("utf-8"))["$defs"]
    open_ended = {"KafkaUser", "CertificateAuthority", "Store", "SecretKey", "Amounts", "ProviderCidrs"}

    def compare(part: dict[str, Any], values: Any, path: str) -> None:
        name = part.get("$ref", "").removeprefix("#/$defs/")
        if not name or name in open_ended or name.startswith(("product.", "kubernetes.")):
            return
        allowed = parts[name]["properties"]
        assert set(values) == set(allowed) - {"global"}, path or "the file"
        for key, child in allowed.items():
            if key != "global":
                compare(child, values[key], f"{path}.{key}")

    compare({"$ref": "#/$defs/Values"}, VALUES, "")


def test_values_file_explains_every_default() -> None:
    explained = {path for path, _ in generate.documented((CHART / "values.yaml").read_text("utf-8"))}

    def leaves(values: Any, path: tuple[str, ...]) -> set[tuple[str, ...]]:
        if path in explained or path[:1] == ("workers",):
            return set()
        if not isinstance(values, dict) or not values:
            return {path}
        return {leaf for key, value in values.items() for leaf in leaves(value, (*path, key))}

    assert leaves(VALUES, ()) == set()


def test_values_comment_of_several_lines_is_kept_whole() -> None:
    text = "# Not for the table.\n\n# -- Begins here\n# and ends here\none:\n  # of no key\n  # -- Alone\n  two: 1\n"
    assert list(generate.documented(text)) == [(("one",), "Begins here and ends here"), (("one", "two"), "Alone")]


def test_schema_allows_every_key_of_the_product_but_those_of_the_chart() -> None:
    parts = json.loads((CHART / "values.schema.json").read_text("utf-8"))["$defs"]
    allowed = set(parts["product.Configuration"]["properties"])
    assert allowed == set(Configuration.__struct_fields__) - {"state_directory"}


def test_chart_has_the_version_of_the_product() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    project = (CHART.parents[1] / "pyproject.toml").read_text("utf-8")
    assert f'version = "{chart["appVersion"]}"' in project
