// Each code cell can be changed and run in the page: by Python in a worker, from files of the book (book/_ext/live.py).
// Nothing is loaded before the first run, and never anything from outside.
"use strict";

const LIVE = `${document.documentElement.dataset.content_root ?? "../"}live/`;
const PAGE = location.pathname.split("/").pop().replace(/\.html$/, "");
// A cell with one of these tags stays as it is printed.
const ELSEWHERE = {
  numba: "Numba compiles for the processor itself, which a page cannot do",
  cuda: "a page has no CUDA",
  dask: "Dask is not part of the Python of this page",
  compiler: "a page has no C compiler",
  threads: "a page runs one thread",
  skimage: "scikit-image is not part of the Python of this page",
  versions: "it reads what is installed on the machine",
  repository: "it reads files of the repository, which the page does not have",
};

const cells = [];         // of the page, in their order
let page;                 // what live/pages/PAGE.js says: the files to begin with, the cells
let worker, answer;       // Python, and what waits for its next answer
let busy = false;         // a run is under way
let handed = 0;           // files that Python has got
let bar, says, stop;      // the line at the bottom of the window

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
const button = (text, label, action) => {
  const made = element("button", {type: "button", textContent: text, onclick: action});
  made.setAttribute("aria-label", label);
  return made;
};

// --- files: each is a script that calls lossbookFile or lossbookPage ---

const arrived = {};
window.lossbookFile = (name, packed, text) => { arrived[name] = [packed, text]; };
window.lossbookPage = found => { page = found; };

const load = address => new Promise((done, failed) => {
  const script = element("script", {src: LIVE + address});
  script.onload = () => { script.remove(); done(); };
  script.onerror = () => { script.remove(); failed(new Error(`live/${address} is missing beside the pages`)); };
  document.head.append(script);
});

const bytes = async name => {
  await load(`files/${name}.js`);
  const [packed, text] = arrived[name];
  delete arrived[name];
  const plain = await fetch(`data:application/octet-stream;base64,${text}`);
  return packed ? new Response(plain.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer() : plain.arrayBuffer();
};

// --- Python ---

async function start() {
  if (!("WebAssembly" in window && "DecompressionStream" in window && "Worker" in window)) {
    throw new Error("This browser is too old to run Python in a page: it needs one of 2023 or later");
  }
  if (!page) await load(`pages/${PAGE}.js`);
  if (page.cells.length !== cells.length) throw new Error("this page and live/pages are not of the same build");
  const files = new Map(page.core.map(name => [name, bytes(name)]));
  const program = await files.get("worker.js");
  const made = worker = new Worker(URL.createObjectURL(new Blob([program], {type: "text/javascript"})));
  handed = 0;
  made.onmessage = async ({data}) => {
    if (made !== worker) return;
    if (!("need" in data)) return answer(data);
    say(`Python is starting: ${data.need.split("-")[0]} (file ${++handed})`);
    try {
      const found = await (files.get(data.need) ?? bytes(data.need));
      files.delete(data.need);
      made.postMessage({name: data.need, bytes: found}, [found]);
    } catch (error) {
      answer?.({failed: error.message});
    }
  };
  made.onerror = event => answer?.({failed: event.message || "the browser did not start the worker"});
}

function halt() {
  worker?.terminate();
  worker = undefined;
  for (const cell of cells) cell.ran = null;
  answer?.({stopped: true});
}

const ask = message => new Promise(done => {
  answer = done;
  worker.postMessage(message);
});

// --- a cell ---

class Cell {
  constructor(box, number) {
    Object.assign(this, {box, number, ran: null, editor: null});
    this.code = box.querySelector(".cell_input pre");
    this.input = box.querySelector(".cell_input");
    const tag = [...box.classList].find(name => name.startsWith("tag_needs-"));
    this.elsewhere = tag && ELSEWHERE[tag.slice("tag_needs-".length)];
    this.tools = element("div", {className: "live-tools"});
    if (this.elsewhere) this.tools.append(`Not in the browser: ${this.elsewhere}.`);
    else {
      this.tools.append(
        button("Run", `Run cell ${number}`, () => runTo(this)), button("Edit", `Edit cell ${number}`, () => this.edit()));
    }
    this.input.append(this.tools);
  }

  get stored() { return page?.cells[this.number - 1].source ?? this.code.textContent.replace(/\n$/, ""); }
  get text() { return this.editor ? this.editor.value : this.stored; }

  edit() {
    if (!this.editor) {
      this.editor = element("textarea", {value: this.stored, spellcheck: false, wrap: "off"});
      this.editor.setAttribute("aria-label", `Code of cell ${this.number}; Control and Enter runs it`);
      this.editor.addEventListener("input", () => this.fit());
      this.editor.addEventListener("keydown", event => this.key(event));
      this.code.hidden = true;
      this.code.before(this.editor);
      this.tools.append(button("Reset", `Reset cell ${this.number}`, () => this.reset()));
      this.tools.children[1].hidden = true;
      this.fit();
    }
    this.editor.focus();
  }

  fit() { this.editor.rows = this.editor.value.split("\n").length + 1; }

  key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.shiftKey)) {
      event.preventDefault();
      runTo(this);
    } else if (event.key === "Enter") {  // the next line begins where this one does
      const {selectionStart: at, selectionEnd: end, value} = this.editor;
      const line = value.slice(value.lastIndexOf("\n", at - 1) + 1, at);
      const indent = line.match(/^ */)[0] + (/:\s*$/.test(line) ? "    " : "");
      event.preventDefault();
      this.editor.setRangeText(`\n${indent}`, at, end, "end");
      this.fit();
    }
  }

  reset() {
    this.editor?.remove();
    this.editor = null;
    this.code.hidden = false;
    if (this.tools.children.length > 2) this.tools.lastChild.remove();
    this.tools.children[1].hidden = false;
    this.tools.children[1].focus();
    this.output?.remove();
    for (const cell of cells.slice(this.number - 1)) cell.ran = null;
  }

  // What it shows now, under what is printed; of a cell that ran on the way, only what differs.
  show(outputs, asked) {
    this.output?.remove();
    const printed = page.cells[this.number - 1].printed;
    const failed = outputs.some(({kind}) => kind === "error");
    const same = !failed && said(outputs) === said(printed);
    const drawn = outputs.some(({kind}) => kind === "picture") ? " Pictures are drawn anew and not compared." : "";
    const verdict = failed ? "An error:" : !outputs.length && same ? "Ran; nothing to show."
      : same ? `The same as printed.${drawn}` : `Differs from what is printed.${drawn}`;
    this.output = element("div", {className: `live-output ${failed ? "failed" : same ? "same" : "differs"}`},
      element("p", {className: "live-verdict", textContent: verdict}));
    if (asked || !same) this.output.append(...outputs.map(shown));
    this.box.append(this.output);
    typeset(this.output);
    return {failed, same};
  }
}

// What can be compared: all but pictures and warnings, with joined texts.
const said = outputs => JSON.stringify(outputs.filter(({kind}) => kind !== "warning").map(
  ({kind, content}) => [kind, kind === "picture" ? "" : content.trimEnd()]));

function shown({kind, content, width}) {
  if (kind === "picture") {
    return element("img", {src: `data:image/png;base64,${content}`, width, alt: "The picture that this cell draws now"});
  }
  if (kind === "text" || kind === "warning" || kind === "error") {
    return element("pre", {className: `live-${kind}`, textContent: content});
  }
  const box = element("div", {className: "output text_html math output_area"});
  if (kind === "html") box.innerHTML = content;
  else {
    box.textContent = content;
    box.innerHTML = box.innerHTML.replace(/\*\*(.+?)\*\*/g, "<strong>$1</strong>").replace(/\n\n/g, "<br><br>");
  }
  for (const old of box.querySelectorAll("script")) {  // scripts that come as text do not run
    old.replaceWith(element("script", {textContent: old.textContent}));
  }
  return box;
}

async function typeset(box) {
  await window.MathJax?.startup?.promise;
  await window.MathJax?.typesetPromise?.([box]);
  window.dispatchEvent(new Event("resize"));  // lossbook.js looks again for what is too wide
}

// --- running ---

// Run a cell, after those above that have not run since they or one above them changed.
async function runTo(cell) {
  if (busy) return say("Python is still running: wait, or stop it.");
  busy = true;
  showBar();
  stop.disabled = false;
  try {
    if (!worker) await start();
    let stale = false;
    for (const each of cells.slice(0, cell.number)) {
      if (each.elsewhere) continue;
      stale ||= each === cell || each.ran !== each.text;
      if (!stale) continue;
      say(`Cell ${each.number} is running`);
      const text = each.text;
      const result = await ask({source: text, name: `cell ${each.number}`});
      if (result.stopped) return say("Stopped. Python has forgotten everything; the next run begins with the first cell.");
      if (result.failed) throw new Error(result.failed);
      each.ran = text;
      const {failed} = each.show(result.outputs, each === cell);
      if (failed && each !== cell) {
        each.box.scrollIntoView({block: "center"});
        return say(`Cell ${each.number}, which comes first, raises an error.`);
      }
    }
    // What comes below was made with the old values.
    for (const each of cells.slice(cell.number)) each.ran = null;
    say(`Cell ${cell.number} has run.`);
  } catch (error) {
    halt();
    say(`${error.message}.`);
  } finally {
    busy = false;
    stop.disabled = true;
  }
}

async function runAll() {
  const [last] = cells.filter(cell => !cell.elsewhere).slice(-1);
  cells[0].ran = null;
  await runTo(last);
}

function startAnew() {
  halt();
  for (const cell of cells) if (!cell.elsewhere) cell.reset();
  say("Everything is as it was printed.");
}

function showBar() {
  if (bar) return;
  says = element("span", {role: "status"});
  stop = button("Stop", "Stop Python", halt);
  bar = element("div", {className: "live-bar"}, says, button("Run all", "Run all cells of this page", runAll), stop,
    button("Start anew", "Start anew: forget all changes", startAnew));
  bar.setAttribute("role", "region");
  bar.setAttribute("aria-label", "Python in this page");
  document.body.append(bar);
}

function say(text) { says.textContent = text; }

addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".bd-article div.cell").forEach((box, at) => cells.push(new Cell(box, at + 1)));
});
