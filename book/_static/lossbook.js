// What the theme leaves open for those who read with a keyboard, a screen reader or a phone.

// Formulas, code and tables that are wider than the page can be reached by keyboard, and show that they go on.
const SCROLLS = ".derivation .notes > span, mjx-container[display='true'], .bd-article pre, .bd-article table, .bd-article .cell_output, .bd-article div.math";
const NARROW = 600;

function markWide() {
  for (const table of document.querySelectorAll(".bd-article table")) stack(table);
  for (const box of document.querySelectorAll(SCROLLS)) {
    const { overflowX, overflowY } = getComputedStyle(box);
    const scrolls = box.scrollWidth > box.clientWidth && /auto|scroll/.test(overflowX)
      || box.scrollHeight > box.clientHeight && /auto|scroll/.test(overflowY);
    box.classList.toggle("scrolls", scrolls);
    if (scrolls && !box.hasAttribute("tabindex")) {
      box.tabIndex = 0;
      box.dataset.focusable = "";
    } else if (!scrolls && "focusable" in box.dataset) {
      box.removeAttribute("tabindex");
      delete box.dataset.focusable;
    }
  }
}

// On a phone, a table of several columns that does not fit becomes a list of its rows, each cell with its heading.
function stack(table) {
  table.classList.remove("stacks");
  const heads = [...table.querySelectorAll("thead th")];
  const said = heads.every(head => head.textContent.trim() && !head.querySelector("mjx-container"));
  if (innerWidth > NARROW || heads.length < 3 || !said || table.scrollWidth <= table.clientWidth + 1) return;
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.children].forEach((cell, at) => { cell.dataset.label = heads[at]?.textContent.trim() ?? ""; });
  }
  table.classList.add("stacks");
}

// On paper nothing scrolls: what is wider than the page is set smaller while it is printed.
const PAPER = 650;  // the width of a page of A4 without its margins, in pixels
const WIDE = ".derivation .formula, mjx-container[display='true'], .bd-article table";

function fitPaper() {
  for (const box of document.querySelectorAll(WIDE)) {
    const frame = box.matches("table") ? box.parentElement : box;  // a table is as wide as it needs to be
    const room = Math.max(frame.clientWidth, PAPER - 100*(box.closest(".admonition, .derivation") !== null));
    const width = Math.max(box.scrollWidth, box.offsetWidth);
    if (width <= room || box.parentElement.closest("[data-fitted]")) continue;
    box.dataset.fitted = "";
    box.style.zoom = room/width;
  }
}

function unfitPaper() {
  for (const box of document.querySelectorAll("[data-fitted]")) {
    delete box.dataset.fitted;
    box.style.zoom = "";
  }
}

// Each button says what it opens; the arrows in the list of contents say whose pages they show.
function nameButtons() {
  document.querySelectorAll("button.toggle-button").forEach((button, at) => {
    const title = button.parentElement.querySelector(".admonition-title");
    if (!title) return;
    title.id ||= `toggled-${at}`;
    button.id ||= `toggle-button-${at}`;
    button.setAttribute("aria-labelledby", `${button.id} ${title.id}`);
  });
  for (const summary of document.querySelectorAll("summary[aria-label='Toggle hidden content']")) {
    summary.removeAttribute("aria-label");  // it hides what the summary says
  }
  for (const summary of document.querySelectorAll(".bd-sidebar-primary summary")) {
    const page = summary.parentElement.previousElementSibling;
    if (page) summary.setAttribute("aria-label", `Pages of ${page.textContent.trim()}`);
  }
  for (const link of document.querySelectorAll(".btn-download-source-button")) link.setAttribute("download", "");
}

addEventListener("load", async () => {
  nameButtons();
  await window.MathJax?.startup?.promise;
  markWide();
  // Letters of another width, which come late, may make a line too long.
  document.fonts.addEventListener("loadingdone", markWide);
  const changes = new ResizeObserver(markWide);
  for (const box of document.querySelectorAll(".bd-article mjx-math, .bd-article .notes math")) changes.observe(box);
  addEventListener("beforeprint", fitPaper);
  addEventListener("afterprint", unfitPaper);
  let wait = 0;
  addEventListener("resize", () => { clearTimeout(wait); wait = setTimeout(markWide, 150); });
  for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", markWide);
  document.addEventListener("click", event => { if (event.target.closest(".toggle-button, .sd-tab-label")) markWide(); });
});
