const draw = state => {
  const risk = (p, share, which) => share*losses[0](p, 1, state)[which] + (1 - share)*losses[0](p, 0, state)[which];
  const best = share => root_of(p => risk(p, share, 1), 1e-6, 1 - 1e-6);
  const xs = spaced([0.005, 0.995], 120), many = spaced([0.01, 0.99], 49), {share} = state, p = best(share);
  return {
    panels: [
      [[xs, xs.map(x => risk(x, share, 0))], [[p, risk(p, share, 0)]], [[share, share], [0, 100]]],
      [[many, many.map(best)], [[0, 1], [0, 1]], [[share, p]]],
    ],
    says: `With ${say(100*share, 0)} percent ones, the expected loss is smallest at p = ${say(p)}.`,
  };
};
