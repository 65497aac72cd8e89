// Questions become forms that answer in the page, and a slider asks what one expects before it moves.
// Nothing is kept, and nothing is counted. Without this script, questions are lists with folded answers.

// An element with properties and children.
const made = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// --- questions ------------------------------------------------------------------------------------------------------

// What each kind adds to the form, and `check`, which gives [right, what to say, the explanations to show]. Those of a
// choice begin with a verdict.
const kinds = {
  choice(question, answer, name) {
    const items = [...question.querySelector(":scope > ol").children], why = [...answer.querySelector("ol").children];
    const right = why.map(each => each.classList.contains("right")), several = right.filter(Boolean).length > 1;
    why.forEach((each, at) => { each.value = at + 1; });  // it keeps its letter where it is shown alone
    const inputs = items.map((item, at) => {
      const input = made("input", {type: several ? "checkbox" : "radio", name, autocomplete: "off"});
      const letter = made("span", {}, `${String.fromCharCode(97 + at)}. `);
      item.replaceChildren(made("label", {}, input, letter, made("span", {}, ...item.firstElementChild.childNodes)));
      return input;
    });
    return {
      form: [made("p", {className: "hint"}, several ? "Choose all that are right." : "Choose one."), items[0].parentElement],
      check() {
        const chosen = inputs.map(input => input.checked);
        if (!chosen.includes(true)) return [false, "Nothing is chosen yet.", []];
        const same = right.every((each, at) => each === chosen[at]);
        if (same) return [true, "", why.filter((_, at) => chosen[at])];
        const wrong = why.filter((_, at) => chosen[at] && !right[at]);
        return [false, wrong.length ? "" : "Not yet: what you chose is right, and something is missing.", wrong];
      },
    };
  },

  number(question, answer, name) {
    const numbers = [...answer.querySelectorAll("data")];
    const input = made("input", {type: "text", inputMode: "decimal", id: name, autocomplete: "off", size: 12});
    const near = (typed, {value, dataset}) => Math.abs(typed - value) <= dataset.tolerance*Math.abs(value);
    return {
      form: [made("p", {}, made("label", {htmlFor: name}, "Your number"), " ", input)],
      check() {
        const typed = numberOf(input.value);
        if (Number.isNaN(typed)) return [false, "Type a number, such as 0.25, 1/4 or 2.5e-1.", []];
        const at = numbers.findIndex(each => near(typed, each));
        const why = at < 0 ? [] : [numbers[at].closest("li") ?? numbers[at].closest("p")];
        return [at === 0, at === 0 ? "Right." : "Not yet.", why];
      },
    };
  },

  order(question, answer) {
    const list = question.querySelector(":scope > ol"), moved = made("p", {className: "hint"});
    moved.setAttribute("aria-live", "polite");
    const place = item => Number(item.className.match(/place-(\d+)/)[1]);
    const lines = () => [...list.children];
    const named = () => lines().forEach((item, at) => {
      for (const button of item.querySelectorAll("button")) {
        button.setAttribute("aria-label", `Move line ${at + 1} ${button.value}`);
        button.setAttribute("aria-disabled", at === (button.value === "up" ? 0 : list.children.length - 1));
      }
    });
    const step = (item, way) => {
      const other = way === "up" ? item.previousElementSibling : item.nextElementSibling;
      if (!other) return;
      if (way === "up") other.before(item); else other.after(item);
      named();
      moved.textContent = `The line is now number ${lines().indexOf(item) + 1} of ${list.children.length}.`;
    };
    for (const item of lines()) {
      const grip = made("span", {className: "grip", textContent: "⠿"});
      grip.setAttribute("aria-hidden", "true");
      const buttons = ["up", "down"].map(way => {
        const button = made("button", {type: "button", value: way, textContent: way === "up" ? "↑" : "↓"});
        button.addEventListener("click", () => { step(item, way); button.focus(); });
        return button;
      });
      item.replaceChildren(grip, made("span", {className: "line"}, ...item.firstElementChild.childNodes), ...buttons);
      grip.addEventListener("pointerdown", event => { grip.setPointerCapture(event.pointerId); event.preventDefault(); });
      grip.addEventListener("pointermove", event => {
        if (!grip.hasPointerCapture(event.pointerId)) return;
        const middle = other => { const box = other.getBoundingClientRect(); return box.top + box.height/2; };
        const {previousElementSibling: above, nextElementSibling: below} = item;
        const way = above && event.clientY < middle(above) ? "up" : below && event.clientY > middle(below) ? "down" : "";
        if (!way) return;
        step(item, way);
        grip.setPointerCapture(event.pointerId);  // an element that is moved loses its pointer
      });
    }
    named();
    return {
      form: [made("p", {className: "hint"}, "Move the lines with their buttons, or drag them."), list, moved],
      check() {
        const first = lines().findIndex((item, at) => place(item) !== at);
        if (first < 0) return [true, "Right.", [...answer.querySelectorAll("details > :not(summary, ol)")]];
        const said = ["The first line is another one.", "The first line is right, the second is another one."][first];
        return [false, `Not yet. ${said ?? `The first ${first} lines are right, the next is another one.`}`, []];
      },
    };
  },
};

// A number as people type it: 0.25, 0,25, 1/4, 25e-2; with the sign of minus, too.
function numberOf(text) {
  const [whole, part, rest] = text.trim().replace("−", "-").replace(",", ".").split("/");
  if (!whole || rest !== undefined || part === "") return NaN;
  return Number(whole)/Number(part ?? 1);
}

document.querySelectorAll(".question").forEach((question, at) => {
  const kind = Object.keys(kinds).find(each => question.classList.contains(each));
  const answer = question.querySelector(".answer"), text = question.querySelector(":scope > p");
  const fieldset = made("fieldset"), form = made("form", {noValidate: true}, fieldset);
  fieldset.append(made("legend", {}, ...text.childNodes));
  const more = [...question.children].filter(child => child !== text && child !== answer && child.tagName !== "OL");
  const {form: parts, check} = kinds[kind](question, answer, `question-${at + 1}`);
  const result = made("div", {className: "result"}), show = made("button", {type: "button"}, "Show the answer");
  result.setAttribute("role", "status");
  fieldset.append(...more, ...parts, made("p", {className: "buttons"}, made("button", {type: "submit"}, "Check"), show));
  question.replaceChildren(form, result, answer);
  text.remove();
  answer.hidden = true;
  const home = new Map();  // explanations go back to the place from which they were taken
  const say = (verdict, said, why) => {
    for (const [each, mark] of home) mark.replaceWith(each);
    home.clear();
    const shown = why.map(each => {
      const mark = made("span", {hidden: true});
      each.before(mark);
      home.set(each, mark);
      return each;
    });
    result.className = `result ${verdict}`;
    const list = shown.some(each => each.tagName === "LI");
    result.replaceChildren(...said ? [made("p", {className: "verdict"}, said)] : [], ...list ? [made("ol", {}, ...shown)] : shown);
  };
  form.addEventListener("submit", event => {
    event.preventDefault();
    const [right, said, why] = check();
    say(right ? "right" : "wrong", said, why);
  });
  show.addEventListener("click", () => {
    say("", "", []);
    answer.hidden = !answer.hidden;
    answer.querySelector("details").open = !answer.hidden;
    show.textContent = answer.hidden ? "Show the answer" : "Hide the answer";
    show.setAttribute("aria-expanded", !answer.hidden);
  });
});

// --- sliders --------------------------------------------------------------------------------------------------------

const expect = JSON.parse(document.getElementById("expect")?.textContent ?? "{}");

// Ask the question of a slider, with the choices that the page has under a name; live.js does so for one that is drawn anew.
function askFirst(root, known = root.id) {
  const move = root.querySelector(":scope > p > button");
  if (!move) return;
  const name = `${root.id}-expect`, asked = move.parentElement;
  const fields = expect[known]?.map(choice => made("label", {}, made("input", {type: "radio", name, value: choice,
    required: true, autocomplete: "off"}), " ", choice))
    ?? [made("label", {}, "A guess, in a few words ", made("input", {type: "text", name, required: true, autocomplete: "off"}))];
  const answer = Object.assign(move.cloneNode(), {type: "submit", textContent: "Answer"});
  const skip = made("button", {type: "button"}, "Skip");
  const fieldset = made("fieldset", {}, made("legend", {}, "What do you expect?"), ...fields, made("p", {}, answer, " ", skip));
  const form = made("form", {className: "expect"}, fieldset);
  asked.id = `${name}-question`;
  fieldset.setAttribute("aria-describedby", asked.id);
  const go = said => {
    form.replaceWith(...said ? [made("p", {className: "expected"}, made("strong", {}, "You expected: "), said)] : []);
    move.click();
  };
  form.addEventListener("submit", event => { event.preventDefault(); go(new FormData(form).get(name).trim()); });
  skip.addEventListener("click", () => go(""));
  move.style.display = "none";
  answer.hidden = false;
  asked.after(form);
}

for (const root of document.querySelectorAll("[id^='slider-']")) askFirst(root);
