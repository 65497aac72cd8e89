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
