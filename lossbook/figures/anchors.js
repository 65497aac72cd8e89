const draw = ({x, y, low, high}) => {
  const box = [x - data.width/2, y - data.height/2, x + data.width/2, y + data.height/2];
  const overlap = data.anchors.map(anchor => 1 - losses[0](anchor, box)[0]);
  const kind = overlap.map(value => value >= high - 1e-9 ? 2 : value < low - 1e-9 ? 0 : 1);
  const kinds = [0, 1, 2].map(wanted => data.anchors.map((_, i) => i).filter(i => kind[i] === wanted));
  const center = ([a, b, c, d]) => [(a + c)/2, (b + d)/2], count = data.anchors.length;
  const centers = kinds.map(each => each.map(i => center(data.anchors[i])));
  const dots = kinds.map(each => each.map(i => [i + 1, overlap[i]]));
  const lines = [low, high].map(level => [[0, count + 1], [level, level]]);
  const says = `${kinds[2].length} of ${count} anchors are positive, ${kinds[0].length} negative, `
    + `${kinds[1].length} ignored; the best overlap is ${say(Math.max(...overlap))}.`;
  return {panels: [[[box], kinds[2].map(i => data.anchors[i]), ...centers, [x, y]], [...lines, ...dots]], says};
};
