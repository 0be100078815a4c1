// The few things that HTML and htmx do not do: keys of the review queue, the live feed, the slider.
"use strict";

const byId = (id) => document.getElementById(id);

// Keys press the buttons that say so (data-key). Bound once. While a card is on its way a key is dropped: it was meant
// for the card before, and would answer the next one unseen.
let swapping = false;
const typing = (element) => element.closest("input, textarea, select, [contenteditable]") !== null;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(event.target)) return;
  const button = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (button === null) return;
  event.preventDefault();
  if (!swapping && !button.disabled) button.click();
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.target?.id !== "card" || event.detail.requestConfig.verb !== "post") return;
  swapping = true;
  // Not an event of htmx: those do not come up from a card that has left meanwhile.
  event.detail.xhr.addEventListener("loadend", () => {
    swapping = false;
  });
});

// A page whose process is gone says so, until it is answered again. Nothing that was pressed meanwhile was sent.
document.addEventListener("htmx:sendError", () => {
  byId("offline").hidden = false;
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.xhr.status > 0) byId("offline").hidden = true;
});

// The live feed: rows come in batches, the newest first, and no more stay than the page says.
const feed = byId("feed");
if (feed !== null) {
  const most = Number(feed.dataset.most);
  const held = [];
  let paused = false;
  const show = (rows) => {
    const template = document.createElement("template");
    template.innerHTML = rows.slice(-most).reverse().join("");
    feed.prepend(template.content);
    while (feed.childElementCount > most) feed.lastElementChild.remove();
    byId("feed-empty").hidden = feed.childElementCount > 0;
  };
  const source = new EventSource(feed.dataset.source);
  source.addEventListener("open", () => feed.toggleAttribute("data-open", true));
  source.addEventListener("rows", (event) => {
    const { rows, missed } = JSON.parse(event.data);
    if (missed > 0) {
      const told = byId("missed");
      told.hidden = false;
      const count = told.querySelector("b");
      count.textContent = String(Number(count.textContent) + missed);
    }
    if (!paused) return show(rows);
    held.push(...rows);
    held.splice(0, Math.max(0, held.length - most));
  });
  const pause = byId("pause");
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) show(held.splice(0));
  });
}
