const at = (loss, k, x, state) => {
  if (!data.truth) return loss(x, data.target, state);
  const z = Math.log(x) - Math.log1p(-x);
  if (!data.rows[k]) return loss(data.target ? z : -z, data.target, state);
  const [value, slopes] = loss([z, 0], [1, 0], state);
  return [value, slopes[0]];
};
const draw = state => {
  const xs = spaced(data.x, data.points);
  const curves = losses.map((loss, k) => {
    const points = xs.map(x => at(loss, k, x, state));
    return [0, 1].map(which => points.map(point => point[which]));
  });
  const parts = data.truth ? data.probes.map(p => {
    const [value, slope] = at(losses[0], 0, p, state);
    return `at p = ${p} the loss is ${say(value)}, the gradient ${say(slope)}`;
  }) : ["loss", "gradient"].map((what, which) => {
    const line = curves[0][which];
    return `the ${what} goes from ${say(line[0])} at ${data.where} = ${data.ends[0]} to `
      + `${say(line[line.length - 1])} at ${data.ends[1]}`;
  });
  const says = parts.join(data.truth ? "; " : ", ");
  return {
    panels: [0, 1].map(which => curves.map(curve => [xs, curve[which]])),
    says: says[0].toUpperCase() + says.slice(1) + ".",
  };
};
