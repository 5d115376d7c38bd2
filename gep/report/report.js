"use strict";
// Sorting: a click on a head sorts the rows by that column; totals stay at the end. A third click gives the order back.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const order = [...body.rows];
  const isTotal = (row) => row.classList.contains("total") || row.classList.contains("subtotal");
  const key = (row, at) => {
    const cell = row.cells[at];
    if (!cell) return null;
    const exact = cell.dataset.value;
    return exact !== undefined ? Number(exact) : cell.classList.contains("figure") ? null : cell.textContent.trim();
  };
  const compare = (a, b) => {
    if (a === null || a === "") return b === null || b === "" ? 0 : 1;
    if (b === null || b === "") return -1;
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), document.documentElement.lang);
  };
  [...table.tHead.rows[0].cells].forEach((head, at) => head.firstElementChild.addEventListener("click", () => {
    const was = head.getAttribute("aria-sort");
    const now = was === "ascending" ? "descending" : was === "descending" ? null : "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    if (now) head.setAttribute("aria-sort", now);
    const sorted = now ? order.filter((row) => !isTotal(row)) : order;
    if (now) {
      const sign = now === "ascending" ? 1 : -1;
      sorted.sort((a, b) => {
        const [x, y] = [key(a, at), key(b, at)];
        const missing = (x === null || x === "") !== (y === null || y === "");
        return missing ? compare(x, y) : sign * compare(x, y);
      });
      sorted.push(...order.filter(isTotal));
    }
    body.append(...sorted);
  }));
}

// The pointer: ledger lines of a figure, and what a part of a picture is.
const tip = document.getElementById("tip");
const said = (target) => {
  const figure = target.closest("[data-lines]");
  if (figure) return `${document.querySelector("[data-lines-word]").dataset.linesWord} ${figure.dataset.lines}`;
  const part = target.closest("svg g, svg path, svg rect, svg use");
  for (let at = part; at && at.tagName !== "svg"; at = at.parentElement) {
    const title = [...at.children].find((child) => child.tagName === "title");
    if (title) return title.textContent;
  }
  return "";
};
document.addEventListener("mousemove", (event) => {
  const text = event.target instanceof Element ? said(event.target) : "";
  tip.hidden = !text;
  tip.textContent = text;
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - 280)}px`;
  tip.style.top = `${event.clientY + 16}px`;
});
