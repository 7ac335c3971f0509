"""Draws boxes and arrows as SVG that reads on a light and on a dark page, with a text alternative inside."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Final, Literal

Kind = Literal["process", "topic", "outside", "group", "status"]

_MARGIN: Final = 16
_LINE: Final = 16  # the height of a line of text

#: Colours for a light page, then for a dark one. The drawing has a background of its own, so that it stays readable
#: where a page is dark and the reader's system is light.
_LIGHT: Final = {
    "ground": "#ffffff",
    "ink": "#1b1f24",
    "edge": "#57606a",
    "process": "#dbe9ff",
    "topic": "#fff3d6",
    "outside": "#eceff2",
    "group": "#f6f8fa",
    "status": "#dff3e4",
}
_DARK: Final = {
    "ground": "#15181c",
    "ink": "#e6e9ed",
    "edge": "#9aa4af",
    "process": "#1d3a63",
    "topic": "#4d3c0c",
    "outside": "#2c3238",
    "group": "#1c2126",
    "status": "#1c4a2b",
}


@dataclass(frozen=True, slots=True)
class Box:
    """A box with lines of text in its middle; of a group, the first line is at its top."""

    kind: Kind
    x: int
    y: int
    width: int
    height: int
    lines: tuple[str, ...]

    @property
    def middle(self) -> tuple[int, int]:
        return self.x + self.width // 2, self.y + self.height // 2

    @property
    def left(self) -> tuple[int, int]:
        return self.x, self.middle[1]

    @property
    def right(self) -> tuple[int, int]:
        return self.x + self.width, self.middle[1]

    @property
    def top(self) -> tuple[int, int]:
        return self.middle[0], self.y

    @property
    def bottom(self) -> tuple[int, int]:
        return self.middle[0], self.y + self.height


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow along points, with words at a place; ``rare`` is dashed, ``both`` has a head at both ends."""

    points: tuple[tuple[int, int], ...]
    words: str = ""
    at: tuple[int, int] | None = None
    rare: bool = False
    both: bool = False


def svg(title: str, description: str, boxes: tuple[Box, ...], arrows: tuple[Arrow, ...]) -> str:
    """The drawing. ``description`` says in words what it shows."""
    corners = [(box.x + box.width, box.y + box.height) for box in boxes] + [
        one for arrow in arrows for one in arrow.points
    ]
    width, height = (max(values) + _MARGIN for values in zip(*corners, strict=True))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-labelledby="title description">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(description)}</desc>',
        f"<style>{_style()}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" class="head"/></marker></defs>',
        f'<rect width="{width}" height="{height}" rx="8" class="ground"/>',
        *(_box(box) for box in sorted(boxes, key=lambda box: box.kind != "group")),
        *(_arrow(arrow) for arrow in arrows),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _style() -> str:
    def rules(colours: dict[str, str]) -> str:
        fills = "".join(f".{name}{{fill:{colour}}}" for name, colour in colours.items() if name not in ("ink", "edge"))
        return (
            f"{fills}text{{fill:{colours['ink']}}}.head{{fill:{colours['edge']}}}.line,.box{{stroke:{colours['edge']}}}"
        )

    general = "text{font:13px system-ui,sans-serif}.topic-name,.status-name{font:12px ui-monospace,monospace}"
    lines = ".line{fill:none;stroke-width:1.4}.rare{stroke-dasharray:5 4}.small{font-size:11px}"
    return f"{general}{lines}{rules(_LIGHT)}@media(prefers-color-scheme:dark){{{rules(_DARK)}}}"


def _box(box: Box) -> str:
    radius = {"topic": box.height // 2, "group": 10}.get(box.kind, 5)
    size = f'width="{box.width}" height="{box.height}" rx="{radius}"'
    shape = f'<rect x="{box.x}" y="{box.y}" {size} class="box {box.kind}"/>'
    x, middle = box.middle
    first = box.y + 18 if box.kind == "group" else middle - (len(box.lines) - 1) * _LINE // 2 + 4
    named = f' class="{box.kind}-name"' if box.kind in ("topic", "status") else ""
    texts = (
        f'<text x="{x}" y="{first + number * _LINE}" text-anchor="middle"{named}>{escape(line)}</text>'
        for number, line in enumerate(box.lines)
    )
    return shape + "".join(texts)


def _arrow(arrow: Arrow) -> str:
    points = " ".join(f"{x},{y}" for x, y in arrow.points)
    rare, start = " rare" if arrow.rare else "", ' marker-start="url(#head)"' if arrow.both else ""
    drawn = f'<polyline points="{points}" class="line{rare}"{start} marker-end="url(#head)"/>'
    if not arrow.words:
        return drawn
    x, y = arrow.at or arrow.points[0]
    return f'{drawn}<text x="{x}" y="{y}" class="small">{escape(arrow.words)}</text>'
