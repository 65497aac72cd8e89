"""What a loss says of itself: signature, docstring, LaTeX and the card that a notebook shows."""

import inspect
from functools import cached_property

import sympy

# What HTML, Markdown or TeX would take for more than a character. TeX, which looks at a page last, takes no dollar and
# no backslash that stands in an element of its own.
MARKED = {ord(sign): f"&#{ord(sign)};" for sign in "&<>*[]"}
MARKED |= {ord(sign): f"<span>&#{ord(sign)};</span>" for sign in "$\\"}

GREEK = {"alpha", "beta", "gamma", "delta", "epsilon"}


def plainly(text):
    """One line of text for a page of Markdown, in which stars, brackets and dollars stand for themselves."""
    return " ".join(text.split()).translate(MARKED)


class Shown:
    """An attribute that a loss works out when it is asked for, so that `import lossbook` builds no formula.

    The class itself keeps what it has under that name, such as its own docstring.
    """

    def __init__(self, make, of_class=None):
        self.make, self.of_class = make, of_class

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, loss, owner):
        if loss is None:
            if self.of_class is None:
                raise AttributeError(self.name)
            return self.of_class
        value = self.make(loss)
        vars(loss)[self.name] = value
        return value


class Documented:
    """The part of a Loss that prints it."""

    @property
    def latex(self):
        """The formula as LaTeX, printed from the formula that runs; that of boxes with its named steps below it."""
        if self.shape != "boxes":
            return self._print_latex(self.formula)
        form = self._form({})
        lines = [(sympy.Symbol("L"), form.expression), *form.steps]
        text = r" \\ ".join(f"{self._print_latex(name)} &= {self._print_latex(value)}" for name, value in lines)
        return rf"\begin{{aligned}}{text}\end{{aligned}}"

    def _print_latex(self, expression):
        """LaTeX in which a parameter with a long name is set as a word, not as a product of letters."""
        names = {s: rf"\mathrm{{{s.name}}}\,".replace("_", r"\_") for s in expression.free_symbols}
        words_only = {s: text for s, text in names.items() if len(s.name.partition("_")[0]) > 1 and s.name not in GREEK}
        return sympy.latex(expression, symbol_names=words_only)

    def _public_signature(self):
        """The signature that users call: arrays, parameters, options."""
        positional = inspect.Parameter.POSITIONAL_ONLY
        keyword = inspect.Parameter.KEYWORD_ONLY
        defaults = {"reduction": "mean", "axis": self._axis, "batch": False, **self._baked}
        return inspect.Signature(
            [inspect.Parameter(name, positional) for name in self._arrays]
            + [inspect.Parameter(name, keyword, default=value) for name, value in self._defaults.items()]
            + [inspect.Parameter(name, keyword, default=defaults.get(name)) for name in self._every_option()]
        )

    def _document(self, text):
        """The author's words, then what the declaration knows: formula, arguments, result, errors, source."""
        of = {"pointwise": "element", "rows": "row", "overlap": "image and class", "boxes": "box"}[self.shape]
        shapes = {"pointwise": "any shape", "boxes": "(..., 4)"}.get(self.shape, "(N, C, ...)")
        rows = []
        for name, domain in self._arguments.items():
            if domain.role == "prediction":
                rows.append(f"{name}: {domain.describes}; float array of {shapes}.")
            elif domain.role == "target":
                rows.append(f"{name}: {domain.describes}; never broadcast.")
            else:
                rows.append(f"{name}: {domain.describes}; {self._defaults[name]!r} if left out.")
        rows.append(f"reduction: 'mean' (sum(w*l)/sum(w)), 'sum', or 'none' for one value per {of}.")
        each = {"overlap": "pixel", "boxes": "box", "rows": "row"}.get(self.shape, "element")
        rows.append(
            f"weight: a number, one per item or one per {each}, >= 0; absent means 1, 0 removes whatever stands there."
        )
        if shapes == "(N, C, ...)":
            rows[-1] += " A vector is one per item, also where there are as many classes as items."
        if self._by_class:
            rows.append(
                "class_weight: one per class, >= 0. ignore_index: a class index that is left out. axis: of the classes."
            )
        if self.shape == "overlap":
            rows.append("batch: sum over the images before the quotient is taken.")
        rows.append("backend: 'numpy' or 'numba' for NumPy arrays; CuPy arrays choose CuPy by themselves.")
        parts = [
            text,
            f"Formula, per {of}: {self._formula_text()}",
            "Arguments:\n" + "\n".join(f"- {row}" for row in rows),
        ]
        parts.append("Returns a number (or array) of the prediction's dtype, in nats where the formula has logarithms.")
        parts.append("Raises ShapeError, DomainError (both ValueErrors) or BackendError (an ImportError).")
        if self.reference:
            parts.append(f"Source: {self.reference}.")
        return "\n\n".join(part for part in parts if part) + "\n"

    def _document_options(self):
        """The options that a loss has of its own."""
        if not self._baked:
            return ""
        rows = [f"- {name}: {value!r} if left out." for name, value in self._baked.items()]
        return "\nOptions of its own, which sums of losses leave it:\n" + "\n".join(rows) + "\n"

    def _formula_text(self):
        """The formula in one line; that of boxes with its named steps, which would fill a page if put in."""
        form = self._form({})
        if self.shape != "boxes":
            return str(form.formula)
        return f"{form.expression}, where " + ", ".join(f"{name} = {value}" for name, value in form.steps)

    @cached_property
    def summary(self):
        """The first sentence of the docstring."""
        return self.__doc__.partition("\n")[0]

    def _repr_markdown_(self):
        """The card that a notebook shows: name, formula, gradient, source."""
        lines = [f"**{plainly(self.name)}** · {plainly(self.summary)}", f"$$\n{self.latex}\n$$"]
        if self.shape == "boxes":
            lines += ["Gradient: one slope per corner, step by step in `source()`."]
        else:
            lines += ["Gradient:", f"$$\n{self._print_latex(self.gradient)}\n$$"]
        if self.reference:
            lines.append(f"Source: {plainly(self.reference)}.")
        return "\n\n".join(lines)
