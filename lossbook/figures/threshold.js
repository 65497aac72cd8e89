const draw = ({threshold}) => {
  const called = label => data.values.filter((value, i) => value >= threshold - 1e-9 && data.truth[i] === label).length;
  const right = called(1), wrong = called(0), {positives, most} = data, count = data.values.length;
  const recall = right/positives, precision = right + wrong ? right/(right + wrong) : 1;
  const left = count - positives - wrong, f1 = 2*right/(right + wrong + positives);
  const bars = (numbers, sign) => numbers.map((n, i) => [data.edges[i], 0, data.edges[i + 1], sign*n]);
  return {
    panels: [
      [bars(data.bins[1], 1), bars(data.bins[0], -1), [[threshold, threshold], [-most, most]], [threshold, most*0.85]],
      [[data.recalls, data.precisions], [[recall, precision]]],
    ],
    says: `Found ${right}, missed ${positives - right}, false alarms ${wrong}, rightly left ${left}: `
      + `precision ${say(precision)}, recall ${say(recall)}, F1 ${say(f1)}, accuracy ${say((left + right)/count)}.`,
  };
};
