"""Renders a payment's timeline as one self-contained HTML page: no script, no external font, no link.

The page exists to be attached to a ticket, where a drawing of the times is easier to read than a table. Every text
passes through `html.escape`, and entry kinds and colours come from closed lists. A template engine would add a
dependency for one page of fixed markup.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from html import escape
from typing import Any, Final

from paynotify.ops.trace.timeline import KINDS, Timeline, TimelineEntry

#: Colour of each entry kind; each kind is one row of the drawing.
_COLOURS: Final = {
    "expected": "#117733",
    "request": "#882255",
    "overdue": "#bb5566",
    "notification": "#4477aa",
    "rejected": "#cc3311",
    "duplicate": "#999999",
    "lookup": "#66ccee",
    "retry": "#ccbb44",
    "answer": "#228833",
    "dead": "#cc3311",
    "observation": "#aa3377",
    "status": "#222255",
    "refused": "#ee7733",
    "case": "#cc3311",
    "action": "#117733",
}
_WIDTH: Final = 960
_ROW_HEIGHT: Final = 24
_LEFT: Final = 110

_STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1080px;padding:0 1rem;color:#1b1b1f;background:#fff}
h1{font-size:1.35rem;margin:0 0 .2rem;overflow-wrap:anywhere}.meta{color:#555;margin:0 0 1rem}
svg{width:100%;height:auto}svg text{font-size:12px;fill:#555}
table{border-collapse:collapse;width:100%}td,th{padding:.35rem .5rem;text-align:left;vertical-align:top;
border-top:1px solid #ddd}td.t,td.p{font-variant-numeric:tabular-nums;white-space:nowrap;color:#555}
.k{color:#fff;border-radius:.3rem;padding:.05rem .45rem;font-size:.85em}
dl{display:grid;grid-template-columns:max-content 1fr;gap:0 .8rem;margin:.2rem 0}dt{color:#555}
td:nth-child(3){min-width:20rem}dd{margin:0;overflow-wrap:anywhere}summary{cursor:pointer}
@media(prefers-color-scheme:dark){body{background:#16161a;color:#e6e6ea}td,th{border-color:#333}
.meta,dt,td.t,td.p,svg text{color:#aaa;fill:#aaa}}
"""


def page(timelines: list[Timeline]) -> str:
    """The page for the timelines, of which there is usually one."""
    title = escape(" · ".join(one.name for one in timelines))
    body = "".join(part for one in timelines for part in _timeline(one))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _timeline(timeline: Timeline) -> Iterator[str]:
    yield f"<h1>{escape(timeline.name)}</h1>"
    order = f", order {escape(timeline.order_id)}" if timeline.order_id else ""
    yield f'<p class="meta">{escape(timeline.provider)}{order}: <b>{escape(timeline.status or "no status")}</b></p>'
    for note in timeline.notes:
        yield f'<p class="meta">{escape(note)}</p>'
    if not timeline.entries:
        yield "<p>No records were found.</p>"
        return
    yield _drawing(timeline.entries)
    yield "<table><thead><tr><th>time (UTC)<th>elapsed<th>entry<th>topic/partition/offset</tr></thead><tbody>"
    first = _seconds(timeline.entries[0])
    for entry in timeline.entries:
        yield _row(entry, _seconds(entry) - first)
    yield "</tbody></table>"


def _row(entry: TimelineEntry, elapsed_seconds: float) -> str:
    details = "".join(f"<dt>{escape(name)}<dd>{escape(_text(value))}" for name, value in entry.details.items())
    return (
        f'<tr><td class="t">{escape(entry.at)}<td class="t">+{elapsed_seconds:.3f} s'
        f'<td><details><summary><span class="k" style="background:{_COLOURS[entry.kind]}">{entry.kind}</span> '
        f"{escape(entry.what)}</summary><dl><dt>id<dd>{escape(entry.id)}{details}</dl></details>"
        f'<td class="p">{escape(entry.topic)}/{entry.partition}/{entry.offset}</tr>'
    )


def _drawing(entries: tuple[TimelineEntry, ...]) -> str:
    kinds = [kind for kind in KINDS if any(one.kind == kind for one in entries)]
    first, last = _seconds(entries[0]), _seconds(entries[-1])
    scale = (_WIDTH - _LEFT - 20) / ((last - first) or 1.0)
    height = _ROW_HEIGHT * len(kinds) + 24
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="timeline">']
    for number, kind in enumerate(kinds):
        y = _ROW_HEIGHT * number + 14
        parts.append(f'<text x="0" y="{y + 4}">{kind}</text>')
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y}" y2="{y}" stroke="#8884"/>')
        for one in entries:
            if one.kind == kind:
                x = _LEFT + (_seconds(one) - first) * scale
                title = escape(f"{one.at} {one.what}")
                dot = f'<circle cx="{x:.1f}" cy="{y}" r="6" fill="{_COLOURS[kind]}">'
                parts.append(f"{dot}<title>{title}</title></circle>")
    parts.append(f'<text x="{_LEFT}" y="{height - 2}">0 s</text>')
    parts.append(f'<text x="{_WIDTH - 10}" y="{height - 2}" text-anchor="end">{last - first:.3f} s</text></svg>')
    return "".join(parts)


def _seconds(entry: TimelineEntry) -> float:
    return datetime.fromisoformat(entry.at).timestamp()


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items() if one is not None)
    return "" if value is None else str(value)
