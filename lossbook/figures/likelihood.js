const draw = state => {
  const [low, high] = data.x, {middle} = state, middles = spaced(data.x, data.points);
  const line = [...spaced([low, middle], data.points), ...spaced([middle, high], data.points)];
  const mean = (loss, at) => data.values.reduce((sum, y) => sum + loss(at, y, state)[0], 0)/data.values.length;
  const density = (loss, y) => Math.exp(-loss(middle, y, state)[0]);
  const costs = losses.map(loss => mean(loss, middle));
  return {
    panels: [
      [...losses.map(loss => [line, line.map(y => density(loss, y))]),
        ...losses.map(loss => data.values.map(y => [y, density(loss, y)])), data.values.map(y => [y, 0]), [middle, 0]],
      [...losses.map(loss => [middles, middles.map(at => mean(loss, at))]), ...costs.map(cost => [[middle, cost]])],
    ],
    says: `Middle ${say(middle, 2)}. Mean of minus the logarithm: `
      + `${costs.map((cost, k) => `${data.labels[k]} ${say(cost)}`).join(", ")}.`,
  };
};
