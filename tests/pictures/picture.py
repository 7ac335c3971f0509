"""One dashboard as one picture, its panels where Grafana puts them. Grafana's own looks differ."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import matplotlib as mpl

mpl.use("Agg")  # no display is needed
from matplotlib import pyplot, ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from tests.pictures.dashboard import Answer, Dashboard, Place
from tests.pictures.prometheus import Series, Span
from tests.pictures.units_of_measure import written

_WIDTH: Final = 1200
_DOTS: Final = 100
_MARGIN: Final = 10
_ROW: Final = 32
_HEAD: Final = 44
_COLUMNS: Final = 24
_COLOURS: Final = 128
_HEADROOM: Final = 1.08
_NAME_ROWS: Final = 3
#: How many names stand side by side, and how long they may be.
_ACROSS: Final = ((3, 28), (2, 46))
_MOST_TIMES: Final = 8
_MOST_VALUES: Final = 5
_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600
_EVERY_SECONDS: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(one * _MINUTE for one in (1, 2, 5, 10, 20)),
    *(one * _HOUR for one in (1, 2, 4, 12)),
    *(one * _DAY for one in (1, 2, 7, 28, 84, 365, 3650)),
)

_GROUND: Final = "#111217"
_PANEL: Final = "#181b1f"
_EDGE: Final = "#2c3235"
_TEXT: Final = "#ccccdc"
_FAINT: Final = "#8e8ea0"
_NAMED: Final = {"green": "#73bf69", "red": "#f2495c", "text": _TEXT}
_LINES: Final = (
    "#7eb26d",
    "#eab839",
    "#6ed0e0",
    "#ef843c",
    "#e24d42",
    "#1f78c1",
    "#ba43a9",
    "#705da0",
    "#508642",
    "#cca300",
    "#447ebc",
    "#c15c17",
    "#890f02",
    "#0a437c",
    "#6d1f62",
    "#b7dbab",
)


class _Sheet:
    """The picture while it is drawn, measured in dots from the top left."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.figure: Figure = pyplot.figure(figsize=(_WIDTH / _DOTS, height / _DOTS), dpi=_DOTS, facecolor=_GROUND)

    def text(self, x: float, y: float, text: str, size: float, colour: str = _TEXT, **how: str) -> None:
        self.figure.text(x / _WIDTH, 1 - y / self.height, text, fontsize=size, color=colour, va="center", **how)  # type: ignore[arg-type]

    def box(self, x: float, y: float, width: float, height: float) -> None:
        corner = (x / _WIDTH, 1 - (y + height) / self.height)
        self.figure.add_artist(
            Rectangle(
                corner,
                width / _WIDTH,
                height / self.height,
                facecolor=_PANEL,
                edgecolor=_EDGE,
                linewidth=1,
                transform=self.figure.transFigure,
                zorder=-1,
            )
        )

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        return self.figure.add_axes(
            (x / _WIDTH, 1 - (y + height) / self.height, width / _WIDTH, height / self.height), facecolor=_PANEL
        )


def draw(dashboard: Dashboard, answers: Sequence[Answer], span: Span, file: Path) -> None:
    """Write the dashboard with its answers as PNG."""
    rows = max(panel.place.y + panel.place.h for panel in dashboard.panels)
    sheet = _Sheet(_HEAD + rows * _ROW + _MARGIN)
    moments = (datetime.fromtimestamp(moment, UTC) for moment in (span.start, span.end))
    sheet.text(_MARGIN + 4, _HEAD / 2, dashboard.title, 13, weight="bold")
    sheet.text(
        _WIDTH - _MARGIN, _HEAD / 2, "{:%Y-%m-%d %H:%M:%S} to {:%H:%M:%S} UTC".format(*moments), 9, _FAINT, ha="right"
    )
    for answer in answers:
        x, y, width, height = _dots(answer.panel.place)
        sheet.box(x, y, width, height)
        sheet.text(x + 12, y + 18, answer.panel.title, 10, weight="bold")
        if answer.empty:
            sheet.text(x + width / 2, y + height / 2 + 8, answer.error or "no data", 11, _FAINT, ha="center")
        elif answer.panel.kind == "stat":
            _stat(sheet, answer, (x, y + 32, width, height - 36))
        else:
            _lines(sheet, answer, span, (x, y + 36, width, height - 36))
    drawn = io.BytesIO()
    sheet.figure.savefig(drawn, facecolor=_GROUND)
    pyplot.close(sheet.figure)
    # few colours make a third of the bytes
    Image.open(drawn).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


def _dots(place: Place) -> tuple[float, float, float, float]:
    column = (_WIDTH - 2 * _MARGIN) / _COLUMNS
    gap = 3
    return (
        _MARGIN + place.x * column + gap,
        _HEAD + place.y * _ROW + gap,
        place.w * column - 2 * gap,
        place.h * _ROW - 2 * gap,
    )


def _last(series: Series) -> float:
    return next((value for _, value in reversed(series.points) if not math.isnan(value)), math.nan)


def _stat(sheet: _Sheet, answer: Answer, room: tuple[float, float, float, float]) -> None:
    """Big numbers side by side, each with its name below."""
    x, y, width, height = room
    shown = [one for one in answer.series if not math.isnan(_last(one))]
    cell = width / len(shown)
    texts = [written(_last(one), answer.panel.unit) for one in shown]
    size = min(24.0, *(cell / max(4, len(text)) * 0.95 for text in texts))
    for number, (one, text) in enumerate(zip(shown, texts, strict=True)):
        middle = x + (number + 0.5) * cell
        colour = answer.panel.colour(_last(one))
        sheet.text(middle, y + height * 0.42, text, size, _NAMED.get(colour, colour), ha="center", weight="bold")
        name = answer.name(one)
        sheet.text(middle, y + height * 0.8, name, min(9.0, cell / max(1, len(name)) * 1.1), _FAINT, ha="center")


def _lines(sheet: _Sheet, answer: Answer, span: Span, room: tuple[float, float, float, float]) -> None:
    x, y, width, height = room
    across, _ = _columns(answer)
    rows = math.ceil(len(answer.series) / across)
    below = 24 + 16 * min(rows, _NAME_ROWS) + (14 if rows > _NAME_ROWS else 0)
    axes = sheet.axes(x + 78, y + 4, width - 96, height - below - 10)
    colours = {id(one): _LINES[number % len(_LINES)] for number, one in enumerate(answer.series)}
    for one in answer.series:
        moments, values = zip(*one.points, strict=True)
        axes.plot(moments, values, color=colours[id(one)], linewidth=1.3, marker="." if len(values) == 1 else "")
    _scales(axes, answer, span)
    _names(sheet, answer, colours, (x, y + height - below + 22, width))


def _scales(axes: Axes, answer: Answer, span: Span) -> None:
    highest = max(_highest(one) for one in answer.series) * _HEADROOM or 1.0
    lowest = min(0.0, min(value for one in answer.series for _, value in one.points if not math.isnan(value)))
    axes.set_ylim(lowest, highest)
    axes.set_xlim(span.start, span.end)
    if answer.panel.shows_thresholds:
        for value, colour in answer.panel.steps:
            if lowest <= value <= highest:
                axes.axhline(value, color=_NAMED.get(colour, colour), linestyle="--", linewidth=1)
    axes.xaxis.set_major_locator(ticker.MultipleLocator(_every(span.end - span.start, _MOST_TIMES)))
    axes.xaxis.set_major_formatter(
        ticker.FuncFormatter(lambda moment, _: f"{datetime.fromtimestamp(moment, UTC):%H:%M:%S}")
    )
    axes.yaxis.set_major_locator(_ticks(answer.panel.unit, highest))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: written(value, answer.panel.unit)))
    axes.tick_params(colors=_FAINT, labelsize=8, length=0, pad=6)
    axes.grid(color=_EDGE, linewidth=0.7)
    axes.set_frame_on(False)


def _ticks(unit: str, highest: float) -> ticker.Locator:
    """Whole minutes, hours and days on an axis of seconds; else what is round."""
    if unit != "s" or highest <= _MOST_VALUES:
        return ticker.MaxNLocator(_MOST_VALUES)
    return ticker.MultipleLocator(_every(highest, _MOST_VALUES))


def _every(seconds: float, most: int) -> float:
    """The shortest round time that goes into so many seconds at most so often."""
    return next((one for one in _EVERY_SECONDS if seconds / one <= most), seconds)


def _highest(series: Series) -> float:
    return max((value for _, value in series.points if not math.isnan(value)), default=0.0)


def _names(sheet: _Sheet, answer: Answer, colours: dict[int, str], room: tuple[float, float, float]) -> None:
    """The legend: the highest lines first, and how many more there are."""
    x, y, width = room
    ordered = sorted(answer.series, key=lambda one: (-_highest(one), answer.name(one)))
    across, letters = _columns(answer)
    shown = across * _NAME_ROWS
    for number, one in enumerate(ordered[:shown]):
        down, right = divmod(number, across)
        at_x, at_y = x + 16 + right * (width - 24) / across, y + 8 + down * 16
        sheet.text(at_x, at_y, "━", 8, colours[id(one)], weight="bold")
        name = answer.name(one)
        sheet.text(at_x + 16, at_y, name if len(name) <= letters else name[: letters - 1] + "…", 8)
    if len(ordered) > shown:
        sheet.text(
            x + 16, y + 8 + 16 * _NAME_ROWS, f"and {len(ordered) - shown} more, none of them higher", 7.5, _FAINT
        )


def _columns(answer: Answer) -> tuple[int, int]:
    """How many names go side by side, and how many letters of each."""
    longest = max(len(answer.name(one)) for one in answer.series)
    return next((way for way in _ACROSS if longest <= way[1]), _ACROSS[-1])
