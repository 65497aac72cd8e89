const root = document.getElementById(my.id), input = root.querySelector("input");
const lines = [...root.querySelectorAll("path")];
for (const line of lines) {  // the curve of the start value stays behind, faint
  const faint = line.cloneNode();
  faint.setAttribute("opacity", "0.35");
  line.before(faint);
}
input.disabled = root.querySelector("small").hidden = false;
input.addEventListener("input", () => {
  root.querySelector("output").textContent = Number(input.value).toFixed(my.decimals);
  lines.forEach((line, which) => {
    const [low, high] = my.shown[which];
    const side = y => (y > (1 + 1e-5)*my.height) - (y < -1e-5*my.height);  // 0 in sight
    let path = "", last = NaN;
    for (let i = 0; i <= my.points; i++) {
      const x = my.x[0] + (my.x[1] - my.x[0])*i/my.points;
      const y = (high - curve(x, Number(input.value))[which])*my.height/(high - low);
      const joined = Number.isFinite(y - last) && (Math.abs(y - last) <= my.jump || side(y) + side(last) !== 0);
      const at = Math.min(Math.max(y, -my.height), 2*my.height).toFixed(2);
      if (Number.isFinite(y)) path += (joined ? " " : "M") + my.width*i/my.points + "," + at;
      last = y;
    }
    line.setAttribute("d", path);
  });
});
