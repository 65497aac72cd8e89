// Each code cell can be changed and run in the page: by Python in a worker, from files of the book (book/_ext/live.py).
// Nothing is loaded before the first run, and never anything from outside.
"use strict";

const LIVE = `${document.documentElement.dataset.content_root ?? "../"}live/`;
const PAGE = location.pathname.split("/").pop().replace(/\.html$/, "");
// A cell with one of these tags stays as it is printed.
const ELSEWHERE = {
  numba: "Numba compiles for the processor itself, which a page cannot do",
  dask: "Dask is not part of the Python of this page",
};

const NOW = "-now";       // ends the id of a slider that is drawn anew
const cells = [];         // of the page, in their order
let page;                 // what live/pages/PAGE.js says: the files to begin with, the cells
let worker, answer;       // Python, and what waits for its next answer
let busy = false;         // a run is under way
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

const loadPage = async () => {
  if (!page) await load(`pages/${PAGE}.js`);
  if (page.cells.length !== cells.length) throw new Error("This page and live/pages are not of the same build");
};

// --- Python ---

class Interruption extends Error {}

async function start() {
  if (!("WebAssembly" in window && "DecompressionStream" in window && "Worker" in window)) {
    throw new Error("This browser is too old to run Python in a page: it needs one of 2023 or later");
  }
  await loadPage();
  // One after the other, in the order in which Python asks for them: it begins while the others are being read.
  const files = new Map();
  let before = Promise.resolve();
  for (const name of page.core) files.set(name, before = before.then(() => bytes(name)));
  const program = await files.get("worker.js");
  const made = worker = new Worker(URL.createObjectURL(new Blob([program], {type: "text/javascript"})));
  made.onmessage = async ({data}) => {
    if (made !== worker) return;
    if (!("need" in data)) return answer(data);
    const [what] = data.need.split("-"), all = page.core.length - 1;  // the worker itself is one of them
    const asked = files.get(data.need) ?? bytes(data.need);
    files.delete(data.need);
    const starts = page.core.includes(data.need);
    say(starts ? `Python is starting: file ${page.core.length - files.size} of ${all}, ${what}` : `Loading ${what}`);
    try {
      const found = await asked;
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

// Have Python run something: its outputs.
async function ask(message) {
  const result = await new Promise(done => {
    answer = done;
    worker.postMessage(message);
  });
  answer = undefined;
  if (result.stopped) throw new Error("Stopped. Python has forgotten everything; the next run begins with the first cell");
  if (result.failed) throw new Error(result.failed);
  return result.outputs;
}

// --- what can be edited and run ---

// An editor for code: Enter keeps the indentation, Control and Enter runs. Tab leaves it, as it leaves every field.
class Editor {
  constructor(text, label, run) {
    this.field = element("textarea", {value: text, spellcheck: false, wrap: "off", className: "live-editor"});
    this.field.setAttribute("aria-label", `${label}; Control and Enter runs it`);
    this.field.addEventListener("input", () => this.fit());
    this.field.addEventListener("keydown", event => this.key(event, run));
    this.fit();
  }

  fit() { this.field.rows = this.field.value.split("\n").length; }

  key(event, run) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (event.ctrlKey || event.metaKey || event.shiftKey) return run();
    const {selectionStart: at, selectionEnd: end, value} = this.field;
    const line = value.slice(value.lastIndexOf("\n", at - 1) + 1, at);
    this.field.setRangeText(`\n${line.match(/^ */)[0]}${/:\s*$/.test(line) ? "    " : ""}`, at, end, "end");
    this.fit();
  }
}

class Cell {
  constructor(box, number) {
    Object.assign(this, {box, number, ran: null, editor: null});
    this.code = box.querySelector(".cell_input pre");
    const tag = [...box.classList].find(name => name.startsWith("tag_needs-"));
    this.elsewhere = tag && ELSEWHERE[tag.slice("tag_needs-".length)];
    const tools = element("div", {className: "live-tools"});
    if (this.elsewhere) tools.append(`Not in the browser: ${this.elsewhere}.`);
    else {
      this.editButton = button("Edit", `Edit cell ${number}`, () => this.edit());
      this.resetButton = button("Reset", `Reset cell ${number}`, () => { this.reset(); this.editButton.focus(); });
      this.resetButton.hidden = true;
      tools.append(button("Run", `Run cell ${number}`, () => runTo(this)), this.editButton, this.resetButton);
    }
    box.querySelector(".cell_input").append(tools);
  }

  get stored() { return page?.cells[this.number - 1].source ?? this.code.textContent.replace(/\n$/, ""); }
  get text() { return this.editor ? this.editor.field.value : this.stored; }

  edit() {
    this.editor = new Editor(this.stored, `Code of cell ${this.number}`, () => runTo(this));
    this.code.before(this.editor.field);
    this.change(true);
    this.editor.fit();
    this.editor.field.focus();
  }

  change(edited) {
    this.code.hidden = this.editButton.hidden = edited;
    this.resetButton.hidden = !edited;
  }

  reset() {
    this.editor?.field.remove();
    this.editor = null;
    this.change(false);
    this.output?.remove();
    for (const cell of cells.slice(this.number - 1)) cell.ran = null;
  }

  // What it shows now, under what is printed; of a cell that ran on the way, only what differs.
  show(outputs, asked) {
    const failed = outputs.some(({kind}) => kind === "error");
    const same = !failed && said(outputs) === said(page.cells[this.number - 1].printed);
    const drawn = outputs.some(({kind}) => kind === "picture") ? " Pictures are drawn anew and not compared." : "";
    const verdict = failed ? "An error:" : same && !outputs.length ? "Ran; it shows nothing."
      : `${same ? "The same as printed." : "Differs from what is printed."}${drawn}`;
    this.output?.remove();
    this.output = report(verdict, asked || !same ? outputs : [], failed ? "failed" : same ? "same" : "differs");
    this.box.append(this.output);
    finish(this.output);
    return !failed;
  }
}

// A place to answer an exercise, with cells of Python that check the answer where that can be done.
class Answer {
  constructor(box, number) {
    Object.assign(this, {box, number});
    this.tools = element("div", {className: "live-tools"},
      button("Answer here", `Answer exercise ${number} in this page`, () => this.open()));
    box.querySelector(".exercise-content, section")?.append(this.tools);
  }

  async open() {
    try {
      await loadPage();
    } catch (error) {
      showBar();
      return say(`${error.message}.`);
    }
    const {fill, check} = page.exercises[this.box.id];
    this.check = check;
    this.editor = new Editor(fill, `Your answer to exercise ${this.number}`, () => runAnswer(this));
    this.tools.replaceChildren(button(check ? "Check" : "Run", `Check exercise ${this.number}`, () => runAnswer(this)));
    this.tools.before(this.editor.field);
    this.editor.fit();
    this.editor.field.focus();
  }

  show(outputs) {
    this.output?.remove();
    this.output = report("", outputs, outputs.some(({kind}) => kind === "error") ? "failed" : "");
    this.tools.after(this.output);
    finish(this.output);
  }
}

const report = (verdict, outputs, state) => element("div", {className: `live-output ${state}`},
  ...(verdict ? [element("p", {className: "live-verdict", textContent: verdict})] : []), ...outputs.map(shown));

// What can be compared: all but pictures and warnings.
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
  if (kind === "html") {
    // A slider is found by its id, which is that of the stored one, too.
    const [, id] = content.match(/id="(slider-[^"]+)"/) ?? [];
    box.innerHTML = id ? content.replaceAll(id, `${id}${NOW}`) : content;
  } else {
    box.textContent = content;
    box.innerHTML = box.innerHTML.replace(/\*\*(.+?)\*\*/g, "<strong>$1</strong>").replace(/\n\n/g, "<br><br>");
  }
  for (const old of box.querySelectorAll("script")) {  // scripts that come as text do not run
    old.replaceWith(element("script", {textContent: old.textContent}));
  }
  return box;
}

// What is left to do once outputs stand in the page.
async function finish(box) {
  for (const slider of box.querySelectorAll("[id^='slider-']")) askFirst(slider, slider.id.slice(0, -NOW.length));
  await window.MathJax?.startup?.promise;
  await window.MathJax?.typesetPromise?.([box]);
  window.dispatchEvent(new Event("resize"));  // lossbook.js looks again for what is too wide
}

// --- running ---

// Do something with Python, one at a time; what stops it is said in the bar.
async function withPython(action) {
  showBar();
  if (busy) return say("Python is still running: wait, or stop it.");
  busy = true;
  stop.disabled = false;
  try {
    if (!worker) await start();
    say(await action());
  } catch (error) {
    if (!(error instanceof Interruption)) halt();
    say(error.message.replace(/\.?$/, "."));
  } finally {
    busy = false;
    stop.disabled = true;
  }
}

// Run the cells up to one, but for those that ran since they or one above them changed; the last runs if it is asked for.
async function runCells(upTo, asked) {
  let stale = false;
  for (const cell of cells.slice(0, upTo)) {
    if (cell.elsewhere) continue;
    stale ||= cell === asked || cell.ran !== cell.text;
    if (!stale) continue;
    say(`Cell ${cell.number} is running`);
    const text = cell.text;
    cell.ran = null;
    const outputs = await ask({source: text, name: `cell ${cell.number}`});
    if (cell.show(outputs, cell === asked)) cell.ran = text;
    else if (cell !== asked) {
      cell.box.scrollIntoView({block: "center"});
      throw new Interruption(`Cell ${cell.number}, which comes first, raises an error.`);
    }
  }
}

const runTo = cell => withPython(async () => {
  await runCells(cell.number, cell);
  for (const each of cells.slice(cell.number)) each.ran = null;  // they were made with what was before
  return `Cell ${cell.number} has run.`;
});

const runAll = () => withPython(async () => {
  cells.forEach(cell => { cell.ran = null; });
  await runCells(cells.length);
  return "All cells have run.";
});

const runAnswer = answer => withPython(async () => {
  const above = cells.filter(({box}) => box.compareDocumentPosition(answer.box) & Node.DOCUMENT_POSITION_FOLLOWING);
  await runCells(above.length);
  say(`The answer to exercise ${answer.number} is checked`);
  let outputs = await ask({source: answer.editor.field.value, name: `answer ${answer.number}`});
  if (answer.check && outputs.every(({kind}) => kind !== "error")) {
    outputs = outputs.concat(await ask({source: answer.check, name: `check of answer ${answer.number}`}));
  }
  answer.show(outputs);
  for (const cell of cells.slice(above.length)) cell.ran = null;
  return `The answer to exercise ${answer.number} has been run.`;
});

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
  document.querySelectorAll(".bd-article .exercise").forEach((box, at) => new Answer(box, at + 1));
});
