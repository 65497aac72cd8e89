const say = (number, digits = 3) => {
  if (!Number.isFinite(number)) return Number.isNaN(number) ? "undefined" : number > 0 ? "infinity" : "minus infinity";
  const text = (number + 1.37e-7).toFixed(digits);
  return /^-[0.]+$/.test(text) ? text.slice(1) : text;
};
const spaced = ([low, high], count) => Array.from({length: count + 1}, (_, i) => low + (high - low)*i/count);
const root_of = (slope, low, high) => {  // of a slope that rises, by bisection
  for (let i = 0; i < 60; i++) {
    const middle = (low + high)/2;
    if (slope(middle) > 0) high = middle; else low = middle;
  }
  return (low + high)/2;
};
const place = number => (number + 0.00137).toFixed(2);
const across = (panel, x) => 300*(x - panel.x[0])/(panel.x[1] - panel.x[0]);
const down = (panel, y) => (panel.y[1] - y)*panel.height/(panel.y[1] - panel.y[0]);
const cut = (panel, y) => Math.min(Math.max(down(panel, y), -panel.height), 2*panel.height);
const path = {
  line: (panel, shape, [xs, ys]) => {
    const side = y => (y > (1 + 1e-5)*panel.height) - (y < -1e-5*panel.height);  // 0 in sight
    let text = "", last = NaN;
    xs.forEach((x, i) => {
      const y = down(panel, ys[i]);
      const near = !shape.jump || Math.abs(y - last) <= shape.jump || side(y) + side(last) !== 0;
      const mark = Number.isFinite(y - last) && near ? " " : "M";
      if (Number.isFinite(y)) text += mark + place(across(panel, x)) + "," + place(cut(panel, ys[i]));
      last = y;
    });
    return text;
  },
  dots: (panel, {r}, data) => data.map(([x, y]) => `M${place(across(panel, x) - r)},${place(cut(panel, y))}`
    + `a${r},${r} 0 1,0 ${2*r},0a${r},${r} 0 1,0 -${2*r},0`).join(""),
  bars: (panel, shape, data) => data.map(([a, b, c, d]) => `M${place(across(panel, a))},${place(cut(panel, b))}`
    + `H${place(across(panel, c))}V${place(cut(panel, d))}H${place(across(panel, a))}Z`).join(""),
  arrows: (panel, shape, data) => data.map(ends => {
    const [a, b, c, d] = ends.map((end, i) => i % 2 ? cut(panel, end) : across(panel, end));
    const length = Math.hypot(c - a, d - b), head = Math.min(8, length/2);
    if (!(length >= 2)) return "";
    const u = (c - a)/length, v = (d - b)/length;
    const side = turn => `${place(c - head*(u + turn*v*0.6))},${place(d - head*(v - turn*u*0.6))}`;
    const tip = `${place(c)},${place(d)}`;
    return `M${place(a)},${place(b)} ${tip}M${side(1)} ${tip} ${side(-1)}`;
  }).join(""),
};
const root = document.getElementById(my.id), button = root.querySelector("button");
const [inputs, outputs, drawings, shapes] = ["input", "output", "svg[role]", "path, circle"].map(
  name => [...root.querySelectorAll(name)]);
const input = Object.fromEntries(my.controls.map(({name}, k) => [name, inputs[k]]));
for (const line of shapes) if (line.hasAttribute("data-ghost")) {  // what was drawn at the start stays behind, faint
  const faint = line.cloneNode();
  faint.setAttribute("opacity", "0.35");
  line.before(faint);
}
const show = () => {
  const state = Object.fromEntries(my.controls.map(({name}) => [name, Number(input[name].value)]));
  const {panels, says} = draw(state);
  let k = 0;
  my.panels.forEach((panel, which) => {
    drawings[which].setAttribute("aria-label", `${panel.about} ${says}`);
    panel.shapes.forEach((shape, i) => {
      const drawn = shapes[k++], data = panels[which][i];
      if (shape.kind !== "handle") return drawn.setAttribute("d", path[shape.kind](panel, shape, data));
      drawn.setAttribute("cx", place(across(panel, data[0])));
      drawn.setAttribute("cy", place(cut(panel, data[1])));
      const [first] = shape.drag.filter(name => name);
      drawn.setAttribute("aria-valuenow", input[first].value);
      drawn.setAttribute("aria-valuetext", shape.drag.filter(name => name).map(
        name => `${my.controls.find(control => control.name === name).said} ${input[name].value}`).join(", "));
    });
  });
  my.controls.forEach(({decimals}, i) => { outputs[i].textContent = Number(inputs[i].value).toFixed(decimals); });
  root.querySelector("[aria-live]").textContent = says;
};
inputs.forEach(each => each.addEventListener("input", show));
const grip = (handle, panel, {drag, label, offset}) => {
  const set = (axis, value) => { if (drag[axis]) input[drag[axis]].value = value; };
  const [first] = drag.filter(name => name);
  const names = {tabindex: 0, role: "slider", "aria-label": label || "drag", "aria-valuemin": input[first].min,
    "aria-valuemax": input[first].max};
  for (const [name, value] of Object.entries(names)) handle.setAttribute(name, value);
  handle.addEventListener("pointerdown", event => {
    handle.setPointerCapture(event.pointerId);
    handle.focus();
    event.preventDefault();
  });
  handle.addEventListener("touchstart", event => event.preventDefault(), {passive: false});  // no scrolling
  handle.addEventListener("pointermove", event => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(handle.getScreenCTM().inverse());
    set(0, panel.x[0] + (panel.x[1] - panel.x[0])*at.x/300 - offset);
    set(1, panel.y[1] - (panel.y[1] - panel.y[0])*at.y/panel.height);
    show();
  });
  handle.addEventListener("keydown", event => {
    const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowDown: [1, -1], ArrowUp: [1, 1]}[event.key];
    if (!step) return;
    const name = drag[step[0]] || first;
    const {low, high, decimals} = my.controls.find(control => control.name === name);
    const size = Math.max(10**-decimals, (high - low)/(event.shiftKey ? 10 : 40));
    input[name].value = Number(input[name].value) + step[1]*size;
    event.preventDefault();
    show();
  });
};
const free = () => {
  for (const each of [...inputs, ...root.querySelectorAll("small")]) each.disabled = each.hidden = false;
  let k = 0;
  for (const panel of my.panels) for (const shape of panel.shapes) {
    if (shape.kind === "handle") grip(shapes[k], panel, shape);
    k++;
  }
  show();
};
if (button) {  // a question comes first
  button.hidden = false;
  button.addEventListener("click", () => { button.hidden = true; free(); inputs[0].focus(); });
} else free();
