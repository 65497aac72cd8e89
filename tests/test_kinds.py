"""Every kind of loss is a loss: each public method works on each kind."""

import copy
import inspect
import pickle
from typing import NamedTuple

import numpy as np
import pytest
import sympy

from lossbook import Loss, adversarial, binary, detection, multiclass, regression, segmentation, words

P = np.array([[[0.2, 0.9], [0.7, 0.4]], [[0.8, 0.1], [0.3, 0.6]]], np.float32)[None]  # (1, 2, 2, 2)
Y = np.array([[[0, 1], [1, 0]]])
BOX, TRUE = np.array([[0.0, 0.0, 2.0, 3.0]]), np.array([[1.0, 1.0, 3.0, 2.0]])


class Kind(NamedTuple):
    """A loss of a kind, arrays that it takes, other settings, and whether its parts are joined rather than added."""

    loss: Loss
    arrays: tuple
    settings: dict
    joined: bool = False


KINDS = {
    "elements": Kind(binary.focal, (P, (P > 0.5).astype(np.float32)), {"gamma": 1.0}),
    "rows": Kind(multiclass.focal_with_logits, (P, Y), {"gamma": 1.0}),
    "totals": Kind(segmentation.tversky, (P, Y), {"alpha": 0.3}),
    "boxes": Kind(detection.iou, (BOX, TRUE), {}),
    "distances": Kind(segmentation.hausdorff, (P, Y), {"alpha": 1.0}),
    "elements on logits": Kind(binary.focal.on_logits("sigmoid"), (P, (P > 0.5).astype(np.float32)), {"gamma": 1.0}),
    "totals on logits": Kind(segmentation.tversky.on_logits("softmax"), (P, Y), {"alpha": 0.3}),
    "distances on logits": Kind(segmentation.hausdorff.on_logits("softmax"), (P, Y), {"alpha": 1.0}),
    "sum": Kind(0.3 * segmentation.dice + 0.7 * segmentation.cross_entropy, (P, Y), {"smooth": 2.0}),
    "sum of boxes": Kind(0.3 * detection.iou + 0.7 * detection.giou, (BOX, TRUE), {}),
    "sum with distances": Kind(segmentation.dice + 0.1 * segmentation.hausdorff, (P, Y), {"alpha": 1.0}),
    "sum on logits": Kind((segmentation.dice + segmentation.jaccard).on_logits("softmax"), (P, Y), {"batch": True}),
    "joined": Kind(
        detection.faster_rcnn,
        (P[0, 0, 0], BOX.repeat(2, 0), np.array([1, 0]), TRUE.repeat(2, 0)),
        {"box_weight": 1.0},
        joined=True,
    ),
    "joined without target": Kind(adversarial.minimax, (P, P[..., :1]), {}, joined=True),
    "other defaults": Kind(segmentation.dice.with_parameters(smooth=0.5, batch=True), (P, Y), {"smooth": 2.0}),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def same(a, b):
    """Whether two results are equal to the bit; those of several predictions are tuples."""
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b, equal_nan=True)


@every_kind
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_calls(kind, backend):
    """The call, grad, value_and_grad and partial agree, with other settings as well."""
    for settings in ({}, kind.settings):
        keywords = settings | {"backend": backend}
        value, gradient = kind.loss.value_and_grad(*kind.arrays, **keywords)
        assert np.isfinite(value)
        assert same(kind.loss(*kind.arrays, **keywords), value)
        assert same(kind.loss.grad(*kind.arrays, **keywords), gradient)
        partial = kind.loss.partial(*kind.arrays, **keywords)
        assert np.isclose(partial.finish(), value, rtol=1e-6)
        assert np.isfinite((partial + partial).finish())


@every_kind
def test_settings_are_baked(kind):
    """with_parameters gives the loss that a call with these settings computes, and it is another loss."""
    other = kind.loss.with_parameters(**kind.settings)
    assert type(other) is type(kind.loss)
    assert same(other(*kind.arrays), kind.loss(*kind.arrays, **kind.settings))
    assert (other == kind.loss) == (not kind.settings)
    assert kind.loss.with_parameters() == kind.loss
    assert hash(kind.loss.with_parameters()) == hash(kind.loss)


@every_kind
def test_formulas(kind):
    """Formula, textbook, gradient and LaTeX are there, and the formula of other symbols is the same formula."""
    loss = kind.loss
    assert isinstance(loss.formula, sympy.Expr)
    assert loss.textbook.free_symbols == loss.formula.free_symbols
    assert isinstance(loss.gradient, sympy.Tuple if kind.joined or loss.space.corners else sympy.Expr)
    assert loss.latex
    symbols = sum(loss.array_symbols, ())
    others = [sympy.Symbol(f"other_{k}", **symbol.assumptions0) for k, symbol in enumerate(symbols)]
    if loss.space.corners:
        others = [tuple(others[:4]), tuple(others[4:])]
    token = words.steps.set({})  # as in the body of another declaration, where steps may be named
    given = loss.formula_of(*others), loss.of(*others)
    steps = {sympy.Symbol(name, real=True) for name in words.steps.get()}
    words.steps.reset(token)
    for formula in given:
        assert formula.free_symbols <= {*sympy.flatten(others), *steps, words.classes}
    with pytest.raises(TypeError, match="formula_of"):
        loss.formula_of(*symbols, *symbols)
    with pytest.raises(TypeError, match="has no parameter gama"):
        loss.formula_of(*symbols, gama=1)


@every_kind
def test_words_about_it(kind):
    """Signature, docstring, summary, card, source on every backend, and the facts that a loss holds."""
    loss = kind.loss
    assert list(inspect.signature(loss).parameters)[: len(kind.arrays)] == list(loss.declaration.arrays)
    assert loss.summary in inspect.getdoc(loss)
    assert getattr(loss, "plain_name", loss.name) in repr(loss) or loss.name in repr(loss)
    assert loss.latex in loss._repr_markdown_()
    for backend in ("numpy", "numba", "cupy"):
        assert loss.source(backend)
    assert loss.shape == loss.space.name
    assert {*loss.declaration.defaults} >= {*kind.settings} - {"batch"}
    assert isinstance(loss.properties, dict)
    with pytest.raises(TypeError, match="gama"):
        loss(*kind.arrays, gama=1.0)


@every_kind
def test_algebra(kind):
    """Losses scale, add and go on logits; one that cannot says why in a TypeError."""
    loss, value = kind.loss, kind.loss(*kind.arrays)
    if kind.joined:
        for wrong in (lambda: 2 * loss, lambda: loss + loss, lambda: loss.on_logits("sigmoid")):
            with pytest.raises(TypeError, match=loss.name):
                wrong()
        return
    assert np.isclose((0.5 * loss + loss / 2 - -loss)(*kind.arrays), 2 * value, rtol=1e-6)
    if loss.declaration.of_prediction.holds_probabilities:
        z = np.log(kind.arrays[0] / (1 - kind.arrays[0]))
        assert np.isclose(loss.on_logits("sigmoid")(z, *kind.arrays[1:]), value, rtol=1e-5)
    else:
        with pytest.raises(TypeError, match="needs a loss of probabilities"):
            loss.on_logits("sigmoid")


@every_kind
def test_certificates(kind):
    """A loss of one formula of numbers has a certificate; another says why it has none."""
    try:
        assert kind.loss.certificate("float32")
    except TypeError as error:
        assert str(error).startswith(f"{kind.loss.name}: a certificate needs one formula of numbers")  # noqa: PT017
        assert kind.loss.shape in ("boxes", "distance", "joined", "mixed", "overlap")
    with pytest.raises(ValueError, match="dtype"):
        binary.focal.certificate("half")


@every_kind
def test_half_precision(kind):
    """Predictions of float16 are computed in float32 by every kind, and give float16."""
    count = len(kind.loss.declaration.predictions)
    halves = [*(array.astype(np.float16) for array in kind.arrays[:count]), *kind.arrays[count:]]
    value, gradient = kind.loss.value_and_grad(*halves)
    wide = [*(array.astype(np.float32) for array in halves[:count]), *kind.arrays[count:]]
    wanted, slope = kind.loss.value_and_grad(*wide)
    assert same(value, wanted.astype(np.float16))
    several = slope if isinstance(slope, tuple) else (slope,)
    narrow = tuple(one.astype(np.float16) for one in several)
    assert same(gradient if isinstance(gradient, tuple) else (gradient,), narrow)


@every_kind
def test_copies(kind):
    """A loss pickles as itself or its equal, is its own copy, and has one hash."""
    again = pickle.loads(pickle.dumps(kind.loss))
    assert again == kind.loss
    assert hash(again) == hash(kind.loss)
    assert same(again(*kind.arrays), kind.loss(*kind.arrays))
    assert copy.copy(kind.loss) is copy.deepcopy(kind.loss) is kind.loss
    assert kind.loss != binary.cross_entropy


@every_kind
def test_numbers_of_classes_are_parameters(kind):
    """What may be one number per class is a parameter."""
    assert kind.loss.per_class <= {*kind.loss.declaration.parameters}


def test_every_public_method_is_tried():
    """The methods above are all that a loss has; a new one needs a test for every kind."""
    tried = {
        "answer", "array_symbols", "axis", "certificate", "declaration", "evaluate", "formula", "formula_for",
        "formula_of", "grad", "gradient", "hessian", "hvp", "identity", "latex", "name", "named_formula", "of",
        "on_logits", "partial", "per_class", "properties", "reference", "same_formula", "second_order", "settings",
        "shape", "signature", "source", "space", "summary", "terms_of_sum", "text", "textbook", "value_and_grad",
        "value_grad_and_hessian", "with_parameters",
    }  # fmt: skip
    found = {name for name in (*dir(Loss), *vars(regression.huber * 2)) if not name.startswith("_")}
    assert found - {"terms", "shared", "evaluation", "keywords_of"} <= tried
