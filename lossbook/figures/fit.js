const draw = state => {
  const [low, high] = data.x, xs = spaced(data.x, 120), seen = [...data.values, state.outlier];
  const mean = (loss, c, which) => seen.reduce((sum, y) => sum + loss(c, y, state)[which], 0)/seen.length;
  const fitted = losses.map(loss => root_of(c => mean(loss, c, 1), low, high)), wide = (high - low)*0.005;
  const pulls = losses.map((loss, k) => {
    const slopes = seen.map(y => loss(fitted[k], y, state)[1]);
    const total = slopes.reduce((sum, slope) => sum + Math.abs(slope), 0)/2 || 1;
    return seen.map((y, i) => {
      const x = y + (high - low)*0.012*(k - (losses.length - 1)/2);
      return [x - wide, 0, x + wide, -slopes[i]/total];
    });
  });
  const curves = losses.map(loss => xs.map(c => mean(loss, c, 0))), largest = curves.map(curve => Math.max(...curve));
  const minima = losses.map((loss, k) => [[fitted[k], mean(loss, fitted[k], 0)/largest[k]]]);
  const said = fitted.map((c, k) => `${data.labels[k]} ${say(c)}`);
  return {
    panels: [
      [...curves.map((curve, k) => [xs, curve.map(value => value/largest[k])]), ...minima,
        data.values.map(x => [x, data.base]), [state.outlier, data.base]],
      [...pulls, seen.map(x => [x, 0])],
    ],
    says: `Outlier ${say(state.outlier, 2)}. Fitted constants: ${said.join(", ")}.`,
  };
};
