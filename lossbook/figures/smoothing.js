const label = Array.from({length: data.classes}, (_, k) => k ? 0 : 1), even = label.map(() => 1/data.classes);
const of = (z, target, smoothing) => {
  const [value, slopes] = losses[0](label.map(first => first*z), target, {smoothing});
  return [value, slopes[0]];
};
const draw = ({smoothing}) => {
  const xs = spaced(data.x, 120), best = root_of(z => of(z, label, smoothing)[1], ...data.x);
  const up = z => -(1 - smoothing)*of(z, label, 0)[1], down = z => smoothing*of(z, even, 0)[1];
  const least = of(best, label, smoothing)[0];
  const says = best > data.x[1] - 1e-6 ? "There is no minimum in sight: the loss falls as far as the score goes."
    : `The minimum is at z = ${say(best, 2)}, where the true class has the probability `
    + `${say(Math.exp(best)/(Math.exp(best) + data.classes - 1))}; the loss there is ${say(least)}.`;
  const value = [xs, xs.map(z => of(z, label, smoothing)[0])];
  return {panels: [[value, [[best, least]]], [[xs, xs.map(up)], [xs, xs.map(down)], [[best, up(best)]]]], says};
};
