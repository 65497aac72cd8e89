"""What a loss says of itself: signature, docstring, LaTeX and the card that a notebook shows."""

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


def latex(loss):
    """The formula as LaTeX, printed from the formula that runs; that of boxes with its named steps below it."""
    expression, steps = loss.named_formula
    if not steps:
        return print_latex(expression)
    lines = [(sympy.Symbol("L"), expression), *steps]
    text = r" \\ ".join(f"{print_latex(name)} &= {print_latex(value)}" for name, value in lines)
    return rf"\begin{{aligned}}{text}\end{{aligned}}"


def print_latex(expression):
    """LaTeX in which a parameter with a long name is set as a word, not as a product of letters."""
    names = {s: rf"\mathrm{{{s.name}}}\,".replace("_", r"\_") for s in expression.free_symbols}
    words_only = {s: text for s, text in names.items() if len(s.name.partition("_")[0]) > 1 and s.name not in GREEK}
    return sympy.latex(expression, symbol_names=words_only)


def document(loss, text):
    """The author's words, then what the declaration knows: formula, arguments, result, errors, source."""
    space, declaration = loss.space, loss.declaration
    rows = []
    for name, domain in declaration.arguments.items():
        if domain.role == "prediction":
            rows.append(f"{name}: {domain.describes}; float array of {space.arrays}.")
        elif domain.role == "target":
            rows.append(f"{name}: {domain.describes}; never broadcast.")
        else:
            rows.append(f"{name}: {domain.describes}; {declaration.defaults[name]!r} if left out.")
    rows.append(f"reduction: 'mean' (sum(w*l)/sum(w)), 'sum', or 'none' for one value per {space.value_of}.")
    rows.append(
        f"weight: a number, one per item or one per {space.weight_of}, >= 0; absent means 1, 0 removes whatever stands "
        "there."
    )
    if space.classes:
        rows[-1] += " A vector is one per item, also where there are as many classes as items."
    if declaration.by_class:
        rows.append(
            "class_weight: one per class, >= 0. ignore_index: a class index that is left out. axis: of the classes."
        )
    if space.totals:
        rows.append("batch: sum over the images before the quotient is taken.")
    rows.append("backend: 'numpy' or 'numba' for NumPy arrays; CuPy arrays choose CuPy by themselves.")
    parts = [
        text,
        f"Formula, per {space.value_of}: {formula_text(loss)}",
        "Arguments:\n" + "\n".join(f"- {row}" for row in rows),
        "Returns a number (or array) of the prediction's dtype, in nats where the formula has logarithms.",
        "Raises ShapeError, DomainError (both ValueErrors) or BackendError (an ImportError).",
    ]
    if loss.reference:
        parts.append(f"Source: {loss.reference}.")
    return "\n\n".join(part for part in parts if part) + "\n"


def document_options(own):
    """The options that a loss has of its own."""
    if not own:
        return ""
    rows = [f"- {name}: {value!r} if left out." for name, value in own.items()]
    return "\nOptions of its own, which sums of losses leave it:\n" + "\n".join(rows) + "\n"


def formula_text(loss):
    """The formula in one line; that of boxes with its named steps, which would fill a page if put in."""
    expression, steps = loss.named_formula
    named = ", ".join(f"{name} = {value}" for name, value in steps)
    return f"{expression}, where {named}" if steps else str(expression)


def card(loss):
    """The card that a notebook shows, in Markdown: name, formula, gradient, source."""
    lines = [f"**{plainly(loss.name)}** · {plainly(loss.summary)}", f"$$\n{loss.latex}\n$$"]
    if loss.space.corners:
        lines += ["Gradient: one slope per corner, step by step in `source()`."]
    else:
        lines += ["Gradient:", f"$$\n{print_latex(loss.gradient)}\n$$"]
    if loss.reference:
        lines.append(f"Source: {plainly(loss.reference)}.")
    return "\n\n".join(lines)
