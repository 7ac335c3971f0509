"""What the docs site makes of the pages' links and folders."""

from __future__ import annotations

import pytest

from docs._site.pages import DOCS, ROOT, STUBS, contents, with_links

PAGE = DOCS / "operations" / "install.md"


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ("[keys](../reference/configuration.md#kafka)", "[keys](../reference/configuration.md#kafka)"),
        ("[project](../../README.md)", "[project](../index.md)"),
        ("[report](../../SECURITY.md)", "[report](../security.md)"),
        ("[values](../../helm/paynotify/README.md)", "[values](../reference/chart.md)"),
        ("[decisions](../explanation/decisions)", "[decisions](../explanation/decisions/README.md)"),
        ("![the overview](kubernetes/overview.png)", "![the overview](kubernetes/overview.png)"),
        ("[contract](../../schemas/json/openapi.json)", "[contract](../../schemas/json/openapi.json)"),
        ("[RFC](https://example.com/rfc#1)", "[RFC](https://example.com/rfc#1)"),
        ("[above](#install)", "[above](#install)"),
    ],
)
def test_links_lead_to_pages_of_the_site(link: str, becomes: str) -> None:
    assert with_links(f"See {link}.", PAGE, PAGE) == f"See {becomes}."


def test_links_to_sources_lead_to_the_repository_if_it_has_an_address() -> None:
    link = "The code: [`loop.py`](../../processors/runtime/loop.py)."
    assert with_links(link, PAGE, PAGE) == "The code: `loop.py`."
    address = "https://git.example/paynotify/blob/main"
    assert with_links(link, PAGE, PAGE, address) == f"The code: [`loop.py`]({address}/processors/runtime/loop.py)."


def test_code_blocks_are_left_alone() -> None:
    text = "[a](../../README.md)\n```sh\n[a](../../README.md)\n```\n[a](../../README.md)\n"
    assert with_links(text, PAGE, PAGE).count("../index.md") == 2


def test_links_of_a_stub_are_those_of_the_file_that_it_shows() -> None:
    shown = with_links("[data](docs/operations/personal-data.md)", ROOT / "SECURITY.md", DOCS / "security")
    assert shown == "[data](operations/personal-data.md)"


@pytest.mark.parametrize("page", STUBS)
def test_stubs_name_the_file_whose_text_they_take(page: str) -> None:
    stub = (DOCS / f"{page}.md").read_text("utf-8")
    assert f"({'../' * (not STUBS[page].startswith('docs/'))}{STUBS[page].removeprefix('docs/')})" in stub


def test_folders_list_their_pages_below_their_first_page() -> None:
    assert "toctree" in contents("operations/README")
    assert contents("operations/install") == ""
