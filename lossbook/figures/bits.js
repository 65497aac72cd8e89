const steps = {
  exp: Math.exp, log: Math.log, add: (a, b) => a + b, multiply: (a, b) => a*b, divide: a => 1/a, abs: Math.abs,
};
const nearest = (x, count) => {
  const unit = 2**(count - 1 - Math.floor(Math.log2(Math.abs(x)))), tie = 1.5*2**52;
  return Number.isFinite(unit) && unit > 0 ? (x*unit + tie - tie)/unit : x;
};
const typed = (x, count) => data.steps.reduce((found, [step, ...parts]) => {
  const result = step === "given" ? x : step === "number" ? parts[0] : steps[step](...parts.map(part => found[part]));
  return [...found, nearest(result, count)];
}, []).pop();
const right = (got, exact, count) => {
  const off = Math.abs(got - exact)/Math.abs(exact);
  return Number.isNaN(off) ? 0 : Math.min(Math.max(-Math.log2(off), 0), count);
};
const draw = ({bits, z}) => {
  const xs = spaced(data.x, data.points), log = x => Math.log10(Math.abs(x)), exact = x => losses[0](x, data.target)[0];
  const there = typed(z, bits), good = right(there, exact(z), bits);
  return {
    panels: [
      [[xs, xs.map(x => log(exact(x)))], [xs, xs.map(x => log(typed(x, bits)))], [z, log(exact(z))]],
      [xs.map(x => [x, right(typed(x, bits), exact(x), bits)]), [[z, good]]],
    ],
    says: `At ${data.letter} = ${say(z, 2)} the logarithm of the loss is ${say(log(exact(z)))}, as typed `
      + `${say(log(there))}: ${say(good, 1)} of ${bits} bits are right.`,
  };
};
