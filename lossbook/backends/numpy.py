"""NumPy: each element function printed as array expressions, run on blocks that stay in the cache.

    print(source(plan))      the functions that run, readable from top to bottom

The loops over blocks are the same for every loss and stand below; only `element` (and `finish`, for
losses of totals) is generated. No temporary is larger than a block.
"""

from functools import cache

import numpy as np

from lossbook import kernels
from lossbook.backends import host
from lossbook.backends.numpy_words import chosen
from lossbook.backends.spelling import Spelling, bracketed, literal
from lossbook.words import SPELLED

xp = np
BLOCK = 1 << 16  # elements per block: with fewer, threads wait for each other; with more, temporaries pass 16 MiB
NARROW = 128  # up to so many classes, rows are turned into columns: NumPy's innermost loops should be long
LOGISTIC = ("softplus", "sigmoid", "sigmoid_power")
WEIGHTED = ("weighted_softplus", "weighted_sigmoid", "weighted_sigmoid_power")
RESERVED = {"Logistic", "backward", "element", "finish", "of_row", "unsigned", "weighted"}


class _Spelling(Spelling):
    """Logistic words of the same argument, up to its sign, share one `Logistic` object."""

    def __init__(self):
        super().__init__(literal, known=SPELLED)
        self.shared = {}  # text of the argument -> name of its Logistic object

    def function(self, expression):
        name = expression.func.__name__
        if name not in LOGISTIC + WEIGHTED:
            return super().function(expression)
        argument, *rest = expression.args
        if name in WEIGHTED:
            argument, rest[0] = rest[0], argument
        side = -1 if argument.could_extract_minus_sign() else 1
        text = self.add(side * argument)
        at = self.shared.setdefault(text, f"at_{text}" if text.isidentifier() else f"at_{len(self.shared)}")
        self.used.add("Logistic")
        care = ["weighted"] if name == "weighted_softplus" else []  # how to make a product of 0 and infinity
        return f"{at}.{name}({', '.join([str(side), *map(self.add, rest), *care])})"

    def lines(self, lines, indent):
        """Assignments, each preceded by the Logistic objects that it is the first to need."""
        text = ""
        for name, expression in lines:
            before = len(self.shared)
            right = self(expression)
            new = list(self.shared.items())[before:]
            text += "".join(f"{' ' * indent}{at} = Logistic({argument})\n" for argument, at in new)
            text += bracketed(f"{name} = ", right, indent=indent)
        return text


def source(plan, real=np.float64, integer=False):
    """The generated functions of a loss, as text; they are the same for all dtypes and targets."""
    plan = plan.avoiding(RESERVED)
    spell = _Spelling()
    inputs = ["u", plan.arrays[1], "C"] if plan.space.rows_of_classes else list(plan.inputs)
    outside = [name for name, _ in plan.slopes]
    forward = "".join(f"    {name} = unsigned({name})\n" for name in plan.unsigned)
    forward += spell.lines((*plan.forward, *plan.terms), 4)
    spell.used |= {"unsigned"} if plan.unsigned else set()
    backward = spell.lines(plan.backward, 4)
    terms, gradient = ", ".join(name for name, _ in plan.terms), ", ".join(plan.gradients)
    if len(plan.gradients) > 1:
        gradient = f"({gradient})"
    arguments = ", ".join([*inputs, *plan.parameters, *outside, "backward", "weighted=weighted"])
    body = (
        f"def element({arguments}):\n"
        f"{forward}"
        f"    if not backward:\n"
        f"        return ({terms},), None\n"
        f"{backward}"
        f"    return ({terms},), {gradient}\n"
    )
    if plan.finish is not None:
        finish = _Spelling()
        lines = finish.lines([("value", plan.finish), *plan.slopes], 4)
        totals = [name for name, _ in plan.terms]
        body += (
            f"\n\ndef finish({', '.join([*totals, *plan.parameters])}):\n{lines}"
            f"    return value, ({', '.join(outside)},)\n"
        )
        spell.used |= finish.used
    if plan.of_row:
        spell_row = _Spelling()
        value, slope = (name for name, _ in plan.of_row)
        body += (
            f"\n\ndef of_row({', '.join(['logsumexp', 'C', *plan.parameters])}):\n{spell_row.lines(plan.of_row, 4)}"
            f"    return {value}, {slope}\n"
        )
        spell.used |= spell_row.used
    imports = bracketed("from lossbook.backends.numpy_words import ", ", ".join(sorted(spell.used | {"weighted"})))
    about = f"{plan.name} on NumPy, block by block.\n\nWritten by lossbook from the formula: change that, not this.\n"
    return f'"""{about}"""\n\n{imports}\n\n{body}'


@cache
def functions(plan):
    """The module of the generated functions of a plan."""
    return kernels.load(f"{plan.name}_numpy", source(plan))


@cache
def load(plan):
    """The kernel of a plan: its generated functions in the loops that go with its shape."""
    module = functions(plan)
    loops = _rows if plan.space.by_row else _softmax_sweep if plan.row else _sweep
    return host.Kernel(lambda *arguments: loops(plan, module, *arguments), BLOCK, threads=2)


def require(loss):
    """Nothing is missing: NumPy is there."""


def run(plan, call):
    """Values, sums and gradients of a call (see `host.run`)."""
    return host.run(load(plan), plan, call)


def finish(plan):
    """The function from totals to (value, slopes) of a loss of totals; every backend ends with this one."""
    return functions(plan).finish


def _broken(plan, blocks, live):
    """How many values of a block break a rule; `live` is False where the weight is zero."""
    count = 0
    for name, domain in plan.checks:
        block = blocks[name]
        if block is None:
            continue
        if not domain.values and not domain.components and block.size:
            least, most = np.minimum.reduce(block, axis=None), np.maximum.reduce(block, axis=None)
            if domain.holds(least) and domain.holds(most):
                continue
        broken = ~domain.holds(block)
        count += np.count_nonzero(broken if live is None else broken & live)
    return count


def _is_finite(*arrays):
    """Whether all elements are finite."""
    return all(array is None or np.all(np.isfinite(array)) for array in arrays)


def _sweep(plan, module, z, y, weight, ignore, parameters, slopes, values, d_z, sums, first, last):
    """Blocks first to last of a loss of elements or of totals."""
    _, channels, inner = z.shape
    per_group = -(-inner // BLOCK)
    integer = y is not None and y.dtype.kind in "iu"
    with np.errstate(all="ignore"):
        for block in range(first, last):
            group, start = divmod(block, per_group)
            item, channel = divmod(group, channels)
            part = slice(start * BLOCK, (start + 1) * BLOCK)
            blocks = {plan.arrays[0]: z[item, channel, part]}
            broken = 0
            w = None if weight is None else weight[item, channel % weight.shape[1], part].astype(np.float64)
            live = None if w is None else w != 0
            if integer:
                index = y[item, 0, part]
                if ignore is not None:
                    w = np.ones(index.shape, z.dtype) if w is None else w
                    live = (w != 0) & (index != ignore)
                wrong = (index < 0) | (index >= channels)
                broken += np.count_nonzero(wrong if live is None else wrong & live)
                blocks[plan.arrays[1]] = (index == channel).astype(z.dtype)
            elif y is not None:
                blocks[plan.arrays[1]] = y[item, channel, part]
            outside = slopes[item, channel] if plan.finish is not None else ()
            inputs = (*blocks.values(), *parameters, *outside, d_z is not None)
            terms, gradient = module.element(*inputs, weighted=np.multiply)
            if plan.finish is not None and d_z is not None:
                terms = ()  # the totals are known already: the slopes come from them
            if not _is_finite(*terms, gradient):  # rarely: then products are made with care for 0*infinity
                careful, gradient = module.element(*inputs)
                terms = careful[: len(terms)]
            if w is not None:  # a product with a weight is rounded once, when it is stored
                terms = [chosen(live, term * w) for term in terms]
                broken += np.count_nonzero(~((w >= 0) & (w < np.inf)))
            for column, term in enumerate(terms):
                sums[block, column] = np.add.reduce(term.astype(np.float64))
            if values is not None:
                values[item, channel, part] = terms[0]
            if d_z is not None:
                scale = slopes[item, channel, 0] if plan.finish is None else 1
                if w is None:
                    np.multiply(gradient, z.dtype.type(scale), out=d_z[item, channel, part])
                else:
                    d_z[item, channel, part] = chosen(live, gradient * (w * scale))
            sums[block, -1] = broken + _broken(plan, blocks, live)


def _softmax_sweep(plan, module, z, y, weight, ignore, parameters, slopes, size, values, d_z, sums, first, last):
    """Blocks first to last of a loss of totals under a softmax: some pixels of an image, with all their classes."""
    classes, inner = z.shape[1:]
    per_item = -(-inner // size)
    with np.errstate(all="ignore"):
        for block in range(first, last):
            item, tile = divmod(block, per_item)
            part = slice(tile * size, (tile + 1) * size)
            target = y[item, :, part]
            w = None if weight is None else weight[item, :, part].astype(np.float64)
            live = None if w is None else w != 0
            broken = 0 if w is None else np.count_nonzero(~((w >= 0) & (w < np.inf)), axis=-1)
            if target.dtype.kind in "iu":
                if ignore is not None:
                    w = np.ones(target.shape, z.dtype) if w is None else w
                    live = (w != 0) & (target != ignore)
                wrong = (target < 0) | (target >= classes)
                broken = broken + np.count_nonzero(wrong if live is None else wrong & live, axis=-1)
                target = (np.arange(classes)[:, None] == target).astype(z.dtype)
            else:
                broken = broken + _broken_by_class(plan, target, live)
            rivals = _LogOdds(z[item, :, part])
            rest = rivals.rest_of(...)
            inverse = 1 / (rivals.exps + rest)
            p = rivals.exps * inverse
            known = {"probability": p, "complement": rest * inverse}
            if "u" in plan.inputs:
                known["u"] = rivals.of(z[item, :, part], ...)[0]
            outside = np.moveaxis(slopes[item], -1, 0)[..., None]
            inputs = [known.get(name, target) for name in plan.inputs] + [*parameters, *outside, d_z is not None]
            terms, h = module.element(*inputs, weighted=np.multiply)
            if not _is_finite(*terms, h):
                terms, h = module.element(*inputs)
            if d_z is None:
                for column, term in enumerate(terms):
                    term = np.broadcast_to(term, p.shape)
                    term = term if w is None else chosen(live, term * w)
                    sums[item, :, tile, column] = np.add.reduce(term.astype(np.float64), axis=-1)
            else:
                h = np.broadcast_to(h, p.shape)
                d_z[item, :, part] = _under_softmax(rivals, p, h if w is None else chosen(live, h * w))
            sums[item, :, tile, -1] = broken


def _under_softmax(rivals, p, h):
    """The slopes along the logits: h - p*(the sum of h), with h = p*dL/dp of each class."""
    total = _sum_classes(h)
    left = h - chosen(total != 0, p * total)
    alone = rivals.is_top & (rivals.ties == 1)  # where this would cancel: there it is what all others lack to 0
    return chosen(~alone, left, 0 - _sum_classes(chosen(~rivals.is_top, left)))


def _broken_by_class(plan, target, live):
    """How many targets of each class break their rule; `live` is False where the weight is zero."""
    rule = dict(plan.checks).get(plan.arrays[1])
    if rule is None:
        return 0
    broken = ~rule.holds(target)
    return np.count_nonzero(broken if live is None else broken & live, axis=-1)


def _rows(plan, module, z, y, weight, class_weight, ignore, parameters, scale, size, values, d_z, sums, first, last):
    """Blocks first to last of a row loss or of boxes; see `plan` for the log-odds and for what `hard` means."""
    classes, inner = z.shape[1:]
    per_item = -(-inner // size)
    with np.errstate(all="ignore"):
        for block in range(first, last):
            if inner == 1:
                item, part = slice(block * size, (block + 1) * size), slice(None)
                rows, target = z[item, :, 0].T, y[item, ..., 0].T
                if classes <= NARROW:
                    rows, target = np.ascontiguousarray(rows), np.ascontiguousarray(target)
                w = None if weight is None else weight[item, 0].astype(np.float64)
            else:
                item, start = divmod(block, per_item)
                part = slice(start * size, (start + 1) * size)
                rows, target = z[item, :, part], y[item, ..., part]
                w = None if weight is None else weight[item, part].astype(np.float64)
            integer = target.dtype.kind in "iu"
            live = np.ones(rows.shape[1], bool) if w is None else w != 0
            broken = 0 if w is None else np.count_nonzero(~((w >= 0) & (w < np.inf)))
            if integer:
                if ignore is not None:
                    live = live & (target != ignore)
                wrong = (target < 0) | (target >= classes)
                broken += np.count_nonzero(wrong & live)
                live = live & ~wrong
                target = np.where(live, target, 0)
                if plan.hard and class_weight is not None:
                    of_label = class_weight[target]
                    w, live = of_label if w is None else w * of_label, live & (of_label != 0)
            of_class = None if class_weight is None else class_weight[:, None]
            there = live if of_class is None else live & (of_class != 0)
            broken += _broken(plan, {plan.arrays[0]: rows, plan.arrays[1]: None if integer else target}, there)
            if plan.space.corners:
                d, value = _box_block(module, rows, target, parameters, d_z is not None)
            else:
                d, value = _row_block(plan, module, rows, target, of_class, parameters, d_z is not None)
            value = chosen(live, value if w is None else value * w)
            sums[block] = np.sum(value, dtype=np.float64), broken
            if values is not None:
                if inner == 1:
                    values[item, 0] = value
                else:
                    values[item, part] = value
            if d is not None:
                if w is None:
                    d *= d.dtype.type(scale)
                else:
                    d = d * (w * scale)
                if not np.all(live):
                    d = chosen(live, d)
                if inner == 1:
                    d_z[item, :, 0] = d.T
                else:
                    d_z[item, :, part] = d


def _box_block(module, z, y, parameters, backward):
    """(gradient, value) of boxes whose corners stand along the first axis."""
    inputs = (*z, *y, *parameters, backward)
    (value,), slopes = module.element(*inputs, weighted=np.multiply)
    if not _is_finite(value, *(slopes or ())):
        (value,), slopes = module.element(*inputs)
    return None if slopes is None else np.stack(np.broadcast_arrays(*slopes)), value


def _row_block(plan, module, z, y, of_class, parameters, backward):
    """(gradient, value) of the columns of z, shape (classes, rows); `of_class` are the weights of classes, which act
    here, unless only the labeled class enters: then they are weights of the rows.
    """
    classes, count = z.shape
    rivals = None if plan.row == "entry" else RIVALS[plan.row](z)
    if plan.hard:
        row = np.arange(count)
        u, rest = (z[y, row], None) if rivals is None else rivals.of(z, (y, row))
        (value,), slope = module.element(u, None, classes, *parameters, backward)
        lost = None
        if rivals is None and np.isnan(np.minimum.reduce(z, axis=None, initial=np.inf)):
            lost = np.isnan(z)  # entries that the loss does not read, and which it must not hide
            lost &= True if of_class is None else of_class != 0
            value = np.where(np.any(lost, axis=0), np.nan, value)
        if not backward:
            return None, value
        if rivals is None:
            d = np.zeros_like(z) if lost is None else np.where(lost, z, 0)
        else:
            d = rivals.pulled((y, row), chosen(rest != 0, -slope / rest))
        d[y, row] += slope
        return d, value
    spread = (np.arange(classes)[:, None] == y).astype(z.dtype) if y.dtype.kind in "iu" else y
    u, rest = (z, None) if rivals is None else rivals.of(z, ...)
    (value,), slope = module.element(u, spread, classes, *parameters, backward)
    if of_class is not None:
        value = chosen(of_class != 0, value * of_class)
        slope = chosen(of_class != 0, slope * of_class) if backward else None
    value = _sum_classes(np.broadcast_to(value, z.shape))
    pull_of_row = 0
    if plan.of_row:
        beyond = rivals.others + (rivals.ties - 1)  # all exponentials but one of the largest, which are 1
        logsumexp = (rivals.top + np.log1p(beyond)).astype(z.dtype)
        more, pull_of_row = module.of_row(logsumexp, classes, *parameters)
        value, pull_of_row = value + more, pull_of_row / (1 + beyond)
    if not backward:
        return None, value
    slope = np.broadcast_to(slope, z.shape)
    if rivals is None:
        return slope.copy(), value
    pull = chosen((rest != 0) & (slope != 0), slope / rest)
    of_rest = _sum_classes(chosen(~rivals.is_top, pull)).astype(pull.dtype)
    of_top = _sum_classes(chosen(rivals.is_top, pull)).astype(pull.dtype)
    d = rivals.left(slope, pull, of_top, of_rest)
    if plan.of_row:
        d = d + chosen((rivals.exps != 0) | (pull_of_row != pull_of_row), pull_of_row * rivals.exps)
    return d, value


def _sum_classes(value):
    """The sum over the classes: four times by halves as they are, then in float64, so that many round little."""
    for _ in range(4):
        value = host.halved(value) if len(value) > 1 else value
    return host.fold(value.astype(np.float64))


class _LogOdds:
    """What a class competes with: all the others, by their exponentials exp(z - top)."""

    def __init__(self, z):
        self.top = np.fmax.reduce(z, axis=0)
        self.is_top = z == self.top
        self.ties = self.is_top.sum(axis=0)
        self.exps = np.exp(chosen(~self.is_top, z - self.top))  # with the limit for infinite logits
        self.others = _sum_classes(chosen(~self.is_top, self.exps))  # without the largest

    def of(self, z, at):
        """(u, sum of the rivals' exponentials) of the classes at an index."""
        rest = self.rest_of(at)
        return chosen(~self.is_top[at], z[at] - self.top) - np.log(rest), rest

    def rest_of(self, at):
        """The sum of the rivals' exponentials of the classes at an index; those of the largest are exactly 1."""
        return (self.others + (self.ties - self.exps[at])).astype(self.exps.dtype)

    def pulled(self, at, pull):
        """The slopes of the rivals of one class of each row."""
        slopes = self.exps * pull
        slopes[at] = 0
        return slopes

    def left(self, slope, pull, of_top, of_rest):
        """What rivals leave of the slope of a class: their pulls are summed over those in front and the others."""
        return slope - self.exps * chosen(self.is_top, of_rest + (of_top - pull), of_top + (of_rest - pull))


class _MinusLargest:
    """What a class competes with: the largest, itself included; those that tie share alike."""

    def __init__(self, z):
        self.top = np.maximum.reduce(z, axis=0)
        self.is_top = z == self.top
        self.ties = self.is_top.sum(axis=0).astype(z.dtype)
        self.exps = np.where(self.top == self.top, self.is_top, self.top)  # NaN stays NaN

    def of(self, z, at):
        return chosen(~self.is_top[at], z[at] - self.top), self.ties

    def pulled(self, at, pull):
        return self.exps * pull

    def left(self, slope, pull, of_top, of_rest):
        """Of a class alone in front it is 0: what it gains as itself, it loses as its own rival."""
        left = chosen(self.is_top, slope - pull - (of_rest + (of_top - pull)), slope)
        return chosen(self.top == self.top, left, self.top)


class _MinusLargestOfOthers:
    """What a class competes with: the largest of the others, which is the runner-up where a class is alone in front."""

    def __init__(self, z):
        self.z, self.top = z, np.maximum.reduce(z, axis=0)
        self.is_top = z == self.top
        ties = self.is_top.sum(axis=0).astype(z.dtype)
        self.ties = np.where(self.top == self.top, ties, self.top)  # NaN stays NaN
        self.runner_up = np.maximum.reduce(np.where(self.is_top, -np.inf, z), axis=0)
        self.is_alone = self.is_top & (self.ties == 1)
        self.follows = (self.ties == 1) & (z == self.runner_up) & ~self.is_top
        self.runners_up = self.follows.sum(axis=0).astype(z.dtype)

    def front_of(self, at):
        """The largest of the others."""
        return np.where(self.is_alone[at], self.runner_up, self.top)

    def of(self, z, at):
        front = self.front_of(at)
        rest = np.where(self.is_alone[at], self.runners_up, self.ties - self.is_top[at])
        return chosen(z[at] != front, z[at] - front), rest

    def pulled(self, at, pull):
        front = self.front_of(at)
        slopes = chosen(~(self.z < front), pull)  # infinite pulls move the rivals alone
        slopes[at] = chosen(front != front, front)
        return slopes

    def left(self, slope, pull, of_top, of_rest):
        in_front = of_rest + chosen(~self.is_alone, of_top - pull)
        taken = chosen(self.is_top, in_front, chosen(self.follows, of_top))
        return chosen(self.top == self.top, slope - taken, self.top)


RIVALS = {"log_odds": _LogOdds, "minus_largest": _MinusLargest, "minus_largest_of_others": _MinusLargestOfOthers}
