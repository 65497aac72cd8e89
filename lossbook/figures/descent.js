const draw = ({step, theta}) => {
  const mean = (at, which) => data.values.reduce((sum, y) => sum + losses[0](at, y)[which], 0)/data.values.length;
  const xs = spaced(data.x, 120), way = [theta], counts = [0];
  for (let k = 1; k <= data.steps; k++) {
    way.push(way[k - 1] - step*mean(way[k - 1], 1));
    counts.push(k);
  }
  const costs = way.map(at => mean(at, 0)), last = way[data.steps];
  const change = costs[1] - costs[0];
  const moved = Math.abs(change) < 1e-9*costs[0] ? "stays" : change < 0 ? "falls" : "grows";
  const end = Math.abs(last) < 1000 ? `After ${data.steps} steps theta is ${say(last)}.` : "Descent runs away.";
  const dots = (xs, ys) => xs.map((x, k) => [x, ys[k]]);
  return {
    panels: [
      [[xs, xs.map(at => mean(at, 0))], [way, costs], dots(way, costs), data.values.map(y => [y, 0]),
        [theta, costs[0]]],
      [[counts, costs], dots(counts, costs)],
    ],
    says: `Mean loss ${say(costs[0])} at the start, ${say(costs[1])} after one step: it ${moved}. ${end}`,
  };
};
