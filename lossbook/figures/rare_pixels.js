const draw = ({share, weight, p}) => {
  const slope = (z, y) => losses[0](z, y)[1], {wide, tall} = data, z = Math.log(p) - Math.log1p(-p);
  const up = -share*weight*slope(z, 1), down = (1 - share)*slope(z, 0);
  const best = root_of(at => share*weight*slope(at, 1) + (1 - share)*slope(at, 0), -20, 20);
  const rare = Math.floor(share*wide*tall + 0.5 + 1e-9), rows = [];
  const side = Math.max(Math.ceil(Math.sqrt(rare) - 1e-9), Math.ceil(rare/tall));
  const left = Math.min(6, wide - side), top = tall - (side*(tall - 1) < rare ? 0 : 1);
  for (let row = 0; row*side < rare; row++) {
    rows.push([left, top - 1 - row, left + Math.min(side, rare - row*side), top - row]);
  }
  return {
    panels: [[[[0, 0, wide, tall]], rows], [[[-0.35, 0, 0.35, up]], [[0.65, 0, 1.35, down]]]],
    says: `Foreground pulls up with ${say(up)}, background down with ${say(down)}. `
      + `They balance where every pixel is given the probability ${say(sigmoid(best))}.`,
  };
};
