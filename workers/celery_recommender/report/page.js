
"use strict";
(() => {
  const counts = JSON.parse(document.getElementById("histogram").textContent);
  const control = document.getElementById("threshold");
  const said = document.getElementById("said");
  const bars = document.querySelectorAll("rect");
  const rows = document.querySelectorAll("tr[data-probability]");
  const show = () => {
    const from = Number(control.value);
    let items = 0;
    let shown = 0;
    counts.forEach((count, place) => {
      const within = place >= from;
      items += within ? count : 0;
      bars[place].classList.toggle("below", !within);
    });
    for (const row of rows) {
      row.hidden = Math.floor(Number(row.dataset.probability) * counts.length) < from;
      shown += row.hidden ? 0 : 1;
    }
    const text = (from / counts.length).toFixed(2);
    control.setAttribute("aria-valuetext", text);
    said.textContent = `${items.toLocaleString()} items have a match of ${text} or more; ${shown} pairs below`;
  };
  control.addEventListener("input", show);
  document.getElementById("slider").hidden = false;
  show();
})();
