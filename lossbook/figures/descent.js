const draw = ({step, theta}) => {
  const mean = (loss, at, which) => data.values.reduce((sum, y) => sum + loss(at, y)[which], 0)/data.values.length;
  const xs = spaced(data.x, 120), dots = (xs, ys) => xs.map((x, k) => [x, ys[k]]);
  const walks = losses.map(loss => {
    const way = [theta];
    while (way.length <= data.steps && (way.length === 1 || Math.abs(way[way.length - 1]) < data.far)) {
      way.push(way[way.length - 1] - step*mean(loss, way[way.length - 1], 1));
    }
    return [way, way.map(at => mean(loss, at, 0))];
  });
  const gains = walks.map(([way, costs]) => data.logits ? way.map(sigmoid) : costs);
  const counts = gains.map(gain => gain.map((_, k) => k));
  const says = walks.map(([way, costs], k) => {
    const change = costs[1] - costs[0], last = way[way.length - 1];
    const moved = Math.abs(change) < 1e-9*costs[0] ? "stays" : change < 0 ? "falls" : "grows";
    const end = data.logits ? `p is ${say(sigmoid(last))}` : `theta is ${say(last)}`;
    return `${data.labels.length ? `Under ${data.labels[k]}: mean` : "Mean"} loss ${say(costs[0])} at the start, `
      + `${say(costs[1])} after one step: it ${moved}. `
      + (Math.abs(last) < 1000 ? `After ${data.steps} steps ${end}.` : "Descent runs away.");
  });
  return {
    panels: [
      [...losses.map(loss => [xs, xs.map(at => mean(loss, at, 0))]), ...walks, ...walks.map(each => dots(...each)),
        data.base, [theta, walks[0][1][0]]],
      [...gains.map((gain, k) => [counts[k], gain]), ...gains.map((gain, k) => dots(counts[k], gain))],
    ],
    says: says.join(" "),
  };
};
