"""Rules that lead from a formula in exp, log, powers and choices to the same formula in words.

Each rule looks at one part of an expression and says what it is in words, or leaves it. They read the meanings of the
words backwards, and write differences as sums of terms that never cancel.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Add, Mul, exp, log
from sympy.codegen.cfunctions import expm1

from lossbook import words
from lossbook.domains import Domain
from lossbook.words import log_cosh, log_odds, logsumexp, sigmoid, sigmoid_power, softmax, softplus, sum_classes
from lossbook.workshop.cases import as_factors

LARGEST_FRACTION = 2520  # coefficients are fractions whose denominators divide it
SUMS = (words.sum_classes, words.sum_pixels)
Rule = Callable[[sympy.Expr], sympy.Expr]


@dataclass(frozen=True)
class Step:
    """A rule, and what a derivation says of it."""

    reason: str
    rule: Rule


def everywhere(rule: Rule, expression: sympy.Expr) -> sympy.Expr:
    """An expression to whose parts a rule is applied, the inner ones first."""
    if not expression.args:
        return expression
    parts = [everywhere(rule, part) if isinstance(part, sympy.Basic) else part for part in expression.args]
    changed = expression.func(*parts) if tuple(parts) != expression.args else expression
    return rule(changed) if isinstance(changed, sympy.Expr) else changed


def replaced(whole: Add, old: Sequence[sympy.Expr], new: sympy.Expr) -> sympy.Expr:
    """A sum in which some terms are replaced by another."""
    return Add(*(term for term in whole.args if term not in old), new)


# --- logistic ---------------------------------------------------------------------------------------------------------


def one_plus_exp(expression: sympy.Expr) -> sympy.Expr | None:
    """The u of 1 + exp(u), or None."""
    if expression.is_Add and len(expression.args) == 2 and sympy.S.One in expression.args:
        other = expression - 1
        return other.args[0] if isinstance(other, exp) else None
    return None


def logistic(part: sympy.Expr) -> sympy.Expr:
    """sigmoid and softplus, where they are written out."""
    if part.is_Pow:
        base, exponent = part.args
        u = one_plus_exp(base)
        if u is not None and exponent.could_extract_minus_sign():
            return sigmoid(-u) ** -exponent if exponent.is_Integer else sigmoid_power(-u, -exponent)
        if isinstance(base, sigmoid) and not exponent.is_Integer:
            return sigmoid_power(base.args[0], exponent)
    if part.is_Mul:
        for found in part.atoms(sigmoid, sigmoid_power) & {factor.as_base_exp()[0] for factor in part.args}:
            u, count = found.args[0], found.args[1] if isinstance(found, sigmoid_power) else sympy.S.One
            raised = exp(-u * count)
            if part.has(raised) and raised in part.args:
                flipped = sigmoid(-u) if count == 1 else sigmoid_power(-u, count)
                return logistic(part / raised / found * flipped)
    if isinstance(part, exp):
        factor, found = part.args[0].as_independent(softplus)
        if isinstance(found, softplus) and factor == -1:
            return sigmoid(-found.args[0])
    if isinstance(part, log):
        inside = part.args[0]
        u = one_plus_exp(inside)
        if u is not None:
            return softplus(u)
        return log_of_factors(inside, (sigmoid, sigmoid_power, exp)) or part
    return part


def log_of_factors(inside: Any, kinds: tuple[Any, ...]) -> Any:
    """The logarithm of a product whose factors of some kinds have logarithms in words, or None."""
    total: sympy.Expr = sympy.S.Zero
    rest: sympy.Expr = sympy.S.One
    for factor in Mul.make_args(inside):
        base, count = (factor, sympy.S.One) if isinstance(factor, exp) else factor.as_base_exp()
        if not isinstance(base, kinds):
            rest *= factor
        elif isinstance(base, exp):
            total += base.args[0]
        elif isinstance(base, sigmoid):
            total -= count * softplus(-base.args[0])
        elif isinstance(base, softmax):
            total -= count * softplus(-log_odds(*base.args))
        else:
            total -= count * base.args[1] * softplus(-base.args[0])
    if total == 0:
        return None
    return total + log(rest)


def powers(part: sympy.Expr) -> sympy.Expr:
    """The logarithm of a likelihood p**y * (1 - p)**(1 - y), factor by factor."""
    if isinstance(part, log):
        factors = [factor.as_base_exp() for factor in Mul.make_args(part.args[0]) if not isinstance(factor, exp)]
        if any(not exponent.is_number for _, exponent in factors) and len(factors) == len(Mul.make_args(part.args[0])):
            return Add(*(exponent * log(base) for base, exponent in factors))
    return part


def complement(part: sympy.Expr) -> sympy.Expr:
    """1 - sigmoid(u) is sigmoid(-u), 1 less a softmax the sigmoid of minus the log-odds, y - sigmoid(u) a residual."""
    if not part.is_Add:
        return part
    for term in part.args:
        for found in term.atoms(sigmoid, softmax):
            count = term / found
            labels = [s for s in part.free_symbols if s.is_nonnegative and -count * s in part.args]
            if labels and not count.has(found) and isinstance(found, sigmoid):
                residual = -count * words.residual_of_logit(labels[0], *found.args)
                return complement(replaced(part, (term, -count * labels[0]), residual))
            if not count.has(found) and -count in part.args:
                u = found.args[0] if isinstance(found, sigmoid) else log_odds(*found.args)
                return complement(replaced(part, (term, -count), -count * sigmoid(-u)))
    return part


def hyperbolic(part: sympy.Expr) -> sympy.Expr:
    """log(cosh(x)) and tanh(x)."""
    if isinstance(part, log):
        inside = part.args[0]
        if isinstance(inside, sympy.cosh):
            return log_cosh(*inside.args)
        if inside.is_Add and len(inside.args) == 2:
            one, other = inside.args
            factor, first = one.as_coeff_Mul()
            if isinstance(first, exp) and other == factor * exp(-first.args[0]):
                u = first.args[0]
                u = -u if u.could_extract_minus_sign() else u
                return log_cosh(u) + log(2 * factor)
    if isinstance(part, sympy.tanh):
        return words.tanh(*part.args)
    top, bottom = sympy.fraction(part)
    if part.is_Mul and (top - bottom).is_Mul and (top + bottom).is_Mul:  # exp(u) - exp(-u) over exp(u) + exp(-u)
        found = (top + bottom) / 2
        if isinstance(found, exp) and bottom - found == 1 / found:
            return words.tanh(found.args[0])
    return part


# --- rows -------------------------------------------------------------------------------------------------------------


def rows(part: sympy.Expr) -> sympy.Expr:
    """A softmax and its logarithm by the log-odds of a class, which keep their digits when the model is sure."""
    if isinstance(part, log):
        if is_sum_of_exp(part.args[0]):
            return logsumexp(part.args[0].args[0].args[0])
        return log_of_factors(part.args[0], (softmax,)) or part
    if part.is_Mul:
        for total in part.args:
            if total.is_Pow and total.exp == -1 and is_sum_of_exp(total.base) and total.base.args[0] in part.args:
                return part * total.base / total.base.args[0] * softmax(total.base.args[0].args[0])
    if part.is_Pow and isinstance(part.base, softmax):
        u = log_odds(*part.base.args)
        return sigmoid(u) ** part.exp if part.exp.is_Integer else sigmoid_power(u, part.exp)
    if part.is_Add:
        for found in part.args:
            count, rest = found.as_coeff_Mul()
            if isinstance(rest, logsumexp) and -count * rest.args[0] in part.args:
                z = rest.args[0]
                return rows(replaced(part, (found, -count * z), count * softplus(-log_odds(z))))
    return part


def is_sum_of_exp(expression: sympy.Expr) -> bool:
    """Whether an expression is the sum of exp(z) over the classes."""
    return isinstance(expression, sum_classes) and isinstance(expression.args[0], exp)


def in_sums(where: Mapping[Any, Domain]) -> Rule:
    """A rule: what is the same for all classes goes into the sum over them, if a distribution in it sums to 1."""
    distributions = [symbol for symbol, domain in where.items() if domain.holds_classes]
    arrays = {symbol for symbol, domain in where.items() if domain.role in ("prediction", "target")}

    def rule(part: sympy.Expr) -> sympy.Expr:
        if part.is_Mul:
            sums = [factor for factor in part.args if isinstance(factor, sum_classes)]
            rest = part / sums[0] if sums else part
            if len(sums) == 1 and not rest.free_symbols & arrays and not rest.has(*SUMS):
                return sum_classes(rest * sums[0].args[0])
        if part.is_Add:
            sums = [term for term in part.args if isinstance(term, sum_classes)]
            if sums and distributions:
                weight = distributions[0]
                outside = [term for term in part.args if term not in sums]
                if all(is_of_row(term, arrays) for term in outside):
                    inside = Add(*(term.args[0] for term in sums), *(weight * term for term in outside))
                    return sum_classes(sympy.collect(sympy.expand_mul(inside), weight))
        return part

    return rule


def is_of_row(term: sympy.Expr, arrays: set) -> bool:
    """Whether a term is one number for a row: no entry of it stands outside of what runs over all classes."""
    bare = term.replace(lambda part: isinstance(part, logsumexp | sum_classes), lambda part: sympy.S.One)
    return not bare.free_symbols & arrays


# --- near one, near zero ----------------------------------------------------------------------------------------------


def near_one(part: sympy.Expr) -> sympy.Expr:
    """log(1 + x) by log1p and exp(x) - 1 by expm1, which have the digits of a small x; a ratio near 1 by both."""
    if isinstance(part, log) and part.args[0].is_Add:
        constant, rest = part.args[0].as_coeff_Add()
        if constant == 1 and not rest.has(exp):
            return words.log1p(rest)
    if part.is_Add:
        terms = {term: term.as_coeff_Mul() for term in part.args}
        raised = [term for term, (_, rest) in terms.items() if isinstance(rest, exp)]
        for term in raised:
            count, u = terms[term][0], terms[term][1].args[0]
            if -count in part.args:
                return replaced(part, (term, -count), count * expm1(u))
            for other in raised:
                if terms[other][0] == -count:
                    v = terms[other][1].args[0]
                    inside = expm1(u) - expm1(-u) if v == -u else exp(v) * expm1(u - v)
                    return near_one(replaced(part, (term, other), count * inside))
    if isinstance(part, log) and part.args[0].is_Mul:
        top, bottom = part.args[0].as_numer_denom()
        if bottom != 1 and part.args[0].is_rational_function() and not bottom.is_number:
            return words.log_ratio(top, bottom, sympy.factor(top - bottom))
    return part


def roots(part: sympy.Expr) -> sympy.Expr:
    """sqrt(x**2 + d**2) - d, and a difference of two roots, as quotients without a difference."""
    if not part.is_Add or len(part.args) != 2:
        return part
    for root, other in itertools.permutations(part.args):
        found = [factor for factor in Mul.make_args(root) if factor.is_Pow and factor.exp == sympy.S.Half]
        if len(found) == 1:
            count = root / found[0]
            d = -other / count
            x = sympy.sqrt(sympy.factor(found[0].base - d**2)).replace(sympy.Abs, lambda inside: inside)
            if d.is_positive and not x.has(sympy.sqrt):
                return count * words.hypot_minus(x, d)
            if d.is_Pow and d.exp == sympy.S.Half and not count.could_extract_minus_sign():
                return count * sympy.expand(found[0].base - d.base) / (found[0] + d)
    return part


# --- divergences ------------------------------------------------------------------------------------------------------


def divergences(part: sympy.Expr) -> sympy.Expr:
    """Terms p*log(p/q) whose p and q have the same sum are parts of a divergence, none of which is negative."""
    if not part.is_Add:
        return part
    pairs, others = [], []
    for term in Add.make_args(ratios(part)):
        pair = as_entropy(term)
        if pair is None:
            others.append(term)
        else:
            pairs.append(pair)
    if not pairs:
        return part
    left = sympy.expand(Add(*others, *(count * (p - q) for count, p, q in pairs)))
    if left != 0:
        return part
    return Add(*(count * kl_div(p, q) for count, p, q in pairs))


def kl_div(p: sympy.Expr, q: sympy.Expr) -> sympy.Expr:
    """p*log(p/q) - (p - q), with the difference factored, and a mixture q of p with something as such."""
    difference = sympy.factor(p - q)
    number, others = difference.as_coeff_Mul()
    shares = [factor for factor in Mul.make_args(others) if factor.is_Symbol and factor.is_nonnegative]
    shares += [abs(number)] if abs(number) < 1 else []
    if len(shares) == 1:
        return words.kl_div(p, words.lerp(p, sympy.expand(p - difference / shares[0]), shares[0]), difference)
    return words.kl_div(p, q, difference)


def ratios(part: Add) -> sympy.Expr:
    """A sum in which c*log(p) and -c*log(q) are one logarithm of a ratio."""
    found = [(term, as_log(term)) for term in part.args]
    logs = [(term, *known) for term, known in found if known is not None]
    for (one, count, p), (other, minus, q) in itertools.permutations(logs, 2):
        if sympy.expand(count + minus) == 0 and (count / p).is_number:
            together = replaced(part, (one, other), count * log(p / q))
            return ratios(together) if together.is_Add else together
    return part


def as_log(term: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr] | None:
    """(c, p) of a term c*log(p), or None."""
    for factor in Mul.make_args(term):
        if isinstance(factor, log):
            return term / factor, factor.args[0]
        if isinstance(factor, words.log1p):
            return term / factor, 1 + factor.args[0]
    return None


def as_entropy(term: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr, sympy.Expr] | None:
    """(c, p, q) of a term c*p*log(p/q), or None."""
    found = as_log(term)
    if found is None:
        return None
    (number, p), ratio = sympy.factor_terms(found[0]).as_content_primitive(), found[1]
    if not p.is_polynomial():
        return None
    if p.subs(dict.fromkeys(p.free_symbols, sympy.Rational(1, 3))).is_negative:  # 1 - q and not q - 1
        number, p = -number, -p
    q = sympy.factor(sympy.cancel(p / ratio))
    if not q.is_polynomial() or q == 1 or p == 1:
        return None
    return number, p, q


# --- quotients --------------------------------------------------------------------------------------------------------


def quotient_of_errors(part: sympy.Expr) -> sympy.Expr:
    """1 - a/b as (b - a)/b, where nothing cancels near 1."""
    if part.is_Add and sympy.S.One in part.args and len(part.args) == 2 and part.has(*SUMS):
        top, bottom = sympy.fraction(sympy.together(1 - part))
        if bottom != 1:
            return sums_of_terms(bottom - top) / bottom
    return part


def sums_of_terms(expression: sympy.Expr) -> sympy.Expr:
    """A combination of sums over pixels as one sum, with what stands outside."""
    inside, outside = sympy.S.Zero, sympy.S.Zero
    for term in Add.make_args(sympy.expand(expression)):
        sums = [factor for factor in Mul.make_args(term) if isinstance(factor, words.sum_pixels)]
        if len(sums) == 1 and not (term / sums[0]).has(*SUMS):
            inside += term / sums[0] * sums[0].args[0]
        else:
            outside += term
    inside = sympy.expand(inside)
    return (words.sum_pixels(inside) if inside != 0 else sympy.S.Zero) + outside


def shares(part: sympy.Expr) -> sympy.Expr:
    """a/(a + b) as the share of a in the whole."""
    if part.is_Mul and part.has(*SUMS):
        top, bottom = sympy.fraction(part)
        rest = sums_of_terms(bottom - top)
        if bottom.is_Add and top.has(words.sum_pixels) and sympy.count_ops(rest) <= sympy.count_ops(bottom):
            return words.share(top, rest)
    return part


def of_nothing(part: sympy.Expr) -> sympy.Expr:
    """The mean over something that may be nothing: where it is, its factor is 0, and so is its reciprocal."""
    if part.is_Mul:
        for total in part.args:
            if total.is_Pow and total.exp == -1 and words.less(0, total.base) in part.args:
                return part * total.base * words.reciprocal(total.base)
    return part


def never_cancel(where: Mapping[Any, Domain]) -> Rule:
    """A rule: a polynomial in shares (numbers in [0, 1]) as a sum of products of shares and their complements.

    A polynomial of degree one in each symbol is its values at the corners, each times the weight of the corner.
    """
    unit = [symbol for symbol, domain in where.items() if (domain.low, domain.high) == (0, 1) and not domain.values]

    def rule(part: sympy.Expr) -> sympy.Expr:
        inside = part.args[0] if isinstance(part, words.sum_pixels) else None
        if inside is None or not inside.is_Add or not any(t.could_extract_minus_sign() for t in inside.args):
            return part
        square = sympy.factor(inside)
        if square.is_Pow and square.exp == 2:
            return words.sum_pixels(square)
        symbols = [symbol for symbol in unit if inside.has(symbol)]
        if not symbols or not inside.is_polynomial(*symbols):
            return part
        if any(sympy.degree(inside, symbol) > 1 for symbol in symbols):
            return part
        total = sympy.S.Zero
        for corner in itertools.product((0, 1), repeat=len(symbols)):
            weight = Mul(*(s if at else 1 - s for s, at in zip(symbols, corner, strict=True)))
            total += sympy.factor(inside.subs(dict(zip(symbols, corner, strict=True)))) * weight
        return words.sum_pixels(total)

    return rule


# --- pieces -----------------------------------------------------------------------------------------------------------


def choices(part: sympy.Expr) -> sympy.Expr:
    """Pieces of a definition, each times the truth of its condition."""
    if not isinstance(part, sympy.Piecewise):
        return part
    if any(condition.has(sympy.Eq, sympy.Ne) for _, condition in part.args):
        raise TypeError(f"stable: a piece needs a condition of <, <=, > or >=; got {part}")
    return as_factors(part, lambda high, low, strict: words.less(low, high) if strict else 1 - words.less(high, low))


# --- sums of two words ------------------------------------------------------------------------------------------------


def in_two_words(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    """Expressions that are linear in softplus(u), u and magnitudes of it, as c*softplus(u) + d*softplus(-u).

    The coefficients are found at points and become small fractions; whether the two are the same is proved elsewhere.
    """
    for u in sorted({found.args[0] for found in expression.atoms(softplus)}, key=sympy.default_sort_key):
        symbol = next((s for s in sorted(u.free_symbols, key=str) if (u / s).is_number), None)
        if symbol is None or u.could_extract_minus_sign():
            u, symbol = -u, next((s for s in sorted(u.free_symbols, key=str) if (u / s).is_number), None)
        if symbol is None:
            continue
        others = sorted(expression.free_symbols - {symbol}, key=str)
        try:
            terms = sympy.Poly(expression, *others).terms() if others else [((), expression)]
        except sympy.PolynomialError:
            continue
        monomials = [Mul(*(s**k for s, k in zip(others, powers, strict=True))) for powers, _ in terms]
        for basis in ((softplus(u), softplus(-u)), (log_cosh(u / 2),)):
            counts = [fitted(coefficient, basis, symbol) for _, coefficient in terms]
            if all(count is not None for count in counts):
                columns = zip(*counts, strict=True)
                sums = [Add(*(c * m for c, m in zip(column, monomials, strict=True))) for column in columns]
                yield Add(*(sympy.factor(total) * word for total, word in zip(sums, basis, strict=True)))


def fitted(function: sympy.Expr, basis: Sequence[sympy.Expr], symbol: sympy.Symbol) -> list[sympy.Expr] | None:
    """The coefficients of a function of one symbol in a basis, small fractions, or None."""
    places = [sympy.Rational(*place) for place in ((2, 3), (-5, 4), (9, 7), (-1, 3))]
    parts = [words.plainly(part) for part in (*basis, function)]
    values = [[sympy.N(part.subs(symbol, place), 40) for part in parts] for place in places]
    if not all(value.is_Float or value.is_Rational for row in values for value in row):
        return None
    size = len(basis)
    matrix, right = (sympy.Matrix([row[part] for row in values[:size]]) for part in (slice(size), slice(size, None)))
    solved = matrix.LUsolve(right)
    counts = [sympy.Rational(round(count * LARGEST_FRACTION), LARGEST_FRACTION) for count in solved]
    for *known, wanted in values:
        if abs(sum(count * value for count, value in zip(counts, known, strict=True)) - wanted) > sympy.Float("1e-25"):
            return None
    return counts
