"use strict";
// Sorts and filters the tables of layers, and shows the histograms of the layers that are left, some at a time.
// Without it the page shows all layers, in the order of depth, and the first histograms.
const MORE = 24;

for (const section of document.querySelectorAll("section:has(> .scroll)")) {
  const table = section.querySelector("table.layers");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const words = new Intl.Collator(undefined, { numeric: true });
  const numbers = { nan: NaN, inf: Infinity, "-inf": -Infinity };
  const rows = [...body.rows].map((row, at) => ({ row, at, text: row.textContent.toLowerCase(), flawed: row.className === "flawed" }));

  const gallery = section.querySelector(".histograms");
  const charts = gallery ? [...gallery.children, ...(section.querySelector("template")?.content.children ?? [])] : [];
  const first = gallery ? gallery.children.length : 0;
  const more = section.querySelector(".more");
  let fitting = charts, shown = first, sorted = false;

  const show = () => {
    gallery.replaceChildren(...fitting.slice(0, shown));
    more.hidden = fitting.length === charts.length && charts.length <= first;
    more.querySelector("button").hidden = fitting.length <= shown;
    more.querySelector("output").textContent = `${Math.min(shown, fitting.length)} of ${charts.length} parameters`;
  };
  const arrange = () => { // in the order of the table; at first those of flawed layers lead
    if (!gallery) return;
    const place = new Map();
    rows.forEach(({ row, at }, index) => { if (!row.hidden) place.set(String(at + 1), index); });
    fitting = charts.filter((chart) => place.has(chart.dataset.row));
    if (sorted) fitting.sort((a, b) => place.get(a.dataset.row) - place.get(b.dataset.row));
    shown = first;
    show();
  };

  const key = (cell) => {
    const value = cell.dataset.value;
    if (value === undefined) return cell.textContent.trim();
    return value in numbers ? numbers[value] : Number(value);
  };
  const empty = (value) => value === "" || Number.isNaN(value);
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : words.compare(a, b));

  const sort = (column, ascending) => {
    for (const each of rows) each.key = key(each.row.cells[column]);
    rows.sort((a, b) => {
      if (empty(a.key) || empty(b.key)) return empty(a.key) - empty(b.key); // what is not known stands last
      return ascending ? compare(a.key, b.key) : compare(b.key, a.key);
    });
    body.append(...rows.map((each) => each.row));
    heads.forEach((head, at) => head.setAttribute("aria-sort", at !== column ? "none" : ascending ? "ascending" : "descending"));
    sorted = true;
    arrange();
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sort(column, head.getAttribute("aria-sort") !== "ascending"));
  });

  const controls = section.querySelector(".controls");
  const search = controls.querySelector("input[type=search]");
  const only = controls.querySelector("input[type=checkbox]");
  const status = controls.querySelector("output");
  const filter = () => {
    const wanted = search.value.trim().toLowerCase().split(/\s+/);
    let count = 0;
    for (const { row, text, flawed } of rows) {
      const fits = (flawed || !only.checked) && wanted.every((word) => text.includes(word));
      row.hidden = !fits;
      count += fits;
    }
    status.textContent = `${count} of ${rows.length} layers`;
    arrange();
  };
  search.addEventListener("input", filter);
  only.addEventListener("change", filter);
  more?.querySelector("button").addEventListener("click", () => {
    const next = shown;
    shown += MORE;
    show();
    gallery.children[next].tabIndex = -1;
    gallery.children[next].focus({ preventScroll: true }); // the button may be gone
  });
  controls.hidden = false;
  filter();
}
