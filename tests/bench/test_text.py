"""How a passage looks in a terminal and on a page."""

from __future__ import annotations

from tests.bench.text import Passage, markdown, number, plain, ratio

PASSAGE = Passage(
    "Ingress", "64 connections", ("", "per second"), [("paynotify", "9"), ("peer", "1,000")], ("A note.",)
)


def test_plain_text_aligns_columns() -> None:
    assert plain(PASSAGE).splitlines() == [
        "Ingress: 64 connections",
        "             per second",
        "  paynotify           9",
        "  peer            1,000",
        "  A note.",
    ]


def test_markdown_has_heading_sentence_table_and_notes() -> None:
    assert markdown(PASSAGE) == (
        "## Ingress\n\n64 connections.\n\n"
        "|  | per second |\n| --- | --- |\n| paynotify | 9 |\n| peer | 1,000 |\n\nA note."
    )


def test_ratio_to_nothing_is_not_a_number() -> None:
    assert ratio(3.0, 2.0) == "1.50"
    assert ratio(3.0, None) == ratio(None, 2.0) == number(None) == "-"
