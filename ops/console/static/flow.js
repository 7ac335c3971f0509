// Draws what the stages were in the last hour, and goes on every few seconds.
"use strict";

const HOUR_SECONDS = 3600;
const EVERY_MILLISECONDS = 5000;
const HEIGHT = 300;
// lines must differ by more than their colour
const DASHES = [[], [8, 4], [2, 3]];

document.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("plot");
  const known = { at: [], steps: {}, unit: "" };
  let drawn = null;

  async function load() {
    const since = known.at.length ? known.at[known.at.length - 1] : 0;
    const query = new URLSearchParams({ measure: place.dataset.measure, since: String(since) });
    const answer = await fetch(`/flow/samples?${query}`);
    if (!answer.ok) return;
    const found = await answer.json();
    const before = known.at.length;
    known.unit = found.unit;
    known.at.push(...found.at);
    for (const [name, values] of Object.entries(found.steps)) {
      known.steps[name] ??= new Array(before).fill(null);
      known.steps[name].push(...values);
    }
    const old = known.at.findIndex((at) => at > known.at[known.at.length - 1] - HOUR_SECONDS);
    for (const values of [known.at, ...Object.values(known.steps)]) values.splice(0, Math.max(0, old));
    show();
  }

  function show() {
    const names = Object.keys(known.steps);
    if (!known.at.length) return;
    const data = [known.at, ...names.map((name) => known.steps[name])];
    if (drawn) drawn.setData(data);
    else drawn = new uPlot(options(names), data, place);
  }

  function options(names) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    return {
      width: place.clientWidth,
      height: HEIGHT,
      legend: { live: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(1, high ?? 1)] } },
      // in UTC, as all times of the pages
      axes: [{ ...axis, values: (_, at) => at.map((one) => new Date(one * 1000).toISOString().slice(11, 19)) }, { ...axis, label: known.unit, labelSize: 20, size: 60 }],
      series: [
        { label: "time" },
        ...names.map((name, number) => ({
          label: name,
          stroke: `hsl(${(number * 137) % 360} 60% ${matchMedia("(prefers-color-scheme: dark)").matches ? 70 : 35}%)`,
          width: 2,
          dash: DASHES[number % DASHES.length],
          points: { show: false },
        })),
      ],
    };
  }

  function again() {
    drawn?.destroy();
    drawn = null;
    show();
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  new ResizeObserver(() => drawn && drawn.width !== place.clientWidth && again()).observe(place);
  const next = () => load().catch(() => {}).then(() => setTimeout(next, EVERY_MILLISECONDS));
  next();
});
