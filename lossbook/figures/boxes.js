const draw = ({x, y, width, height}) => {
  const box = [x - width/2, y - height/2, x + width/2, y + height/2];
  const found = losses.map(loss => loss(box, data.true));
  const arrows = found.map(([, slope], k) => {
    const up = y + height*((k + 1)/(losses.length + 1) - 0.5);
    return [[x, up, x - data.scale*(slope[0] + slope[2]), up - data.scale*(slope[1] + slope[3])]];
  });
  const bars = found.map(([value], k) => [[k - 0.35, 0, k + 0.35, value]]);
  const said = found.map(([value], k) => `${data.labels[k]} ${say(value)}`);
  return {panels: [[[data.true], [box], ...arrows, [x, y]], bars], says: `Losses: ${said.join(", ")}.`};
};
