// The live tail: bounds what the browser keeps, and says whether it is connected.
"use strict";

const MAX_ROWS = 200;

function say(stream, state) {
  for (const one of stream.querySelectorAll("[data-when]")) one.hidden = one.dataset.when !== state;
}

document.addEventListener("DOMContentLoaded", () => {
  const events = document.getElementById("events");
  const stream = document.getElementById("stream");
  if (!stream) return;
  stream.addEventListener("htmx:sse:after:connection", () => say(stream, "on"));
  stream.addEventListener("htmx:sse:error", () => say(stream, "lost"));
  new MutationObserver(() => {
    while (events.rows.length > MAX_ROWS) events.deleteRow(-1);
  }).observe(events, { childList: true });
});
