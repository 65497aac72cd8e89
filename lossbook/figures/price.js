const draw = ({threshold, miss}) => {
  const called = label => data.values.filter((value, i) => value >= threshold - 1e-9 && data.truth[i] === label).length;
  const misses = data.positives - called(1), wrong = called(0), cost = miss*misses + wrong;
  const dear = data.missed.map(n => miss*n), both = dear.map((each, i) => each + data.alarms[i]);
  const least = Math.min(...both), best = both.findIndex(each => each <= least + 1e-9);
  return {
    panels: [
      [...data.bars, [[threshold, threshold], [-data.most, data.most]], [threshold, data.most*0.85]],
      [...[dear, data.alarms, both].map(line => [data.apart, line]), [[data.apart[best], both[best]]],
        [[threshold, cost]]],
    ],
    says: `${misses} misses and ${wrong} false alarms cost ${say(cost, 1)}; `
      + `the cheapest threshold, ${say(data.apart[best], 2)}, costs ${say(both[best], 1)}.`,
  };
};
