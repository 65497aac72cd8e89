"""What the atlas says of a loss is true: every typed formula, every fact, every name."""

import itertools
import json
import re
import sys
from functools import cache

import build
import numpy as np
import pytest
import sympy

from lossbook import Real, derive
from lossbook.workshop.find import table
from lossbook.workshop.latex import read

sys.path.insert(0, str(build.ROOT / "book" / "_ext"))
import atlas
import cards
import pictures

LOSSES = cards.every_loss()
TYPED = [name for name in LOSSES if cards.entry(name)]
JOINED = [name for name, loss in LOSSES.items() if loss.shape == "joined"]
BOXES = ("x_1", "y_1", "x_2", "y_2", "X_1", "Y_1", "X_2", "Y_2")
MODULES = [{"sigmoid": lambda z: 1 / (1 + np.exp(-z))}, "numpy"]
SIZES = {"C": 3, "N": 5}  # classes and pixels

# --- formulas --------------------------------------------------------------------------------------------------------


@cache
def printed(name):
    """({"L": formula, "g": slope, ...}, {letter: its symbol or family}) of an entry, read as LaTeX."""
    entry, loss = cards.entry(name), LOSSES[name]
    domains = loss.declaration.arguments
    if loss.shape == "boxes":
        where = dict.fromkeys(BOXES, Real)
    else:
        where = {letter: domains[argument] for letter, argument in cards.letters(name).items()}
    text = entry["with"] + r" \\ " if "with" in entry else ""
    text += rf"L = {entry['formula']}"
    rows = {"L": -1}
    for along, slope in (("along", "slope"), ("second_along", "second")):
        if slope in entry:
            index = entry[along].partition("_")[2] if loss.shape != "boxes" else ""
            text += rf" \\ {'g' if slope == 'slope' else 'G'}{f'_{index}' if index else ''} = {entry[slope]}"
            rows[slope] = -1
    found = read(text, {letter: domain for letter, domain in where.items() if letter in text})
    lines = found.lines[-len(rows) :]
    return {row: line.sides[-1].expression for row, line in zip(rows, lines, strict=True)}, found.symbols


@cache
def compiled(name):
    """{"L": [function of the numbers], "slope": [one for each place]} of an entry: sums written out, then compiled."""
    rows, _ = printed(name)
    found = {}
    for row, expression in rows.items():
        sizes = {symbol: SIZES[symbol.name] for symbol in expression.free_symbols
                 if symbol.name in SIZES and symbol.is_integer}  # fmt: skip
        indices = indices_of(expression) if row != "L" else set()
        count = 1 if not indices else 5 if "n" in {str(index) for index in indices} else 3
        count = 4 if indices and {str(index) for index in indices} == {"j"} else count
        found[row] = []
        for place in range(1, count + 1):
            one = expression.subs(sizes | dict.fromkeys(indices, place)).doit()
            entries = one.atoms(sympy.Indexed)
            known = {part: sympy.Symbol(f"{part.base.label.name}{part.indices[0]}") for part in entries}
            one = one.xreplace(known)
            symbols = sorted(one.free_symbols, key=str)
            found[row].append((list(map(str, symbols)), sympy.lambdify(symbols, one, MODULES, cse=True)))
    return found


def number(function, values):
    """The value of a compiled function: entries of families are counted from 1."""
    names, call = function
    flat = {}
    for letter, value in values.items():
        flat |= {f"{letter}{at}": float(entry) for at, entry in enumerate(np.atleast_1d(value), 1)}
        flat |= {letter: float(value)} if np.ndim(value) == 0 else {}
    return float(call(*(flat[name] for name in names)))


def indices_of(expression):
    """The free indices of an expression."""
    free = {symbol for part in expression.atoms(sympy.Indexed) for symbol in part.indices[0].free_symbols}
    return {symbol for symbol in free & expression.free_symbols if symbol.name not in SIZES}


def some_parameters(loss, rng):
    """Numbers for every parameter that a formula has a letter for."""
    found = {}
    for argument in loss.declaration.parameters:
        domain = loss.declaration.arguments[argument]
        if domain.role == "parameter":
            found[argument] = float(rng.uniform(0.1, 0.45 if domain.high == 1 else 2.5))
    return found


def softmax(z):
    power = np.exp(z)
    return power / power.sum(axis=-1, keepdims=True)


def draw(name, rng):
    """(arrays of the loss, {argument or coordinate: its numbers}, parameters) at one random point."""
    loss = LOSSES[name]
    domains, (first, *others) = loss.declaration.arguments, loss.declaration.arrays
    parameters = some_parameters(loss, rng)
    is_logit = domains[first].holds_logits
    if loss.shape == "boxes":
        corner, side = rng.uniform(0, 3, (2, 2)), rng.uniform(0.5, 3, (2, 2))
        box, true = np.concatenate([corner, corner + side], axis=1)
        return (box[None], true[None]), dict(zip(BOXES, [*box, *true], strict=True)), {}
    if loss.shape == "joined":
        c = int(rng.integers(0, 3))
        b, t = rng.normal(size=(2, 4)) * 2
        score = rng.normal(size=3)
        score = score if is_logit else softmax(score)
        values = {"scores": score, "classes": np.eye(3)[c], "boxes": b, "targets": t, "c": c}
        if name.startswith("detection.faster"):
            label = min(c, 1)
            one = score[0]
            return ([one], [b], [label], [t]), values | {"scores": one, "labels": label}, parameters
        if name.startswith("detection.mask"):
            mask, true = rng.uniform(0.1, 0.9, (2, 5))
            masks = np.full((1, 3, 1, 5), 0.5)
            masks[0, c, 0] = mask
            arrays = ([score], [b], masks, [c], [t], true.reshape(1, 1, 5))
            # the grid is square in practice; any grid of N pixels has the formula
            return arrays, values | {"masks": mask, "true_masks": true}, parameters
        return ([score], [b], [c], [t]), values, parameters
    if loss.shape == "pointwise":
        z = rng.uniform(-3, 3) if domains[first].high > 1 else rng.uniform(0.05, 0.95)
        y = rng.uniform(-2, 2) if domains[others[0]].high > 1 else rng.uniform(0.05, 0.95)
        return (np.array([z]), np.array([y])), {first: z, others[0]: y}, parameters
    if loss.shape == "rows":
        z, y = rng.normal(size=3), softmax(rng.normal(size=3))
        z = z if is_logit else softmax(z)
        z = np.log(z) if first == "x" else z
        return (z[None], y[None]), {first: z, others[0]: y}, parameters
    z, y = rng.uniform(0.05, 0.95, (2, 5))
    y = np.round(y) if rng.uniform() < 0.5 else y
    y[:2] = 0, 1
    return (z[None, None], y[None, None]), {first: z, others[0]: y}, parameters


@pytest.mark.parametrize("name", TYPED)
def test_a_typed_formula_is_the_loss_and_a_typed_slope_its_gradient(name):
    """At fifty random points, from the LaTeX that the card prints."""
    loss, rng = LOSSES[name], np.random.default_rng(0)
    rows = compiled(name)
    for _ in range(50):
        arrays, drawn, parameters = draw(name, rng)
        values = drawn | parameters
        if loss.shape != "boxes":
            values = {letter.lstrip("\\"): values[argument] for letter, argument in cards.letters(name).items()
                      if argument in values}  # fmt: skip
            values |= {"c": drawn["c"]} if "c" in drawn else {}
        arrays = [np.asarray(array) for array in arrays]
        reduction = "mean" if loss.shape == "joined" else "sum"
        got = float(loss(*arrays, reduction=reduction, **parameters))
        assert number(rows["L"][0], values) == pytest.approx(got, rel=1e-9, abs=1e-12)
        slopes = loss.grad(*arrays, reduction=reduction, **parameters)
        slopes = slopes if isinstance(slopes, tuple) else (slopes,)
        for which, row in enumerate(row for row in rows if row != "L"):
            found = np.ravel(slopes[which])
            if loss.shape == "boxes":
                assert number(rows[row][0], values) == pytest.approx(found[2], rel=1e-9, abs=1e-12)
                continue
            found = found[found != 0] if name.startswith("detection.mask") and which == 2 else found
            for function, slope in zip(rows[row], found, strict=True):
                assert number(function, values) == pytest.approx(slope, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in TYPED if LOSSES[name].shape == "pointwise"])
def test_a_typed_formula_of_one_number_is_proved(name):
    """For all numbers, by derive: the formula is the loss, and the slope is its derivative."""
    rows, _ = printed(name)
    loss = LOSSES[name]
    where = loss.formula_at().domains
    symbols = {symbol.name: symbol for symbol in where}
    own = {letter.lstrip("\\"): symbols[argument] for letter, argument in cards.letters(name).items()
           if argument in symbols}  # fmt: skip
    formula, slope = (
        row.xreplace({symbol: own[symbol.name] for symbol in row.free_symbols}) for row in (rows["L"], rows["slope"])
    )
    along = own[cards.entry(name)["along"]]
    for derivation in (
        derive(loss.textbook, formula, where=where),
        derive(sympy.Derivative(formula, along), slope, where=where),
    ):
        assert [line.verdict for line in derivation.lines[1:]] == ["proved"]


def test_the_squared_dice_is_what_its_note_says():
    """A has the squares of p and y."""
    p, y = np.random.default_rng(0).uniform(size=(2, 50, 1, 6))
    got = LOSSES["segmentation.dice"](p, y, squared=True, smooth=0.3, reduction="none")
    total = np.sum(p**2 + y**2, axis=-1) + 0.3
    np.testing.assert_allclose(got, 1 - (2 * np.sum(p * y, axis=-1) + 0.3) / total, rtol=1e-12)


# --- facts -----------------------------------------------------------------------------------------------------------


def simplex(count):
    """All rows of three probabilities that are multiples of 1/count."""
    return np.array([(i, j, count - i - j) for i in range(count + 1) for j in range(count + 1 - i)]) / count


MASKS = [np.array(mask, float) for mask in ([1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 1])]
BOX = np.array([0.0, 0.0, 4.0, 3.0])


def split(name, rows):
    """The arrays of a loss of several predictions for rows of numbers."""
    scores = 1 if name.startswith("detection.faster") else 2
    if name.startswith("adversarial"):
        return [rows[:, 0], rows[:, 1]]
    parts = [rows[:, :scores], rows[:, scores : scores + 4]]
    if scores == 1:
        parts[0] = rows[:, 0]
    return [*parts, rows[:, 6:].reshape(-1, 2, 1, 1)] if "mask_rcnn" in name else parts


def values(name, rows, target, gradient=False):
    """The value of a loss for each row of predictions, or its slopes along each number of the row."""
    loss, count = LOSSES[name], len(rows)
    if loss.shape == "joined":
        if name.startswith("adversarial"):
            arrays = split(name, rows)
            real, fake = loss(*arrays, reduction="none")
            return np.stack(loss.grad(*arrays, reduction="sum"), axis=-1) if gradient else real + fake
        arrays = split(name, rows)
        label = np.full(count, target)
        arrays = [*arrays, label, np.zeros((count, 4))]
        arrays += [np.full((count, 1, 1), 1.0)] if "mask_rcnn" in name else []
        if gradient:  # for a batch of one each
            found = []
            for at in range(count):
                slopes = loss.grad(*(array[at : at + 1] for array in arrays))
                found.append(np.concatenate([np.ravel(slope) for slope in slopes]))
            return np.array(found)
        return loss(*arrays, reduction="none")
    if loss.shape == "pointwise":
        arrays = [rows[:, 0]] if target is None else [rows[:, 0], np.full(count, target, float)]
    elif loss.shape == "boxes" or loss.shape == "rows":
        arrays = [rows, np.broadcast_to(target, rows.shape)]
    else:
        arrays = [rows[:, None], np.broadcast_to(target, rows.shape)[:, None]]
    if gradient:
        return np.asarray(loss.grad(*map(np.ascontiguousarray, arrays), reduction="sum")).reshape(rows.shape)
    found = np.asarray(loss(*map(np.ascontiguousarray, arrays), reduction="none"))
    return found.reshape(count, -1).sum(axis=1)


def targets(name):
    """Sure targets."""
    loss = LOSSES[name]
    if loss.shape == "joined":
        return [0] if name.startswith("adversarial") else [0, 1]
    if loss.shape == "boxes":
        return [BOX]
    if loss.shape == "rows":
        return [np.eye(3)[0], np.eye(3)[2]] if "multilabel" not in name else [np.array([1.0, 0, 1])]
    if loss.shape in ("overlap", "distance"):
        return MASKS
    domain = loss.declaration.of_target
    return [None] if domain is None else [-1.0, 1.0] if domain.name == "Sign" else [0.0, 1.0]


def predictions(name, count=4000, seed=0):
    """Random predictions of a loss, from its whole domain, with its corners."""
    rng, loss = np.random.default_rng(seed), LOSSES[name]
    first = loss.declaration.of_prediction
    count = min(count, 400) if loss.shape == "distance" else count
    if loss.shape == "boxes":
        corner = rng.uniform(-6, 6, (count, 2))
        return np.concatenate([corner, corner + rng.uniform(0.2, 6, (count, 2))], axis=1)
    size = {"pointwise": 1, "rows": 3, "overlap": 4, "distance": 4}.get(loss.shape)
    if size is None:
        size = 2 if name.startswith("adversarial") else 5 if "faster" in name else 8 if "mask" in name else 6
    if loss.shape == "joined":
        rows = rng.normal(size=(count, size)) * 3
        if not first.holds_logits:
            scores = 2 if name.startswith("adversarial") else 1 if "faster" in name else 2
            rows[:, :scores] = rng.uniform(0.001, 0.999, (count, scores))
            if scores == 2 and not name.startswith("adversarial"):
                rows[:, 1] = 1 - rows[:, 0]
            rows[:, 6:] = rng.uniform(0.001, 0.999, (count, max(0, size - 6)))
        return rows
    if first.name == "LogProbability":
        return np.log(rng.dirichlet(np.ones(size), count))
    if first.holds_probabilities:
        if loss.shape == "rows":
            return rng.dirichlet(np.full(size, 0.5), count)
        corners = np.array(list(itertools.product((0.0, 1.0), repeat=size)))
        return np.concatenate([corners, rng.uniform(0, 1, (count, size))])
    return rng.normal(size=(count, size)) * 5


def best(name, target):
    """The prediction at which the card says that the loss is least."""
    loss, at = LOSSES[name], cards.facts(name)["at"]
    if loss.shape == "joined":
        if name.startswith("adversarial"):
            return np.array([[1.0, 0.0]]) if at == "real and fake" else np.array([[60.0, -60.0]])
        big, small = (60.0, -60.0) if at == "limit" else (1.0, 0.0)
        if "faster" in name:
            return np.array([[big if target else small, *[0.0] * 4]])
        row = [small if target else big, big if target else small, *[0.0] * 4]
        return np.array([row + ([big, big] if "mask" in name else [])])
    if at == "target":
        found = np.atleast_1d(target).astype(float)
        found = np.log(np.maximum(found, 1e-300)) if loss.declaration.of_prediction.name == "LogProbability" else found
        return found[None]
    if at == "limit":
        return 60.0 * (2 * np.atleast_1d(target)[None] - 1) if np.min(target) >= 0 else np.array([[60.0 * target]])
    if at == "surer":
        return np.array([[700.0]])
    if at == "one":
        return np.array([[1.0]])
    return np.array([[0.0], [1.0]]) if at == "edges" else np.array([[1.0, 1.0, 1.0]])


@pytest.mark.parametrize("name", LOSSES)
def test_the_smallest_value_is_where_the_card_says(name):
    """No prediction costs less, and there it costs that much; elsewhere more, unless the card says so."""
    known = cards.facts(name)
    for target in targets(name):
        lowest = values(name, predictions(name), target)
        there = values(name, best(name, target), target)
        assert np.min(lowest) >= np.max(there) - 1e-12
        if known.get("least") == "-oo":
            assert np.max(there) <= -600
        elif "least" in known:
            np.testing.assert_allclose(there, float(known["least"]), atol=1e-12)
        else:
            assert np.min(there) < -1e-3


def worst(at):
    """A predicted and a true box of the kind for which the card says that the loss is largest."""
    wide, high = {"apart": (1, 1), "far": (1e-4, 1e-4), "far and thin": (1e-4, 1e-9)}[at]
    return np.array([10.0, 10, 10 + wide, 10 + high]), np.array([0.0, 0, high, wide])


@pytest.mark.parametrize("name", [name for name in LOSSES if "most" in cards.facts(name)])
def test_the_largest_value_is_where_the_card_says(name):
    """No boxes cost more, and there they cost nearly that much."""
    known = cards.facts(name)
    most = float(sympy.Rational(known["most"]))
    assert np.max(values(name, predictions(name, 100_000), BOX)) <= most
    assert most * (1 - 1e-4) <= LOSSES[name](*worst(known["high"])) <= most
    assert f"largest value {known['most']}, {cards.PLACES[known['high']]}" in cards.theory(name)


def test_the_largest_value_of_ciou_is_proved():
    """S + v^2/(S + v) grows with the IoU loss S and with v, which compares shapes, and neither exceeds 1.

    Nor does the third term, that of the centers. (The other losses of boxes are sums of one or two such quotients.)
    """
    S, v = sympy.symbols("S v", positive=True)
    of_shape = S + v**2 / (S + v)
    assert all(sympy.factor(sympy.diff(of_shape, part)).is_positive for part in (S, v))
    assert of_shape.subs({S: 1, v: 1}) + 1 == sympy.Rational(cards.facts("detection.ciou")["most"])


def chance_rows(name):
    """(predictions, the probabilities that they state)."""
    loss = LOSSES[name]
    first = loss.declaration.of_prediction
    if loss.shape == "rows" and "multilabel" not in name:
        p = simplex(60)
        p = p[np.all(p > 0, axis=1)] if first.name == "LogProbability" or first.holds_logits else p
    elif loss.shape in ("overlap", "distance"):
        p = np.array(list(itertools.product(np.linspace(0, 1, 21 if loss.shape == "distance" else 51), repeat=2)))
    elif loss.shape == "rows":
        p = np.array(list(itertools.product(np.linspace(0.025, 0.975, 39), repeat=2)))
    else:
        p = np.linspace(0.0025, 0.9975, 399)[:, None]
    if first.holds_logits:
        return (np.log(p) if loss.shape == "rows" and "multilabel" not in name else np.log(p) - np.log1p(-p)), p
    return (np.log(p) if first.name == "LogProbability" else p), p


def expected(name, rows, chance):
    """The expected loss of predictions."""
    loss = LOSSES[name]
    if name.startswith("adversarial"):
        parts = loss(rows[:, 0], rows[:, 0], reduction="none")
        return chance * parts[0] + (1 - chance) * parts[1]
    if loss.shape == "pointwise":
        no = -1.0 if loss.declaration.of_target.name == "Sign" else 0.0
        return chance * values(name, rows, 1.0) + (1 - chance) * values(name, rows, no)
    if loss.shape == "rows" and "multilabel" not in name:
        return sum(chance[k] * values(name, rows, np.eye(3)[k]) for k in range(3))
    total = 0.0
    for mask in itertools.product((0.0, 1.0), repeat=2):
        probability = np.prod([chance if answer else 1 - chance for answer in mask])
        total = total + probability * values(name, rows, np.array(mask))
    return total


@pytest.mark.parametrize("name", [name for name in LOSSES if "proper" in cards.facts(name)])
def test_a_loss_is_proper_or_not_as_the_card_says(name):
    """The expected loss is least at the true probability, for every chance; or for some it is not."""
    rows, stated = chance_rows(name)
    is_row = LOSSES[name].shape == "rows" and "multilabel" not in name
    chances = [np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.1, 0.8])] if is_row else [0.1, 0.3, 0.6, 0.8]
    off = []
    for chance in chances:
        cost = expected(name, rows, chance)
        low = np.min(cost)
        assert not np.isnan(cost).any()
        places = stated[cost == low] if np.isinf(low) else stated[cost <= low + 1e-13 * abs(low)]
        off.append(np.max(np.abs(places - chance)))
    assert (max(off) < 0.021) == cards.facts(name)["proper"], off
    assert max(off) < 0.021 or max(off) > 0.035


@pytest.mark.parametrize("name", [name for name in LOSSES if "center" in cards.facts(name)])
def test_what_a_loss_of_numbers_is_least_at(name):
    """The mean or the median of three targets, or neither."""
    data, grid = np.array([0.0, 0.4, 5.0]), np.linspace(-1, 6, 7001)
    cost = sum(values(name, grid[:, None], y) for y in data)
    place = grid[np.argmin(cost)]
    is_mean, is_median = abs(place - data.mean()) < 1e-3, abs(place - 0.4) < 1e-3
    center = cards.facts(name)["center"]
    assert (is_mean, is_median) == (center == "mean", center == "median")


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_convex_or_not_as_the_card_says(name):
    """Half-way between two predictions it costs no more than the mean of both; or somewhere it does."""
    worst = 0.0
    for target in targets(name):
        one, other = predictions(name, seed=1), predictions(name, seed=2)
        ends = (values(name, one, target) + values(name, other, target)) / 2
        with np.errstate(invalid="ignore"):  # infinite at both ends and between
            bulge = values(name, (one + other) / 2, target) - ends
        worst = max(worst, np.max(bulge[np.isfinite(ends)] / (1 + np.abs(ends[np.isfinite(ends)]))))
    assert (worst < 1e-12) == cards.facts(name)["convex"], worst
    assert worst < 1e-12 or worst > 1e-4
    assert not LOSSES[name].properties.get("convex") or cards.facts(name)["convex"]


def steep(name):
    """Predictions where slopes are large, with the targets."""
    loss = LOSSES[name]
    first = loss.declaration.of_prediction
    if loss.shape == "boxes":
        yield predictions(name, 300) * 1e-4, BOX * 1e-4
        return
    if loss.shape == "distance":
        long = np.zeros(3000)
        long[:2] = 1
        yield np.ones((1, 3000)), long
        return
    unsure = loss.shape == "pointwise" and loss.declaration.target and loss.declaration.of_target.name == "Label"
    for target in [*targets(name), *([0.5] if unsure else [])]:
        rows = predictions(name, 300 if loss.shape == "joined" else 4000)
        if loss.shape == "pointwise":
            line = np.linspace(-40, 40, 80001)
            line = np.append(1 / (1 + np.exp(-line[::50])), [1e-150, 1e-300]) if first.high <= 1 else line
            line = np.concatenate([line, [1e4]]) if first.high > 1 else line
            rows = line[:, None]
        elif first.holds_logits and loss.shape == "rows":
            rows = np.concatenate([rows, np.eye(3) * 60, -np.eye(3) * 60, predictions(name, 200000, 5) / 3])
        elif first.holds_probabilities:
            rows = np.concatenate([rows, np.clip(rows, 1e-7, None) ** 8])
            if loss.shape == "joined":
                rows = np.vstack([rows[:300], rows[:3]])
                rows[-1, 0] = rows[-2, 1] = 1e-7
        elif loss.shape == "joined":
            rows = np.concatenate([rows, 60 * np.sign(rows)])
        yield rows, target
    if loss.shape == "overlap":
        for mask in ([0.0], [1.0], [0.0, 0.0], [1.0, 0.0]):
            grid = np.array(list(itertools.product(np.linspace(0, 1, 101), repeat=len(mask))))
            yield grid, np.array(mask)


@pytest.mark.parametrize("name", LOSSES)
def test_the_largest_slope_is_that_of_the_card(name):
    """No slope is larger, and some are as large; or there is no bound in sight."""
    loss, stated = LOSSES[name], cards.facts(name)["steepest"]
    found = 0.0
    for rows, target in steep(name):
        slopes = np.abs(values(name, rows, target, gradient=True))
        found = max(found, np.max(slopes[~np.isnan(slopes)]))
    if stated == "oo":
        assert found > 300
        return
    known = {sympy.Symbol(key): value for key, value in loss.declaration.defaults.items()} | {sympy.Symbol("C"): 3}
    bound = float(sympy.sympify(stated, locals={str(symbol): symbol for symbol in known}).subs(known))
    if "." in stated:
        assert abs(found - bound) < 0.005
    else:
        assert bound * 0.985 <= found <= bound * (1 + 1e-9)


# --- names -----------------------------------------------------------------------------------------------------------


def test_every_name_that_find_knows_is_on_a_card():
    """With the call that gives the same numbers, which states the defaults, and the note on what differs."""
    for one in table():
        if one.loss is None:
            continue
        found = atlas.elsewhere(one.loss.name)
        said = [remark for remark, names in found.items() if (one.qualified, "") in names]
        assert any(one.call in remark and one.note in remark for remark in said), one


def test_names_besides_rest_on_a_stored_comparison():
    """What the atlas says of SciPy and others that find does not know was compared with the loss."""
    stored = json.loads((build.ROOT / "tests" / "data" / "peer_values.json").read_text(encoding="utf-8"))
    calls = {(record["loss"], name) for record in stored for name in re.findall(r"[a-z_]+(?:\.\w+)+", record["call"])}
    named = {(loss, name) for loss, entry in atlas.other_names().items() for name, _ in entry.get("elsewhere", [])}
    assert len(named) > 12
    assert named - calls == set()
    assert set(atlas.other_names()) == set(LOSSES), "every loss has other names, and no other has"


@pytest.mark.xdist_group("built")
@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("BCEWithLogitsLoss", "binary-cross-entropy-with-logits"), ("DiceCELoss", "segmentation-dice"),
        ("SmoothL1Loss", "regression-smooth-l1"), ("CIoU", "detection-ciou"), ("Sørensen", "segmentation-dice"),
        ("Sorensen", "segmentation-dice"), ("HuberLoss", "regression-huber"),
        ("KLDivLoss", "multiclass-kullback-leibler"), ("MSELoss", "regression-squared-error"),
        ("CrossEntropyLoss", "multiclass-cross-entropy-with-logits"), ("FocalLoss", "binary-focal-with-logits"),
        ("log loss", "binary-cross-entropy"), ("F1", "segmentation-dice"), ("L1 loss", "regression-absolute-error"),
        ("Charbonnier loss", "regression-pseudo-huber"), ("complete IoU", "detection-ciou"), ("GIoU", "detection-giou"),
        ("BinaryFocalCrossentropy", "binary-focal"), ("generalized_box_iou_loss", "detection-giou"),
        ("HausdorffDTLoss", "segmentation-hausdorff"), ("SoftBCEWithLogitsLoss", "binary-cross-entropy-with-logits"),
        ("BinaryFocalLossWithLogits", "binary-focal-with-logits"), ("NLLLoss", "multiclass-negative-log-likelihood"),
        ("JaccardLoss", "segmentation-jaccard"), ("TverskyLoss", "segmentation-tversky"),
        ("LogCosh", "regression-log-cosh"), ("keras.losses.Huber", "regression-huber"),
        ("torch.nn.BCEWithLogitsLoss", "binary-cross-entropy-with-logits"),
        ("torchvision.ops.sigmoid_focal_loss", "binary-focal-with-logits"),
        ("optax.losses.sigmoid_binary_cross_entropy", "binary-cross-entropy-with-logits"),
        ("monai.losses.DiceCELoss", "segmentation-dice"), ("nn.HuberLoss", "regression-huber"),
        ("torch.nn.functional.kl_div", "multiclass-kullback-leibler"),
        ("sklearn.metrics.log_loss", "multiclass-cross-entropy"),
        ("scipy.spatial.distance.jensenshannon", "divergence-jensen-shannon"),
    ],
)  # fmt: skip
def test_the_search_of_the_site_leads_to_the_card_first(name, card):
    """By the rule of searchtools.js for entries of the index: half of an entry is typed, and the share is the score.

    Entries that are not "main" come after every page with the word; 30 is more than titles and Python's names can get.
    """
    text = (build.ensure() / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    scores = {
        (page, anchor): 100 * len(name) / len(entry)
        for entry, found in index["indexentries"].items() if name.lower() in entry and len(name) >= len(entry) / 2
        for page, anchor, main in found if main
    }  # fmt: skip
    assert scores.get((index["docnames"].index("book/atlas"), f"atlas-{card}"), 0) == max([*scores.values(), 30])


def test_a_picture_is_told_by_its_ends_and_turns():
    """Each place once, and the top of a curve that is highest in the middle."""
    assert pictures.turns(pictures.way("divergence.entropy")[1]) == "0 at 0, 0.693 at 0.5, 0 at 1."
    assert pictures.turns(pictures.way("binary.focal")[1]).startswith("y = 1: infinity at 0, 0 at 1; y = 0")
