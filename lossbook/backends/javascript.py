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
    "Math", "await", "case", "catch", "const", "debugger", "default", "delete", "do", "element", "enum", "eval",
    "export", "extends", "function", "implements", "instanceof", "interface", "let", "new", "null", "package",
    "private", "protected", "public", "static", "super", "switch", "this", "throw", "typeof", "var", "void",
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


def source(plan: Plan) -> str:
    """The functions of a pointwise plan: the words in use, and `element`."""
    plan, spell = plan.avoiding({*RESERVED, *WORDS}), _JavaScript()
    lines = spell.lines(plan.lines)
    arguments = ", ".join((*plan.arrays, *plan.parameters))
    body = "".join(f"  const {name} = {text};\n" for name, text in lines)
    return f"{spell.words()}const element = ({arguments}) => {{\n{body}  return [value, {plan.gradient}];\n}};\n"
