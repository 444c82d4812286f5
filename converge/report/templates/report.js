"use strict";
// Sorts and filters tables. The page is complete without it, and what stands in cells is only moved, never read as markup.
const UNITS = { kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };
const FEWEST = 10; // rows of a table that is filtered

function worth(text) {
  const found = /^([+-]?[\d,]+)(?::(\d\d))?(\.\d+)?(?: (\w+))?/.exec(text);
  if (!found) return NaN;
  const number = Number(found[1].replaceAll(",", "") + (found[3] ?? ""));
  return found[2] ? number * 60 + Number(found[2]) : number * (UNITS[found[4]] ?? 1);
}

function compared(one, other) {
  const difference = worth(one) - worth(other);
  return Number.isNaN(difference) ? one.localeCompare(other, undefined, { numeric: true }) : difference;
}

function sort(table, place, numbers) {
  const heads = [...table.tHead.rows[0].cells];
  const was = heads[place].getAttribute("aria-sort");
  const down = was ? was === "ascending" : numbers;
  const text = (row) => row.cells[place].textContent.trim();
  const rows = [...table.tBodies[0].rows].sort((one, other) => compared(text(one), text(other)));
  table.tBodies[0].append(...(down ? rows.reverse() : rows));
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[place].setAttribute("aria-sort", down ? "descending" : "ascending");
}

function filtered(table) {
  const label = document.createElement("label"), input = document.createElement("input");
  const count = document.createElement("output"), rows = [...table.tBodies[0].rows];
  label.className = "filter";
  input.type = "search";
  label.append(`Filter ${table.caption.textContent.toLowerCase()} `, input, count);
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = wanted ? ` ${shown} of ${rows.length}` : "";
  });
  table.parentElement.before(label);
}

for (const table of document.querySelectorAll(".scroll > table")) {
  const rows = table.tBodies[0].rows.length;
  if (table.parentElement.scrollWidth > table.parentElement.clientWidth) table.parentElement.tabIndex = 0;
  if (rows < 2) continue;
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, place, head.className === "number"));
  });
  if (rows >= FEWEST) filtered(table);
}
