"""Expressions in positive numbers as fractions of a few quantities: logarithms of factors, powers, sums over an index.

Two expressions are the same function if they are the same fraction. Sums keep a symbolic number of terms.
"""

import itertools
from collections.abc import Sequence

import sympy

DISTRIBUTION = "distribution"  # the name of a family whose sum is 1


def is_zero(expression: sympy.Expr) -> bool:
    """Whether an expression in positive numbers is 0 as a fraction of its logarithms and powers."""
    found = Quantities()
    top, _ = sympy.fraction(sympy.together(found.fraction(expression)))
    top = sympy.expand(top)
    for root, relation in reversed(found.relations.items()):
        if top != 0 and top.has(root):
            top = sympy.expand(sympy.numer(sympy.together(sympy.rem(top, relation, root))))
    return top == 0


def sign_of(expression: sympy.Expr) -> int:
    """1 or -1 for an expression in positive numbers that has this sign for all of them; 0 if that is not seen."""
    found = Quantities()
    sign = 1
    for part in sympy.fraction(sympy.together(found.fraction(expression))):
        terms = sympy.Add.make_args(sympy.expand(part))
        if all(term.is_positive for term in terms):
            continue
        if not all(term.is_negative for term in terms):
            return 0
        sign = -sign
    return sign


def is_sum_over(meaning: sympy.Expr, counter: sympy.Symbol) -> bool:
    """Whether a quantity is a sum over an index."""
    return meaning.func.__name__ == "sum" and meaning.args[1] == counter


def is_a_root(number: sympy.Expr) -> bool:
    """Whether a number is a root of a positive one, such as sqrt(pi), which is no factor to SymPy."""
    return number.is_Pow and number.base.is_positive and number.exp.is_Rational and not number.exp.is_Integer


class Quantities:
    """Writes expressions in positive numbers as fractions of logarithms of irreducible factors, and of their powers."""

    def __init__(self) -> None:
        self.named: dict[sympy.Expr, sympy.Dummy] = {}
        self.relations: dict[sympy.Dummy, sympy.Expr] = {}  # of a root to what it is the root of: their difference is 0

    def quantity(self, expression: sympy.Expr) -> sympy.Dummy:
        """The symbol that stands for an expression."""
        return self.named.setdefault(expression, sympy.Dummy(f"q{len(self.named)}", positive=expression.is_positive))

    def fraction(self, expression: sympy.Expr) -> sympy.Expr:
        """The expression as a fraction."""
        if expression.is_number or expression.is_Symbol:
            return self.constant(expression) if expression.is_number else expression
        if expression.is_Add or expression.is_Mul:
            return expression.func(*map(self.fraction, expression.args))
        if isinstance(expression, sympy.Sum):
            return self.sum(expression)
        if isinstance(expression, sympy.Indexed):
            return self.quantity(expression)
        if isinstance(expression, sympy.log):
            return self.logarithm(expression.args[0])
        if isinstance(expression, sympy.exp):
            return self.power_of_e(expression.args[0])
        if expression.is_Pow:
            base, exponent = expression.args
            if exponent.is_Integer:
                return self.fraction(base) ** exponent
            return self.raised(base, exponent)
        return self.quantity(expression.func(*map(sympy.cancel, map(self.fraction, expression.args))))

    def sum(self, expression: sympy.Sum) -> sympy.Expr:
        """A sum, over the inner index first."""
        inner, *limits = expression.args
        free = (sympy.Symbol(f"index{number}", integer=True) for number in itertools.count(1))
        unused = (symbol for symbol in free if symbol not in inner.free_symbols)
        counters = [*reversed([next(unused) for _ in limits])]  # the outer index first
        body = inner.xreplace({limit[0]: counter for limit, counter in zip(limits, counters, strict=True)})
        for (_, low, high), counter in zip(limits, counters, strict=True):
            body = self.summed(body, counter, low, high)
            if counter != counters[-1]:
                body = self.unfolded(body)
        return body

    def summed(self, body: sympy.Expr, counter: sympy.Symbol, low: sympy.Expr, high: sympy.Expr) -> sympy.Expr:
        """The sum over an index: terms apart, what does not depend on the index in front."""
        total = sympy.S.Zero
        for term in sympy.Add.make_args(sympy.expand_mul(body)):
            deltas = [delta for delta in term.atoms(sympy.KroneckerDelta) if delta.has(counter)]
            if deltas:  # an index is one of those of the sum
                (other,) = [argument for argument in deltas[0].args if argument != counter] or [counter]
                total += self.fraction((term / deltas[0]).subs(counter, other))
                continue
            for part in self.terms_of(term):
                front, rest = sympy.S.One, sympy.S.One
                for factor in sympy.Mul.make_args(part):
                    front, rest = (front, rest * factor) if self.depends(factor, counter) else (front * factor, rest)
                total += front * self.sum_of(rest, counter, low, high)
        return total

    def unfolded(self, expression: sympy.Expr) -> sympy.Expr:
        """An expression in quantities as one in the numbers that they are made of."""
        meanings = {name: known for known, name in self.named.items()}

        def unfold(part: sympy.Expr) -> sympy.Expr:
            if part in meanings:
                return unfold(meanings[part])
            if not part.args or isinstance(part, sympy.Indexed):
                return part
            if part.func.__name__ == "sum":
                body, counter, low, high = part.args
                return sympy.Sum(unfold(body), (counter, low, high))
            return part.func(*map(unfold, part.args))

        return unfold(expression)

    def terms_of(self, term: sympy.Expr) -> Sequence[sympy.Expr]:
        """A term as a fraction whose numerator is taken apart."""
        top, bottom = sympy.fraction(sympy.together(self.fraction(term)))
        bottom = sympy.factor(bottom)
        return [part / bottom for part in sympy.Add.make_args(sympy.expand(top))]

    def sum_of(self, rest: sympy.Expr, counter: sympy.Symbol, low: sympy.Expr, high: sympy.Expr) -> sympy.Expr:
        """The symbol of the sum of what depends on the index; a distribution sums to 1."""
        if rest == 1:
            return high - low + 1
        meaning = next((known for known, name in self.named.items() if name == rest), None)
        if isinstance(meaning, sympy.Indexed) and meaning.base.label.name == DISTRIBUTION:
            return sympy.S.One
        # The same sum has the same name, wherever it stands: its index is the first that is free.
        whole = self.unfolded(rest)
        taken = {symbol.name for symbol in whole.free_symbols - {counter}}
        first = next(name for number in itertools.count(1) if (name := f"index{number}") not in taken)
        renamed = sympy.Symbol(first, integer=True)
        if renamed != counter:
            rest, counter = self.fraction(whole.xreplace({counter: renamed})), renamed
        name = sympy.Function("sum", positive=bool(rest.is_positive))(rest, counter, low, high)
        return self.named.setdefault(name, sympy.Dummy(f"q{len(self.named)}", positive=rest.is_positive))

    def depends(self, expression: sympy.Expr, counter: sympy.Symbol) -> bool:
        """Whether an expression in quantities changes with an index, other than that of a sum in it."""
        meanings = {name: known for known, name in self.named.items()}
        if counter in expression.free_symbols:
            return True
        known = [meanings[symbol] for symbol in expression.free_symbols if symbol in meanings]
        return any(self.depends(meaning, counter) for meaning in known if not is_sum_over(meaning, counter))

    def constant(self, number: sympy.Expr) -> sympy.Expr:
        """A number; roots become quantities, and logarithms of numbers those of primes."""
        if number.is_Rational:
            return number
        number = number.replace(is_a_root, lambda root: self.raised(root.base, root.exp))
        return sympy.expand_log(number, force=True).replace(sympy.log, self.logarithm)

    def factors(self, base: sympy.Expr) -> list[tuple[sympy.Expr, sympy.Expr]]:
        """(factor, how often) of a positive expression."""
        top, bottom = sympy.fraction(sympy.together(self.fraction(base)))
        coefficient, factors = factor_list(top)
        below, others = factor_list(bottom)
        every = [*factors, *((factor, -count) for factor, count in others)]
        number = coefficient / below
        if number.is_negative:
            number, every = -number, self.signed(every)
        return [*every, *factors_of_number(number)]

    @staticmethod
    def signed(factors: list) -> list:
        """A minus sign goes into one of the factors, whose product is positive."""
        for index, (factor, count) in enumerate(factors):
            if count % 2 == 1 and not factor.is_number:
                return [*factors[:index], (sympy.expand(-factor), count), *factors[index + 1 :]]
        return [*factors, (sympy.Integer(-1), sympy.Integer(1))]

    def logarithm(self, base: sympy.Expr) -> sympy.Expr:
        """log of a product is the sum of logs of its factors."""
        total, factors = sympy.S.Zero, self.factors(base)
        meanings = {name: known for known, name in self.named.items()}
        for factor, count in factors:
            known = meanings.get(factor)
            if isinstance(known, sympy.exp):
                total += count * known.args[0]
            elif isinstance(known, sympy.Pow):
                total += count * known.exp * self.logarithm(known.base)
            else:
                total += count * self.quantity(sympy.log(factor))
        return total

    def raised(self, base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
        """A power of a product is the product of powers, and a power of a sum of exponents the product over these."""
        result = sympy.S.One
        for term in sympy.Add.make_args(sympy.expand(exponent)):
            whole, rest = term.as_coeff_Mul()
            for factor, count in self.factors(base):
                if rest == 1 and (whole * count).is_Integer:
                    result *= factor ** (whole * count)
                elif rest == 1:
                    power = whole * count
                    root = self.quantity(sympy.Pow(factor, sympy.Rational(1, power.q), evaluate=False))
                    self.relations[root] = root**power.q - factor
                    result *= root**power.p
                else:
                    result *= self.quantity(sympy.Pow(factor, self.fraction(rest), evaluate=False)) ** (whole * count)
        return result

    def power_of_e(self, exponent: sympy.Expr) -> sympy.Expr:
        """exp of a sum is the product of exps; exp(k*log(a)) is a**k."""
        result = sympy.S.One
        for term in sympy.Add.make_args(sympy.expand(sympy.expand_log(exponent, force=True))):
            logs = [factor for factor in sympy.Mul.make_args(term) if isinstance(factor, sympy.log)]
            if len(logs) == 1 and not (term / logs[0]).has(sympy.log):
                coefficient = term / logs[0]
                base = logs[0].args[0]
                result *= self.raised(base, coefficient)
            else:
                whole, rest = term.as_coeff_Mul()
                if whole.is_Rational and rest != 1:
                    result *= self.quantity(sympy.exp(self.fraction(rest) / whole.q)) ** whole.p
                else:
                    result *= self.quantity(sympy.exp(self.fraction(term)))
        return result


def factor_list(expression: sympy.Expr) -> tuple[sympy.Expr, list[tuple[sympy.Expr, sympy.Expr]]]:
    """The number in front of a product, and (factor, how often), where a factor may stand under a root."""
    number, every = sympy.S.One, []
    for part in sympy.Mul.make_args(expression):
        base, power = part.as_base_exp()
        if part.is_number:
            number *= part
        elif power.is_Rational and not power.is_Integer:
            front, factors = factor_list(base)
            number *= front**power
            every += [(factor, count * power) for factor, count in factors]
        else:
            front, factors = sympy.factor_list(part)
            number *= front
            every += factors
    return number, every


def factors_of_number(number: sympy.Expr) -> list[tuple[sympy.Expr, sympy.Expr]]:
    """(factor, how often) of a positive number: primes where it is rational or a root of such."""
    every = []
    for part in sympy.Mul.make_args(number):
        base, power = part.as_base_exp()
        if base.is_Rational and power.is_Rational:
            every += [(sympy.Integer(p), k * power) for p, k in sympy.factorint(base.p).items()]
            every += [(sympy.Integer(p), -k * power) for p, k in sympy.factorint(base.q).items()]
        elif power.is_Rational:
            every.append((base, power))
        else:
            every.append((part, sympy.Integer(1)))
    return [(factor, count) for factor, count in every if factor != 1]
