"use strict";
// Sorts and filters the tables of layers. Without it the page shows everything, in the order of depth.
for (const table of document.querySelectorAll("table.layers")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const words = new Intl.Collator(undefined, { numeric: true });
  const numbers = { nan: NaN, inf: Infinity, "-inf": -Infinity };
  const rows = [...body.rows].map((row) => ({ row, text: row.textContent.toLowerCase(), flawed: row.className === "flawed" }));

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
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sort(column, head.getAttribute("aria-sort") !== "ascending"));
  });

  const controls = table.closest("section").querySelector(".controls");
  const search = controls.querySelector("input[type=search]");
  const only = controls.querySelector("input[type=checkbox]");
  const status = controls.querySelector("output");
  const filter = () => {
    const wanted = search.value.trim().toLowerCase().split(/\s+/);
    let count = 0;
    for (const { row, text, flawed } of rows) {
      const shown = (flawed || !only.checked) && wanted.every((word) => text.includes(word));
      row.hidden = !shown;
      count += shown;
    }
    status.textContent = `${count} of ${rows.length} layers`;
  };
  search.addEventListener("input", filter);
  only.addEventListener("change", filter);
  controls.hidden = false;
  filter();
}
