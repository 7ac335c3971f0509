"""A report as a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from rich.console import Console
from rich.table import Table

from paynotify.sandbox.report_picture import draw


def show(console: Console) -> None:
    table = Table("provider", "payments")
    table.add_row("nevogate", "156")
    console.print(table)


def test_picture_shows_the_report_and_asks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "made" / "report.svg"
    draw(path, "make demo", show)
    text = path.read_text("utf-8")
    root = ET.fromstring(text)
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "make demo"
    assert "nevogate" in text
    assert "url(http" not in text.replace('"', "")
    assert "@font-face" not in text


def test_same_report_is_the_same_picture(tmp_path: Path) -> None:
    draw(tmp_path / "one.svg", "make demo", show)
    draw(tmp_path / "two.svg", "make demo", show)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
