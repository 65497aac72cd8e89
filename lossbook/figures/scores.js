const draw = state => {
  const z = data.labels.map((_, k) => state[`z${k}`]), {temperature} = state;
  const [value, slopes] = losses[0](z.map(each => each/temperature), data.target, state);
  const top = Math.max(...z), exps = z.map(each => Math.exp((each - top)/temperature));
  const total = exps.reduce((sum, each) => sum + each, 0);
  const shares = exps.map(each => each/total), pull = slopes.map(slope => -slope/temperature);
  const listed = numbers => numbers.map((number, k) => `${data.labels[k]} ${say(number)}`).join(", ");
  const stems = z.map((each, k) => [k - 0.15, 0, k + 0.15, each]);
  const arrows = z.map((each, k) => [k + 0.25, each, k + 0.25, each + 2*pull[k]]);
  const bars = shares.map((share, k) => [k - 0.35, 0, k, share]);
  return {
    panels: [[stems, arrows, ...z.map((each, k) => [k, each])], [bars, [[data.truth, 0, data.truth + 0.35, 1]]]],
    says: `Probabilities: ${listed(shares)}. Loss ${say(value)}. Minus the gradient: ${listed(pull)}.`,
  };
};
