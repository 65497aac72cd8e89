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
