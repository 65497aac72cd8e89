const draw = ({z, y}) => {
  const xs = spaced(data.x, 120), [value, slope] = losses[0](z, y), p = sigmoid(z);
  return {
    panels: [
      [[xs, xs.map(x => losses[0](x, y)[0])], [[z, value, z - 3*slope, value]], [z, value]],
      [[xs, xs.map(sigmoid)], [data.x, [y, y]], [[z, p, z, y]], [[z, p]]],
    ],
    says: `Loss ${say(value)}, probability ${say(p)}, label minus probability ${say(y - p)}, `
      + `minus the gradient ${say(-slope)}.`,
  };
};
