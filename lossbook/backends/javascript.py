"""JavaScript: the fourth language that formulas are printed in, for the sliders of the book.

print(source(plan))      what a reader's browser runs
"""

import re

from lossbook.backends.spelling import Spelling, literal
from lossbook.plan.ir import Plan

NATIVE = {
    "arctan": "Math.atan", "exp": "Math.exp", "expm1": "Math.expm1", "log": "Math.log", "log1p": "Math.log1p",
    "tanh": "Math.tanh", "sqrt": "Math.sqrt", "absolute": "Math.abs", "sign": "Math.sign", "maximum": "Math.max",
    "minimum": "Math.min",
}  # fmt: skip
# The words that JavaScript lacks, written like those of the other backends; a word may use the words above it.
WORDS = {
    "square": "x => x*x",
    "weighted": "(w, x) => w === 0 && x === x ? 0 : w*x",
    "xlogy": "(x, y) => x === 0 ? 0 : x*Math.log(y)",
    "softplus": "x => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))",
    "sigmoid": "x => x < 0 ? Math.exp(x)/(1 + Math.exp(x)) : 1/(1 + Math.exp(-x))",
    "sigmoid_power": "(x, k) => k === 0 ? 1 : Math.exp(-k*softplus(-x))",
    "residual_of_logit": """(y, x) => {
  const decay_minus_1 = Math.expm1(-Math.abs(x)), e = Math.exp(-Math.abs(x));
  if (decay_minus_1 > -0.5) return (2*y - 1 + (x < 0 ? y - 1 : y)*decay_minus_1)/(1 + e);
  return (x < 0 ? y - (1 - y)*e : y*e - (1 - y))/(1 + e);
}""",
    "weighted_softplus": "(w, x) => x < -708 ? w*Math.exp(x/2)*Math.exp(x/2) : weighted(w, softplus(x))",
    "weighted_sigmoid": "(w, x) => x < -708 ? w*Math.exp(x/2)*Math.exp(x/2) : w*sigmoid(x)",
    "weighted_sigmoid_power": "(w, x, k) => w*sigmoid_power(x, k/2)*sigmoid_power(x, k/2)",
    "log_cosh": "x => Math.abs(x) <= 1 ? Math.log1p(2*Math.sinh(x/2)**2)\n"
    "  : Math.abs(x) - Math.LN2 + Math.log1p(Math.exp(-2*Math.abs(x)))",
    "power": "(b, k) => b**k",
    "power_slope": "(b, k) => k === 0 || (k < 1 && b === 0) ? 0\n"
    "  : k*(k < 1 ? Math.max(b, 2.2250738585072014e-308) : b)**(k - 1)",
    "power1p": "(x, k) => k === 0 ? 1 : Math.exp(k*Math.log1p(x))",
    "power1p_slope": "(x, k) => k === 0 || (k < 1 && x === -1) ? 0 : k*power1p(x, k - 1)",
    "quotient": "(a, b) => a === 0 && b === 0 ? 0 : a/b",
    "weighted_quotient": "(w, a, b) => weighted(w, quotient(a, b))",
    "reciprocal": "b => b === 0 ? 0 : 1/b",
    "share": "(a, b) => a + b === 0 ? 0 : a/(a + b)",
    "less": "(a, b) => a < b ? 1 : 0",
    "step": "(a, b) => a === b ? 0.5 : a < b ? 1 : b < a ? 0 : NaN",
    "arctan2": "(y, x) => Math.atan(quotient(y, x))",
    "determinant": "(a, b, c, d) => a*d - b*c",
    "difference": "(p, q, d) => d",
    "shared": "(a, b, c, d) => Math.max(Math.min(b, d) - Math.max(a, c), 0)",
    "gap": "(a, b, c, d) => Math.max(Math.max(a, c) - Math.min(b, d), 0)",
    "shared_slope": """(low, high, other_low, other_high) => {
  const reach = Math.min(high, other_high) - Math.max(low, other_low);
  const up = high < other_high && reach >= 0 ? 0.5 : 0, down = high <= other_high && reach > 0 ? 0.5 : 0;
  return up + (low < high ? down : up);
}""",
    "gap_slope": """(low, high, other_low, other_high) => {
  const reach = Math.min(high, other_high) - Math.max(low, other_low);
  const up = high < other_high && reach < 0 ? 0.5 : 0, down = high <= other_high && reach <= 0 ? 0.5 : 0;
  return -(up + (low < high ? down : up));
}""",
    "hypot_minus": "(x, d) => Math.abs(x)*(Math.abs(x)/(d + Math.hypot(x, d)))",
    "over_hypot": "(x, d) => x/Math.hypot(x, d)",
    "lerp": "(p, q, a) => (1 - a)*p + a*q",
    "charbonnier": "(x, d) => d*Math.abs(x)*(Math.abs(x)/(d + Math.hypot(x, d)))",
    "damped": "(x, d) => x/Math.hypot(1, x/d)",
    "log_ratio": "(p, q, d) => Math.abs(d) <= q/2 ? Math.log1p(weighted(d, 1/q)) : Math.log(p) - Math.log(q)",
    "kl_div": """(p, q, d) => {
  const t = d === 0 ? 0 : d/q, s = t/(2 + t), u = s*s;
  if (!(t >= -0.5 && t <= 1)) return weighted(p, log_ratio(p, q, d)) - d;
  let series = 0;
  for (let k = 37; k > 1; k -= 2) series = series*u + 1/k;
  return q*(s*(t + 2*(1 + t)*u*series));
}""",
    "skew_entropy": "(p, q, a, d) => kl_div(p, lerp(p, q, a), a*d)",
    "skew_log": "(p, q, a, d) => log_ratio(p, lerp(p, q, a), a*d)",
    "skew_pull": "(p, q, a, d) => quotient(a*d, lerp(p, q, a))",
    "kl_div_of_logit": "(p, x, d) => x < -708 ? weighted(p, Math.log(p) - x) - d\n  : kl_div(p, sigmoid(x), d)",
}
# Words of JavaScript that a formula's author may well use as a name.
RESERVED = {
    "Math", "await", "case", "catch", "const", "debugger", "default", "delete", "do", "enum", "eval", "export",
    "extends", "function", "implements", "instanceof", "interface", "let", "new", "null", "package", "private",
    "protected", "public", "static", "super", "switch", "this", "throw", "typeof", "var", "void",
    # what `source` calls its own
    "C", "element", "index", "of_class", "of_pixel", "part", "parts", "pixel", "pixels", "prediction", "row", "spread",
    "standing", "standings", "sum", "target",
}  # fmt: skip


class _JavaScript(Spelling):
    def __init__(self) -> None:
        super().__init__(literal, word=lambda name: NATIVE.get(name, name), known={*NATIVE, *WORDS})

    def words(self) -> str:
        """The words in use and those that they use, in order."""
        needed = set(self.used)
        for name, text in reversed(WORDS.items()):
            if name in needed:
                needed |= set(re.findall(r"\w+", text)) & set(WORDS)
        return "".join(f"const {name} = {text};\n" for name, text in WORDS.items() if name in needed)


# How the log-odds of a class, or its distance from the largest, depend on the scores of its row; `standings` gives each
# class's number u and how the slopes along all u are shared among the scores.
STANDINGS = {
    "entry": "row => [row, slopes => slopes]",
    "minus_largest": """row => {
  const top = Math.max(...row), tops = row.filter(z => z === top).length;
  const all = slopes => slopes.reduce((sum, slope) => sum + slope, 0)/tops;
  return [row.map(z => z - top), slopes => slopes.map((slope, k) => row[k] === top ? slope - all(slopes) : slope)];
}""",
    "log_odds": """row => {
  const others = k => row.filter((_, other) => other !== k);
  const logsumexp = scores => {
    const top = Math.max(...scores);
    return top + Math.log(scores.reduce((sum, z) => sum + Math.exp(z - top), 0));
  };
  const rest = row.map((_, k) => logsumexp(others(k)));
  const part = (j, k) => k === j ? 0 : Math.exp(row[j] - rest[k]);
  const share = (slopes, j) => slopes.reduce((sum, slope, k) => sum + slope*part(j, k), 0);
  return [row.map((z, k) => z - rest[k]), slopes => slopes.map((slope, j) => slope - share(slopes, j))];
}""",
}


def source(plan: Plan) -> str:
    """The functions of a plan: the words in use, and `element`, which gives [value, gradient].

    It takes one prediction and target; corners of two boxes; the classes of a row, with a target for each; or all
    pixels of an image and class. A plan that needs more than that is refused.
    """
    plan, spell = plan.avoiding({*RESERVED, *WORDS}), _JavaScript()
    if plan.of_row or (plan.row and plan.row not in STANDINGS) or (plan.row and plan.space.totals):
        raise TypeError(f"{plan.name}: there is no JavaScript for a loss of this form")
    lines = spell.lines(plan.lines)
    body = "".join(f"  const {name} = {text};\n" for name, text in lines)
    after = "".join(f", {name}" for name in plan.parameters)
    if plan.space.corners:
        text = _function("element", f"[{', '.join(plan.inputs[:4])}], [{', '.join(plan.inputs[4:])}]{after}", body)
        text += f"  return [value, [{', '.join(plan.gradients)}]];\n}};\n"
    elif plan.space.rows_of_classes:
        text = f"const standings = {STANDINGS[plan.row]};\n"
        text += _function("of_class", f"u, {plan.arrays[1]}, C{after}", body)
        text += f"  return [value, {plan.gradient}];\n}};\n"
        text += f"const element = (row, target{after}) => {{\n  const [standing, spread] = standings(row);\n"
        text += f"  const parts = standing.map((u, index) => of_class(u, target[index], row.length{after}));\n"
        text += "  return [parts.reduce((sum, part) => sum + part[0], 0), spread(parts.map(part => part[1]))];\n};\n"
    elif plan.space.totals:
        assert plan.finish is not None
        slopes, totals = [name for name, _ in plan.slopes], [name for name, _ in plan.terms]
        text = _function("of_pixel", f"{', '.join([*plan.inputs, *plan.parameters, *slopes])}", body)
        text += f"  return [{', '.join(totals)}, {plan.gradient}];\n}};\n"
        ends = "".join(f"  const {n} = {t};\n" for n, t in spell.lines([("value", plan.finish), *plan.slopes]))
        sums = "".join(f"  let {name} = 0;\n" for name in totals)
        text += f"const element = (prediction, target{after}) => {{\n  const pixels = (...slopes) => prediction.map(\n"
        text += f"    (pixel, index) => of_pixel(pixel, target[index]{after}, ...slopes));\n{sums}"
        text += f"  for (const part of pixels()) {{{' '.join(f'{n} += part[{k}];' for k, n in enumerate(totals))}}}\n"
        text += f"{ends}  return [value, pixels({', '.join(slopes)}).map(part => part[{len(totals)}])];\n}};\n"
    else:
        text = _function("element", f"{', '.join(plan.arrays)}{after}", body)
        text += f"  return [value, {plan.gradient}];\n}};\n"
    return spell.words() + text


def _function(name, arguments, body):
    return f"const {name} = ({arguments}) => {{\n{body}"


def words(*names: str) -> str:
    """The JavaScript of some words by themselves, for a figure that draws one of them."""
    spell = _JavaScript()
    spell.used |= set(names)
    return spell.words()
