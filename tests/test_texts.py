"""Texts in PyTorch and JAX: of every loss, and of what is made of losses, each run where there is no lossbook."""

import itertools

import numpy as np
import pytest
from cases import EVERY_LOSS, example, settings, several

import lossbook
from lossbook import Logit, Outcome, Real, binary, detection, multiclass, regression, segmentation
from lossbook.words import softplus

pytest.importorskip("torch")
jax = pytest.importorskip("jax")
REFUSED = "has no text in '(torch|jax)', since it needs maps of distances"


run = itertools.count(1)


@pytest.fixture(autouse=True)
def forgotten():
    """What JAX has compiled for texts would fill the memory in time; to compile its own parts anew is slow."""
    yield
    if next(run) % 60 == 0:
        jax.clear_caches()


@lossbook.loss
def element(z: Logit):
    r'''Has the name of a function of its text, and """quotes""" and a \ in what is said of it.'''
    return softplus(z)


@lossbook.loss
def xp(p: Real, y: Outcome, *, torch: lossbook.Positive = 2.0, differentiable: lossbook.Flag = False):
    """Has names of modules."""
    return torch * (p - y) ** 2 * (2 if differentiable else 1)


def made_of(loss):
    """What can be made of one loss, of each kind."""
    yield loss
    for given in [*settings(loss)][1:] if loss.shape != "distance" else ():
        yield loss.with_parameters(**given)
    options, alike = loss.declaration.every_option, [other for other in EVERY_LOSS if adds(loss, other)]
    if "batch" in options:
        yield loss.with_parameters(batch=True)
    if "class_weight" in options:
        yield loss.with_parameters(class_weight=[0.5, 2.0, 1.0], reduction="sum")
    if "ignore_index" in options:
        yield loss.with_parameters(ignore_index=1)
    if len(loss.declaration.predictions) > 1:
        return
    yield 0.25 * loss
    yield -(loss / 3) + loss.with_parameters(reduction="sum")
    if alike:
        yield 0.3 * alike[0] - 2 * loss
        yield 0.3 * loss + alike[-1]
    for activation in ("sigmoid", "softmax"):
        if loss.declaration.of_prediction.holds_probabilities and (activation == "sigmoid" or loss.space.classes):
            yield loss.on_logits(activation)
            yield (loss + 0.5 * loss).on_logits(activation)


def adds(loss, other):
    """Whether two losses of different formulas add."""
    names = [one.declaration.arguments[name] for one in (loss, other) for name in one.declaration.arrays]
    of_one = len(loss.declaration.predictions) == len(other.declaration.predictions) == 1
    half = len(names) // 2
    return other is not loss and of_one and names[:half] == names[half:] and loss.space == other.space


OWN = [element, xp, 0.5 * element, xp + regression.huber, xp.with_parameters(differentiable=True)]
MIXED = [
    0.3 * segmentation.dice + segmentation.cross_entropy,
    segmentation.dice.with_parameters(batch=True) + segmentation.cross_entropy.with_parameters(ignore_index=2),
    segmentation.dice.on_logits("softmax") + 0.5 * multiclass.focal_with_logits,
    segmentation.dice + 0.1 * segmentation.boundary,
    binary.focal + 0.5 * binary.focal.with_parameters(gamma=0.5),
]
MADE = [*OWN, *MIXED, *(made for loss in EVERY_LOSS for made in made_of(loss))]


def call_of(loss):
    """(arrays, weights) of a call."""
    if loss.shape == "joined":
        return several(loss)
    if loss.shape == "boxes":
        random = np.random.default_rng(0)
        low, sides = random.random((2, 4, 3, 2)) * 3, random.random((2, 4, 3, 2)) + 0.1
        return [*np.concatenate([low, low + sides], axis=-1)], random.random((4, 3))
    first = loss.terms_of_sum()[0][1]
    arrays = example(first, np.float64, (4, 3, 2), integer=first.declaration.by_class)
    weight = np.random.default_rng(1).integers(0, 3, (4, 2) if loss.space.classes else (4, 3, 2)).astype(float)
    return arrays, weight


def distances(loss):
    """Whether a loss is one of distances, or a part of it."""
    if loss.shape == "joined":
        return False
    return any(part.shape == "distance" for _, part in loss.terms_of_sum())


def function_of(loss, framework):
    """The function at the end of a text, run in a namespace without lossbook."""
    text = loss.source(framework)
    assert "import lossbook" not in text
    assert "from lossbook" not in text
    names = {"__name__": "pasted"}
    exec(compile(text, loss.name, "exec"), names)
    return [value for value in names.values() if callable(value)][-1]


def in_torch(function, arrays, count, weight, reduction):
    """(value, gradients) of a function of tensors."""
    import torch

    tensors = [torch.from_numpy(array) for array in arrays]
    for prediction in tensors[:count]:
        prediction.requires_grad_()
    given = tuple(map(torch.from_numpy, weight)) if type(weight) is tuple else torch.from_numpy(weight)
    values = function(*tensors, weight=given, **reduction)
    total = sum(value.sum() for value in (values if isinstance(values, tuple) else (values,)))
    slopes = torch.autograd.grad(total, tensors[:count])
    return values, [slope.numpy() for slope in slopes]


def in_jax(function, arrays, count, weight, reduction):
    """(value, gradients) of a function of JAX's arrays, traced."""
    import jax

    jax.config.update("jax_enable_x64", True)
    others = [jax.numpy.asarray(array) for array in arrays[count:]]
    given = tuple(map(jax.numpy.asarray, weight)) if type(weight) is tuple else jax.numpy.asarray(weight)

    def total(*predictions):
        values = function(*predictions, *others, weight=given, **reduction)
        return sum(value.sum() for value in (values if isinstance(values, tuple) else (values,))), values

    slopes, values = jax.grad(total, argnums=tuple(range(count)), has_aux=True)(*map(jax.numpy.asarray, arrays[:count]))
    return values, [*slopes]


WAYS = {"torch": in_torch, "jax": in_jax}


@pytest.mark.parametrize("framework", WAYS)
@pytest.mark.parametrize("loss", MADE, ids=lambda loss: loss.name)
def test_a_text_gives_value_and_gradient_or_says_that_there_is_none(loss, framework):
    """For each reduction, with weights, of which some are 0: those of the loss, in float64."""
    if distances(loss):
        with pytest.raises(TypeError, match=REFUSED):
            loss.source(framework)
        return
    arrays, weight = call_of(loss)
    function, count = function_of(loss, framework), len(loss.declaration.predictions)
    mixed = loss.shape == "mixed" or len({part.declaration.own.get("reduction") for _, part in terms(loss)}) > 1
    for reduction in ("mean", "sum") if mixed else ("mean", "sum", "none"):
        given = {"reduction": reduction} if "reduction" in loss.declaration.options else {}
        wanted, slopes = loss.value_and_grad(*arrays, weight=weight, **given)
        found, gradients = WAYS[framework](function, arrays, count, weight, given)
        many = isinstance(wanted, tuple)
        for ours, theirs in zip(wanted if many else [wanted], found if many else [found], strict=True):
            value = theirs.detach().numpy() if framework == "torch" else theirs
            np.testing.assert_allclose(value, ours, rtol=1e-12, atol=1e-14)
        for ours, theirs in zip(slopes if type(slopes) is tuple else [slopes], gradients, strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("framework", WAYS)
@pytest.mark.parametrize(
    ("loss", "arrays", "weights"),
    [
        (binary.focal_with_logits, [np.eye(3), np.ones((3, 3))], [(3,), (3, 1), (3, 3)]),
        (binary.focal_with_logits, [np.ones((3, 3, 3)), np.ones((3, 3, 3))], [(3,), (3, 3)]),
        (segmentation.cross_entropy_with_logits, [np.eye(3)[None].repeat(3, 0), np.eye(3, dtype=int)], [(3,), (3, 3)]),
        (detection.ciou, [np.float64([[[0, 0, 1, 1]] * 3] * 3), np.float64([[[0, 0, 1, 2]] * 3] * 3)], [(3,), (3, 3)]),
    ],
)
def test_a_weight_belongs_to_an_item_if_it_has_one_axis(loss, arrays, weights, framework):
    """As in a call of the loss, also where the last axis is as long as the first."""
    arrays, function = [np.cumsum(arrays[0], 0), *arrays[1:]], function_of(loss, framework)
    for shape in weights:
        weight = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
        wanted, slopes = loss.value_and_grad(*arrays, weight=weight)
        found, gradients = WAYS[framework](function, arrays, 1, weight, {})
        np.testing.assert_allclose(found.item(), wanted, rtol=1e-12)
        np.testing.assert_allclose(gradients[0], slopes, rtol=1e-10, atol=1e-14)


def terms(loss):
    """The parts of a sum; a loss of several predictions is none."""
    return () if loss.shape == "joined" else loss.terms_of_sum()
