// What a link leads to, an equation or a definition, a term or a reference, shown beside it on hover and on focus.
// Escape closes it; a tap on a phone follows the link as before.

const DELAY = 250, LEAVE = 200, GAP = 6, MARGIN = 8;
const LINKS = ".bd-article a.reference[href*='#']";
const source = new URL("preview_texts.js", document.currentScript.src);
let texts = null, box = null, shownFor = null, timer = 0;

// Called by preview_texts.js, which is loaded when the first preview is wanted.
function showPreviews(all) {
  texts = all;
}

function loaded() {
  return texts ? Promise.resolve() : new Promise(resolve => {
    const script = document.createElement("script");
    script.src = source;
    script.onload = resolve;
    document.head.append(script);
  });
}

function place(link) {
  const [first] = link.getClientRects();
  const { width, height } = box.getBoundingClientRect();
  const left = Math.max(MARGIN, Math.min(first.left, document.documentElement.clientWidth - width - MARGIN));
  const below = first.bottom + GAP + height < innerHeight || first.top < height + GAP;
  box.style.left = `${left + scrollX}px`;
  box.style.top = `${(below ? first.bottom + GAP : first.top - GAP - height) + scrollY}px`;
}

async function show(link) {
  await loaded();
  const target = new URL(link.href);
  const html = texts[target.pathname.split("/").pop() + decodeURIComponent(target.hash)];
  // A page without formulas has no MathJax, and a formula in letters helps nobody.
  if (!html || html.includes('class="math') && !window.MathJax?.typesetPromise || shownFor === link) return;
  hide();
  box = document.createElement("div");
  box.id = "preview";
  box.className = "preview bd-article";
  box.setAttribute("role", "tooltip");
  box.innerHTML = html;
  box.addEventListener("pointerenter", () => clearTimeout(timer));
  box.addEventListener("pointerleave", leave);
  document.body.append(box);
  shownFor = link;
  link.setAttribute("aria-describedby", "preview");
  place(link);
  const mine = box;
  await window.MathJax?.typesetPromise?.([box]);
  if (mine === box) place(link);
}

function hide() {
  clearTimeout(timer);
  shownFor?.removeAttribute("aria-describedby");
  box?.remove();
  box = shownFor = null;
}

function leave() {
  clearTimeout(timer);
  timer = setTimeout(hide, LEAVE);
}

document.addEventListener("pointerover", event => {
  const link = event.target.closest?.(LINKS);
  if (!link || event.pointerType !== "mouse" || link.closest(".preview")) return;
  clearTimeout(timer);
  timer = setTimeout(show, DELAY, link);
});
document.addEventListener("pointerout", event => { if (event.target.closest?.(LINKS)) leave(); });
document.addEventListener("focusin", event => {
  const link = event.target.closest?.(LINKS);
  if (link?.matches(":focus-visible")) show(link);
});
document.addEventListener("focusout", event => { if (event.target === shownFor) hide(); });
document.addEventListener("keydown", event => { if (event.key === "Escape") hide(); });
document.addEventListener("click", hide);
