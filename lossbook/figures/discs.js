const [wide, tall] = data.grid, [first, last] = data.shifts;
const disc = (x, radius) => Array.from({length: wide*tall}, (_, k) => {
  const across = k % wide + 0.5 - x, down = Math.floor(k/wide) + 0.5 - data.down;
  return across*across + down*down <= radius*radius ? 1 : 0;
});
const runs = mask => {
  const found = [];
  for (let row = 0; row < tall; row++) for (let a = 0, b; a < wide; a = b) {
    for (b = a + 1; b < wide && mask[row*wide + b] === mask[row*wide + a]; b++);
    if (mask[row*wide + a]) found.push([a, row, b, row + 1]);
  }
  return found;
};
const draw = ({shift, radius = data.radius}) => {
  const shifts = spaced(data.shifts, last - first), masks = shifts.map(moved => disc(data.center + moved, radius));
  const lines = losses.map((loss, k) => data.tables[data.labels[k]] || masks.map(mask => loss(mask, data.truth)[0]));
  const said = lines.map((line, k) => `${data.labels[k]} ${say(line[shift - first])}`);
  return {
    panels: [
      [runs(data.truth), runs(masks[shift - first]), [data.center + shift, data.down]],
      [...lines.map(line => [shifts, line]), ...lines.map(line => [[shift, line[shift - first]]])],
    ],
    says: `Moved by ${shift} pixels: ${said.join(", ")}.`,
  };
};
