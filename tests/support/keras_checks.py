"""What tests/test_keras.py checks, in a process of Keras on one backend: each function raises where something is wrong.

    python tests/support/keras_checks.py    prints {name: "", or what was raised}
"""

import doctest
import json
import re
import sys
import tempfile
import traceback
from pathlib import Path

import keras
import numpy as np
import pytest
from cases import EVERY_LOSS, example

import lossbook
from lossbook import DomainError, ShapeError, adversarial, binary, detection, multiclass, regression, segmentation
from lossbook.errors import BackendError
from lossbook.keras import loss

ON_TORCH = keras.backend.backend() == "torch"
CLASSES = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
IMAGES, PIXELS = 12, (5, 4)


def data(kind):
    """(inputs, targets, size of the output, activation) for a small model."""
    random = np.random.default_rng(3)
    x = random.normal(size=(48, 6)).astype("float32")
    if kind == "classes":
        return x, random.integers(0, 3, (48, 1)), 3, None
    if kind == "labels":
        return x, random.integers(0, 2, (48, 4)), 4, None
    if kind == "numbers":
        return x, random.normal(size=(48, 2)).astype("float32"), 2, None
    x = random.normal(size=(IMAGES, *PIXELS, 6)).astype("float32")
    return x, random.integers(0, 2, (IMAGES, *PIXELS, 3)).astype("float32"), 3, "sigmoid"


def trained(criterion, kind, jit_compile="auto", **fit):
    """(losses of the epochs, evaluated loss, predictions) of a small model trained with a loss."""
    x, y, size, activation = data(kind)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input(x.shape[1:]), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(size, activation)]
    )
    model.compile(keras.optimizers.SGD(0.3), criterion, jit_compile=jit_compile)
    history = model.fit(x, y, batch_size=16, epochs=3, verbose=0, shuffle=False, **fit).history["loss"]
    return np.array(history), model.evaluate(x, y, verbose=0), np.asarray(model.predict(x, verbose=0))


PAIRS = {
    "binary cross-entropy": (
        "labels", keras.losses.BinaryCrossentropy(from_logits=True), binary.cross_entropy_with_logits, {},
    ),
    "cross-entropy": ("classes", CLASSES, multiclass.cross_entropy_with_logits, {}),
    "squared error": ("numbers", keras.losses.MeanSquaredError(), regression.squared_error, {}),
    "dice": ("images", keras.losses.Dice(axis=(1, 2)), segmentation.dice, {"smooth": 0.0}),
    "dice of a batch": (
        "images", keras.losses.Dice(axis=(0, 1, 2)), segmentation.dice, {"smooth": 0.0, "batch": True},
    ),
}  # fmt: skip


def same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)


def training_is_that_of_the_built_in_loss():
    for kind, theirs, ours, parameters in PAIRS.values():
        same(trained(loss(ours, **parameters), kind), trained(theirs, kind))


def training_with_sample_weights_is_that_of_the_built_in_loss():
    for name in ("binary cross-entropy", "cross-entropy", "squared error"):
        kind, theirs, ours, parameters = PAIRS[name]
        weight = {"sample_weight": np.random.default_rng(4).random(48)}
        same(trained(loss(ours, **parameters), kind, **weight), trained(theirs, kind, **weight))


def training_with_class_weights_is_that_of_the_built_in_loss():
    weight = {"class_weight": {0: 0.5, 1: 2.0, 2: 1.0}}
    ours = loss(multiclass.cross_entropy_with_logits)
    same(trained(ours, "classes", **weight), trained(CLASSES, "classes", **weight))
    different = abs(trained(ours, "classes")[2] - trained(CLASSES, "classes", **weight)[2])
    assert different.max() > 1e-3


def training_is_the_same_compiled():
    for name in ("cross-entropy", "dice"):
        kind, theirs, ours, parameters = PAIRS[name]
        same(trained(loss(ours, **parameters), kind, jit_compile=True), trained(theirs, kind))
    sum_of_two = 0.3 * segmentation.dice + 0.7 * segmentation.cross_entropy
    same(trained(loss(sum_of_two), "images", jit_compile=True), trained(loss(sum_of_two), "images", jit_compile=False))


def training_ignores_what_the_built_in_loss_ignores():
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2)
    ours = loss(multiclass.cross_entropy_with_logits, ignore_index=2)
    same(trained(ours, "classes"), trained(theirs, "classes"))
    weight = {"sample_weight": np.random.default_rng(4).random(48)}
    same(trained(ours, "classes", **weight), trained(theirs, "classes", **weight))
    two = loss(multiclass.cross_entropy_with_logits, ignore_index=(2, -100))
    same(trained(two, "classes", **weight), trained(ours, "classes", **weight))


def masks_of_a_model_count():
    words = np.array([[1, 2, 3, 0, 0], [4, 1, 0, 0, 0], [2, 2, 2, 2, 2]])
    labels = np.random.default_rng(0).integers(0, 3, words.shape)

    def losses(criterion):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((5,)), keras.layers.Embedding(5, 4, mask_zero=True), keras.layers.Dense(3)]
        model = keras.Sequential(layers)
        model.compile(keras.optimizers.SGD(0.3), criterion)
        return model.fit(words, labels, epochs=3, verbose=0).history["loss"], model.predict(words, verbose=0)

    same(losses(loss(multiclass.cross_entropy_with_logits)), losses(CLASSES))
    # Beside a loss of a whole sample the mask weighs what counts in it.
    mixed = segmentation.dice.on_logits("softmax") + segmentation.cross_entropy_with_logits
    _, z = losses(CLASSES)
    mask = (words > 0).astype("float32")
    (first, *_), _ = losses(loss(mixed))
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Embedding(5, 4), keras.layers.Dense(3)])
    z = np.asarray(model.predict(words, verbose=0))
    np.testing.assert_allclose(first, mixed(z, labels, weight=mask, axis=-1), rtol=1e-5)


def reductions_are_those_of_keras():
    random = np.random.default_rng(0)
    z, y, weight = random.normal(size=(6, 4, 3)).astype("float32"), random.integers(0, 3, (6, 4)), random.random((6, 4))
    x = random.normal(size=(6, 4, 3)).astype("float32")
    for reduction in ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None):
        for given in ((), (weight.astype("float32"),)):
            theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)(y, z, *given)
            ours = loss(multiclass.cross_entropy_with_logits, reduction=reduction)(y, z, *given)
            same([to_numpy(ours)], [to_numpy(theirs)])
            theirs = keras.losses.MeanSquaredError(reduction=reduction)(x, z, *given)
            same([to_numpy(loss(regression.squared_error, reduction=reduction)(x, z, *given))], [to_numpy(theirs)])


def to_numpy(result):
    return keras.ops.convert_to_numpy(result)


def arrays_of(part):
    """(prediction, target or None) of a loss, with classes last."""
    if part.shape == "boxes":
        low, sides = np.random.default_rng(0).random((2, 4, 3, 2)) * 3, np.random.default_rng(1).random((2, 4, 3, 2))
        return [*np.concatenate([low, low + sides + 0.1], -1).astype("float32")]
    if part.shape == "distance":
        random = np.random.default_rng(0)
        return [random.random((2, 5, 4, 3)).astype("float32"), random.integers(0, 2, (2, 5, 4, 3)).astype("float32")]
    arrays = example(part, np.float32, (4, 3, 5), integer=part.declaration.by_class)
    if part.space.classes:
        arrays = [np.moveaxis(array, 1, -1) if array.ndim == arrays[0].ndim else array for array in arrays]
    return [np.ascontiguousarray(array) for array in arrays]


def every_loss_is_what_it_is_in_a_call():
    checked = 0
    for part in EVERY_LOSS:
        if len(part.declaration.predictions) > 1 or (part.shape == "distance" and not ON_TORCH):
            continue
        prediction, *target = arrays_of(part)
        axis = {"axis": -1} if "axis" in part.declaration.options else {}
        wanted = part(prediction, *target, **axis)
        found = loss(part)(*(target or [np.zeros(4)]), prediction)
        np.testing.assert_allclose(to_numpy(found), wanted, rtol=2e-5, err_msg=part.name)
        checked += 1
    assert checked > 30


def labels_come_as_keras_passes_them_on():
    random = np.random.default_rng(0)
    criterion, ours = loss(multiclass.cross_entropy_with_logits), multiclass.cross_entropy_with_logits
    z, y = random.normal(size=(5, 3)).astype("float32"), random.integers(0, 3, 5)
    for given in (y, y[:, None], y.astype("float32"), y[:, None].astype("float32"), y.astype("uint8"), np.eye(3)[y]):
        np.testing.assert_allclose(to_numpy(criterion(given, z)), ours(z, y), rtol=1e-6)
    image, classes = random.normal(size=(2, 3, 3, 3)).astype("float32"), random.integers(0, 3, (2, 3, 3))
    for given in (classes, classes[..., None], np.eye(3)[classes]):
        np.testing.assert_allclose(to_numpy(criterion(given, image)), ours(image, classes, axis=-1), rtol=1e-6)
    first = loss(multiclass.cross_entropy_with_logits, axis=1)
    np.testing.assert_allclose(to_numpy(first(classes, image)), ours(image, classes), rtol=1e-6)
    own = loss(multiclass.cross_entropy_with_logits.with_parameters(axis=1))
    np.testing.assert_allclose(to_numpy(own(classes, image)), ours(image, classes), rtol=1e-6)
    half = loss(binary.cross_entropy_with_logits)
    score, label = random.normal(size=(5, 1)).astype("float32"), random.integers(0, 2, 5)
    wanted = binary.cross_entropy_with_logits(score[:, 0], label.astype(float))
    for prediction, target in ((score, label), (score[:, 0], label[:, None]), (score, label[:, None])):
        np.testing.assert_allclose(to_numpy(half(target, prediction)), wanted, rtol=1e-6)


def wrong_labels_are_refused():
    z = np.zeros((3, 4), "float32")
    criterion = loss(multiclass.cross_entropy_with_logits)
    raises(DomainError, "y must hold class indices, which are whole numbers", criterion, np.array([0, 1.5, 2]), z)
    raises(DomainError, "y must be a class index in 0..3; got 4 at index 2", criterion, np.array([0, 1, 4]), z)
    raises(ShapeError, "y", criterion, np.array([0, 1]), z)
    coarse = loss(multiclass.cross_entropy_with_logits, dtype="bfloat16")
    many = np.zeros((2, 300), "float32")
    raises(DomainError, "bfloat16 does not hold the indices of 300 classes", coarse, np.array([0.0, 257.0]), many)
    assert abs(float(coarse(np.array([0.0, 1.0]), z[:2])) - np.log(4)) < 1e-2


def raises(kind, text, function, *arrays, **keywords):
    with pytest.raises(kind, match=re.escape(text)):
        function(*arrays, **keywords)


def weights_of_pixels_enter_an_overlap():
    random = np.random.default_rng(0)
    p, y = random.random((3, 4, 4, 2)).astype("float32"), random.integers(0, 2, (3, 4, 4, 2)).astype("float32")
    pixels, images = random.integers(0, 3, (3, 4, 4)).astype("float32"), random.random(3).astype("float32")
    classes = [0.0, 1.0]
    for part in (segmentation.dice, 0.3 * segmentation.dice + segmentation.cross_entropy):
        for weight in (pixels, pixels[..., None]):
            found = to_numpy(loss(part)(y, p, weight))
            np.testing.assert_allclose(found, part(p, y, weight=pixels, axis=-1), rtol=1e-5)
    each = segmentation.dice(p, y, axis=-1, reduction="none")
    for weight in (images, images[:, None]):
        found = to_numpy(loss(segmentation.dice)(y, p, weight))
        np.testing.assert_allclose(found, (each.mean(1) * images).mean(), rtol=1e-5)
    found = to_numpy(loss(segmentation.dice, class_weight=classes)(y, p))
    np.testing.assert_allclose(found, each[:, 1].mean(), rtol=1e-5)
    whole = loss(segmentation.dice, batch=True)
    raises(ShapeError, "one value for the whole batch", whole, y, p, images)
    np.testing.assert_allclose(
        to_numpy(whole(y, p, pixels)), segmentation.dice(p, y, axis=-1, batch=True, weight=pixels), rtol=1e-5
    )
    raises(ShapeError, "sample_weight must have shape (3,) (one per sample)", loss(segmentation.dice), y, p, pixels.T)
    # In a sum of a loss of images and one of pixels an ignored pixel enters neither.
    labels = np.where(random.random((3, 4, 4)) < 0.3, 255, random.integers(0, 2, (3, 4, 4)))
    part = (segmentation.dice + segmentation.cross_entropy).with_parameters(ignore_index=255)
    np.testing.assert_allclose(to_numpy(loss(part)(labels, p)), part(p, labels, axis=-1), rtol=1e-5)
    one = segmentation.cross_entropy.with_parameters(ignore_index=255)
    one += multiclass.focal.with_parameters(ignore_index=1)
    labels = np.where(labels == 255, 0, labels)
    np.testing.assert_allclose(to_numpy(loss(one)(labels, p)), one(p, labels, axis=-1), rtol=1e-5)


def what_is_no_loss_of_keras_is_refused():
    raises(TypeError, "takes a loss; got str", loss, "mse")
    raises(TypeError, "give each output of the model a loss of its own", loss, detection.detection)
    raises(DomainError, "reduction must not be one of regression.huber", loss, regression.huber.with_parameters(
        reduction="sum"))  # fmt: skip
    raises(TypeError, "unknown argument 'label_smoothing'; did you mean smoothing?", loss,
           multiclass.cross_entropy_with_logits, label_smoothing=0.1)  # fmt: skip
    raises(ValueError, "Invalid value for argument `reduction`", loss, regression.huber, reduction="average")
    own = keras.backend.backend
    keras.backend.backend = lambda: "tensorflow"
    try:
        raises(BackendError, "needs Keras on PyTorch or JAX", loss, regression.huber)
        raises(BackendError, "Keras on tensorflow", loss, regression.huber)
    finally:
        keras.backend.backend = own


def distances_are_computed_by_torch_and_refused_while_jax_traces():
    x, y, *_ = data("images")
    model = keras.Sequential([keras.layers.Dense(3, "sigmoid")])  # whose shapes Keras asks for
    model.compile(keras.optimizers.SGD(0.3), loss(segmentation.boundary))
    if ON_TORCH:
        history = model.fit(x, y, epochs=3, verbose=0, batch_size=12, shuffle=False).history["loss"]
        assert history[-1] < history[0]
        wanted = segmentation.boundary(np.asarray(model.predict(x, verbose=0)), y, axis=-1)
        np.testing.assert_allclose(model.evaluate(x, y, verbose=0), wanted, rtol=1e-4)
    else:
        raises(TypeError, "neither traced nor compiled", model.fit, x, y, verbose=0)


SAVED = [
    loss(multiclass.cross_entropy_with_logits),
    loss(multiclass.cross_entropy_with_logits, smoothing=0.1, class_weight=[1, 2, 3], name="mine", reduction="sum"),
    loss(segmentation.dice.with_parameters(batch=True).on_logits("softmax")),
    loss(0.3 * segmentation.dice + 0.7 * segmentation.cross_entropy, axis=1),
    loss((0.3 * segmentation.dice + 0.7 * segmentation.cross_entropy).on_logits("softmax"), dtype="float64"),
    loss(segmentation.boundary.on_logits("sigmoid")),
    loss(binary.cross_entropy_with_logits, pos_weight=2.0),
]


def a_saved_loss_is_loaded():
    for one in SAVED:
        config = json.loads(json.dumps(keras.losses.serialize(one)))
        again = keras.losses.deserialize(config)
        assert again.loss == one.loss, one
        assert (again.name, again.reduction, again.dtype) == (one.name, one.reduction, one.dtype)
        assert repr(again) == repr(one)
    x, y, size, _ = data("classes")
    model = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Dense(size)])
    model.compile("sgd", SAVED[1])
    model.fit(x, y, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        again = keras.saving.load_model(Path(folder) / "model.keras")
    assert again.loss.loss == SAVED[1].loss
    np.testing.assert_allclose(again.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0), rtol=1e-6)


def what_cannot_be_saved_says_so():
    @lossbook.loss
    def nowhere(p: lossbook.Real, y: lossbook.Outcome):
        """Declared in a function."""
        return (p - y) ** 2

    for part in (nowhere, 0.5 * nowhere):
        raises(TypeError, "cannot be saved with a model, since it has no address", loss(part).get_config)
    config = {"name": "x", "reduction": "sum", "loss": {"module": "antigravity", "name": "loss", "settings": {}}}
    raises(TypeError, "of the module antigravity; import that first", type(SAVED[0]).from_config, config)
    assert "antigravity" not in sys.modules
    config["loss"] = {"module": "lossbook.labels", "name": "one_hot", "settings": {}}
    raises(TypeError, "lossbook.labels.one_hot is no loss", type(SAVED[0]).from_config, config)


def names_and_reprs_speak_of_the_loss():
    criterion = loss(multiclass.cross_entropy_with_logits, smoothing=0.1)
    assert isinstance(criterion, keras.losses.Loss)
    assert criterion.name == "multiclass.cross_entropy_with_logits"
    assert loss(regression.huber, name="mine").name == "mine"
    assert repr(criterion).startswith("<loss of Keras multiclass.cross_entropy_with_logits(z, y, /, *, smoothing=0.1")
    assert repr(criterion).endswith("reduction='sum_over_batch_size'>")


def a_loss_without_a_target_does_not_look_at_one():
    z = np.float32([[0.5], [-1.0]])
    found = loss(adversarial.generator_with_logits)(np.full((2, 7), np.nan), z)
    np.testing.assert_allclose(to_numpy(found), adversarial.generator_with_logits(z), rtol=1e-6)


def the_example_of_the_docstring_runs():
    result = doctest.testmod(sys.modules["lossbook.keras.losses"])
    assert result.attempted > 0
    assert result.failed == 0


CHECKS = [value for value in [*vars().values()] if getattr(value, "__module__", "") == __name__ and callable(value)]
HELPERS = ("data", "trained", "same", "to_numpy", "arrays_of", "raises")
CHECKS = {check.__name__: check for check in CHECKS if check.__name__ not in HELPERS}

if __name__ == "__main__":
    found = {}
    for name, check in CHECKS.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        try:
            check()
            found[name] = ""
        except Exception:
            found[name] = traceback.format_exc()
    print(found)
