const [entropy_of, divergence_of, cost_of] = losses.map(loss => (...at) => loss(...at)[0]);
const draw = ({p, q}) => {
  const xs = spaced([0.005, 0.995], 120), entropy = entropy_of(p), cost = cost_of(q, p);
  const apart = divergence_of(q, p), back = divergence_of(p, q);
  return {
    panels: [
      [[[-0.35, 0, 0.35, entropy]], [[-0.35, entropy, 0.35, cost]], [[0.65, 0, 1.35, back]]],
      [[xs, xs.map(x => cost_of(x, p))], [[0, 1], [entropy, entropy]], [xs, xs.map(x => divergence_of(x, p))],
        [xs, xs.map(x => divergence_of(p, x))], [[q, cost], [q, apart]]],
    ],
    says: `Entropy ${say(entropy)} plus divergence D(p||q) ${say(apart)} is cross-entropy ${say(cost)}; `
      + `the other way round D(q||p) is ${say(back)}.`,
  };
};
