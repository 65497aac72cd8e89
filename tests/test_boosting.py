"""Losses as objectives of XGBoost and LightGBM (`make test-frameworks`), and Newton's method with their Hessians."""

import copy
import pickle
import re
from functools import cache

import numpy as np
import pytest
from notebooks import NOTEBOOKS, prose
from scipy.optimize import minimize
from scipy.special import expit
from sklearn import datasets
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from lossbook import (
    DomainError,
    Outcome,
    Real,
    ShapeError,
    adversarial,
    binary,
    detection,
    divergence,
    loss,
    multiclass,
    multilabel,
    regression,
    segmentation,
)
from lossbook.boosting import initial_score, metric, objective

ROUNDS, CLASSES = 8, 10
RAISED = pytest.mark.filterwarnings("ignore:Cannot compute class probabilities:UserWarning")


# --- real data -------------------------------------------------------------------------------------------------------


@cache
def tumors():
    return datasets.load_breast_cancer(return_X_y=True)


@cache
def patients():
    """The progression in units of its standard deviation."""
    inputs, progress = datasets.load_diabetes(return_X_y=True)
    return inputs, (progress - progress.mean()) / progress.std()


@cache
def soft_patients():
    """The progression as a number in [0, 1]."""
    inputs, progress = patients()
    return inputs, (progress - progress.min()) / np.ptp(progress)


@cache
def digits():
    inputs, digit = datasets.load_digits(return_X_y=True)
    return inputs[:600], digit[:600]


def weights(count):
    return np.random.default_rng(0).uniform(0.25, 4, count)


# --- the four interfaces ---------------------------------------------------------------------------------------------

DEEP = {"max_depth": 3}
LEAVES = {"num_leaves": 8, "verbose": -1, "deterministic": True, "force_row_wise": True, "num_threads": 1}


class NativeXGBoost:
    """xgboost.train."""

    library = "xgboost"

    def fit(self, X, y, weight, made, start=0.0, classes=None, **others):
        xgboost = pytest.importorskip("xgboost")
        matrix = xgboost.DMatrix(X, y, weight=weight)
        parameters = {**DEEP, "eta": 0.3, "nthread": 1, "base_score": start, **others}
        if classes:
            parameters["num_class"] = classes
        if callable(made):
            model = xgboost.train(parameters, matrix, ROUNDS, obj=made)
        else:
            model = xgboost.train({**parameters, "objective": made}, matrix, ROUNDS)
        return model.predict(matrix, output_margin=True)


class SklearnXGBoost:
    """XGBClassifier and XGBRegressor."""

    library = "xgboost"

    def fit(self, X, y, weight, made, start=0.0, classes=None, **others):
        xgboost = pytest.importorskip("xgboost")
        kind = xgboost.XGBClassifier if y.dtype.kind == "i" else xgboost.XGBRegressor
        parameters = {**DEEP, "learning_rate": 0.3, "n_jobs": 1, "n_estimators": ROUNDS, **others}
        parameters["base_score"] = 0.5 if kind is xgboost.XGBClassifier else start
        model = kind(objective=made, **parameters).fit(X, y, sample_weight=weight)
        return model.predict(X, output_margin=True)


class NativeLightGBM:
    """lightgbm.train."""

    library = "lightgbm"

    def fit(self, X, y, weight, made, start=0.0, classes=None, **others):
        lightgbm = pytest.importorskip("lightgbm")
        parameters = {**LEAVES, "objective": made, "boost_from_average": False, **others}
        if classes:
            parameters["num_class"] = classes
        model = lightgbm.train(parameters, lightgbm.Dataset(X, y, weight=weight), ROUNDS)
        return model.predict(X, raw_score=True)


class SklearnLightGBM:
    """LGBMClassifier and LGBMRegressor."""

    library = "lightgbm"

    def fit(self, X, y, weight, made, start=0.0, classes=None, **others):
        lightgbm = pytest.importorskip("lightgbm")
        kind = lightgbm.LGBMClassifier if y.dtype.kind == "i" else lightgbm.LGBMRegressor
        model = kind(objective=made, n_estimators=ROUNDS, boost_from_average=False, **LEAVES, **others)
        model.fit(X, y, sample_weight=weight)
        return model.predict(X, raw_score=True)


INTERFACES = [NativeXGBoost(), SklearnXGBoost(), NativeLightGBM(), SklearnLightGBM()]
every_interface = pytest.mark.parametrize("interface", INTERFACES, ids=lambda one: type(one).__name__)
weighted = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])

LOGISTIC, SQUARES = objective(binary.cross_entropy_with_logits), objective(0.5 * regression.squared_error)
SOFTMAX = objective(multiclass.cross_entropy_with_logits)

# (the objective of the library, ours)
BUILT_IN = {
    ("logistic", "xgboost"): ("binary:logistic", LOGISTIC),
    ("logistic", "lightgbm"): ("binary", LOGISTIC),
    ("soft labels", "xgboost"): ("reg:logistic", LOGISTIC),
    ("soft labels", "lightgbm"): ("cross_entropy", LOGISTIC),
    ("squares", "xgboost"): ("reg:squarederror", SQUARES),
    ("squares", "lightgbm"): ("regression", SQUARES),
    ("pseudo-Huber", "xgboost"): ("reg:pseudohubererror", objective(regression.pseudo_huber)),
    ("softmax", "xgboost"): ("multi:softprob", objective(SOFTMAX.loss, scale=2)),
    ("softmax", "lightgbm"): ("multiclass", objective(SOFTMAX.loss, scale=CLASSES / (CLASSES - 1))),
}
DATA = {"logistic": tumors, "soft labels": soft_patients, "softmax": digits}


@every_interface
@weighted
@pytest.mark.parametrize("task", ["logistic", "soft labels", "squares", "pseudo-Huber", "softmax"])
def test_the_objectives_of_the_libraries_are_reproduced(task, interface, weighted):
    """Each tree is the library's own: gradient, Hessian, their order, sign and weights are right."""
    if (task, interface.library) not in BUILT_IN:
        pytest.skip("LightGBM has no such loss")
    theirs, ours = BUILT_IN[task, interface.library]
    X, y = DATA.get(task, patients)()
    data = X, y, weights(len(y)) if weighted else None
    classes = CLASSES if task == "softmax" else None
    wanted = interface.fit(*data, theirs, start=0.5, classes=classes)  # of labels, a probability
    got = interface.fit(*data, ours, start=0.0 if task in ("logistic", "soft labels") else 0.5, classes=classes)
    assert np.ptp(wanted) > 0.5
    np.testing.assert_allclose(got, wanted, rtol=0, atol=5e-6 if interface.library == "xgboost" else 1e-7)


@every_interface
def test_libraries_leave_weights_to_the_objective(interface):
    """An objective that ignores weights grows the trees of data without any; this is why ours multiplies."""
    X, y = tumors()
    how = {"tree_method": "exact"} if interface.library == "xgboost" else {}  # others look for thresholds by weights

    class Careless:
        """The logistic objective without weights."""

        def __call__(self, first, second, /, *more, sample_weight=None):
            native = hasattr(second, "get_label")
            return LOGISTIC(*((second.get_label(), first) if native else (first, second)))

    careless, plain = (interface.fit(X, y, weight, Careless(), **how) for weight in (weights(len(y)), None))
    careful = interface.fit(X, y, weights(len(y)), LOGISTIC, **how)
    assert np.array_equal(careless, plain)
    assert abs(careful - plain).max() > 0.05


@every_interface
def test_a_mean_would_hardly_train(interface):
    """The trap of a hand-written objective: a mean has gradients that are as many times too small as there are rows."""
    X, y = tumors()

    class Mean:
        """The gradient of the mean."""

        def __call__(self, first, second, /, *more, sample_weight=None):
            gradient, hessian = LOGISTIC(first, second, *more)
            return gradient / len(y), hessian

    spread = [np.ptp(interface.fit(X, y, None, made)) for made in (Mean(), LOGISTIC)]
    assert spread[0] < 0.2 * spread[1]


@every_interface
def test_focal_loss_trains(interface):
    """On tumors, of which it separates the kinds; its Hessian, which is negative somewhere, is floored."""
    X, y = tumors()
    scores = interface.fit(X, y, None, objective(binary.focal_with_logits, gamma=2.0, alpha=0.5))
    assert np.mean((scores > 0) == y) > 0.97


# --- what comes back -------------------------------------------------------------------------------------------------


class Data:
    """Data as both libraries hold it: labels and weights in float32."""

    def __init__(self, labels, weight=None):
        self.labels, self.weight = np.float32(labels), weight

    def get_label(self):
        return self.labels

    def get_weight(self):
        return self.weight


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_ways_to_call_give_the_same(dtype):
    """(scores, data), and (labels, scores), with weights in the place that either library has for them."""
    z, y, w = np.array([0.5, -2, 3], dtype), np.array([1, 0, 0], np.float32), np.array([1, 2, 0.5], np.float32)
    results = LOGISTIC(z, Data(y, w)), LOGISTIC(y, z, sample_weight=w), LOGISTIC(y, z, w), LOGISTIC(y, z, w, None)
    p = expit(z.astype(float))
    for gradient, hessian in results:
        assert gradient.dtype == hessian.dtype == dtype
        np.testing.assert_allclose(gradient, w * (p - y), rtol=1e-5)
        np.testing.assert_allclose(hessian, w * p * (1 - p), rtol=1e-5)
    for nothing in (None, np.empty(0, np.float32)):  # what LightGBM and XGBoost give where there are none
        np.testing.assert_allclose(LOGISTIC(z, Data(y, nothing))[0], p - y, rtol=1e-5)


def test_scores_of_classes_keep_their_order():
    """As (N, C) in either order of memory, and as one array class by class, as older versions of LightGBM have it."""
    z, y = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    q = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    wanted = q - np.eye(3)[y], q * (1 - q)
    for scores, back in (
        (z, lambda array: array),
        (np.asfortranarray(z), lambda array: array),
        (z.ravel(order="F"), lambda array: array.reshape(3, 5).T),
    ):
        results = SOFTMAX(scores, Data(y))
        assert [array.shape for array in results] == [scores.shape] * 2
        for array, right in zip(results, wanted, strict=True):
            np.testing.assert_allclose(back(array), right, rtol=1e-12)


def test_labels_may_be_distributions():
    z = np.random.default_rng(0).normal(size=(4, 3))
    y = np.float32([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1], [0, 0.25, 0.75]])
    for labels in (y, y.ravel()):
        gradient, _ = SOFTMAX(z, Data(labels))
        np.testing.assert_allclose(gradient, SOFTMAX.loss.grad(z, y.astype(float), reduction="sum"), rtol=1e-6)


def test_several_yes_or_no_questions_of_a_row():
    """Losses of elements take as many labels as scores, and a weight of each row."""
    z, y = np.random.default_rng(0).normal(size=(4, 3)), np.random.default_rng(1).integers(0, 2, (4, 3))
    w = np.float32([1, 2, 3, 0])
    gradient, hessian = objective(multilabel.cross_entropy_with_logits)(z, Data(y, w))
    np.testing.assert_allclose(gradient, w[:, None] * (expit(z) - y), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(hessian, w[:, None] * expit(z) * expit(-z), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("weight", [None, np.float32([2, 1])])
def test_xgboost_trains_several_answers_at_once(weight):
    """Labels of two columns, with both of its interfaces."""
    xgboost = pytest.importorskip("xgboost")
    X, y = tumors()
    both, made = np.stack([y, 1 - y], axis=1), objective(multilabel.cross_entropy_with_logits)
    w = None if weight is None else weight[y]
    model = xgboost.XGBRegressor(objective=made, n_estimators=5, base_score=0, n_jobs=1).fit(X, both, sample_weight=w)
    first, second = model.predict(X, output_margin=True).T
    np.testing.assert_allclose(first, -second, atol=1e-5)
    one = xgboost.XGBRegressor(objective=LOGISTIC, n_estimators=5, base_score=0, n_jobs=1).fit(X, y, sample_weight=w)
    np.testing.assert_allclose(first, one.predict(X, output_margin=True), atol=1e-5)


def test_a_weight_of_0_removes_a_row_whatever_it_holds():
    y, z = np.array([1.0, np.nan]), np.array([0.0, np.nan])
    for array in LOGISTIC(y, z, np.array([1.0, 0.0])):
        assert array[0] != 0
        assert array[1] == 0


def test_inputs_are_not_modified():
    z, y, w = np.zeros(2), np.array([1.0, 0.0]), np.ones(2)
    for array in (z, y, w):
        array.flags.writeable = False
    LOGISTIC(y, z, w)


# --- the Hessian -----------------------------------------------------------------------------------------------------

LOSSES = [
    *(binary.cross_entropy_with_logits, binary.focal_with_logits, multiclass.cross_entropy_with_logits),
    *(multiclass.focal_with_logits, regression.squared_error, regression.pseudo_huber, regression.log_cosh),
    *(0.5 * regression.squared_error, binary.focal.on_logits("sigmoid")),
    0.3 * regression.log_cosh + 0.7 * regression.pseudo_huber,
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_the_hessian_is_the_slope_of_the_gradient(loss):
    """Along each score by itself, wherever it is above the floor."""
    random, made = np.random.default_rng(0), objective(loss, floor=0.0)
    shape = (20, 4) if loss.space.classes else (20,)
    z, y, w = 2 * random.normal(size=shape), random.integers(0, 2, 20), random.uniform(1, 2, 20)
    _, hessian = made(z, Data(y, w))
    for k in range(shape[1] if loss.space.classes else 1):
        step = 1e-4 * (np.eye(4)[k] if loss.space.classes else 1)
        slopes = [made(z + sign * step, Data(y, w))[0] for sign in (1, -1)]
        wanted = ((slopes[0] - slopes[1]) / 2e-4).reshape(20, -1)
        wanted = wanted[:, k] if loss.space.classes else wanted[:, 0]
        np.testing.assert_allclose(hessian.reshape(20, -1)[:, k], np.maximum(wanted, 0), rtol=1e-5, atol=1e-7)


def test_the_floor_is_one_of_each_unit_of_weight():
    """The focal loss bends downward where it is confidently wrong."""
    z, y, w = np.array([-6.0, 1.0]), np.array([1.0, 1.0]), np.array([1.0, 3.0])
    loss = binary.focal_with_logits
    (bent, usual) = loss.hessian(z, y)
    assert bent < 0 < usual
    np.testing.assert_allclose(objective(loss)(y, z, w)[1], [1e-16, 3 * usual], rtol=1e-6)
    np.testing.assert_allclose(objective(loss, floor=0.5)(y, z, w)[1], [0.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(objective(loss, scale=2)(y, z, w)[1], [1e-16, 6 * usual], rtol=1e-6)
    assert all(array.all() for array in objective(loss)(np.float32(y), np.float32(z)))  # in float32 as well


def test_a_hessian_that_is_nowhere_positive_is_said_to_be_so():
    """The absolute error has none: a library would grow no tree, in silence."""
    y, z = np.array([1.0, 2.0]), np.zeros(2)
    with pytest.raises(DomainError, match=r"regression.absolute_error: the Hessian is positive for no row.*floor=1.0"):
        objective(regression.absolute_error)(y, z)
    gradient, hessian = objective(regression.absolute_error, floor=1.0)(y, z)
    assert (gradient.tolist(), hessian.tolist()) == ([-1, -1], [1, 1])
    objective(regression.absolute_error)(z, z)  # all is well: no gradient either
    objective(regression.absolute_error)(y[:0], z[:0])


@every_interface
def test_the_absolute_error_takes_steps_along_its_gradient(interface):
    X, y = patients()
    scores = interface.fit(X, y, None, objective(regression.absolute_error, floor=1.0))
    assert np.mean(abs(scores - y)) < 0.9 * np.mean(abs(np.median(y) - y))


# --- the object ------------------------------------------------------------------------------------------------------


def test_an_objective_says_what_it_is():
    made = objective(binary.focal_with_logits, gamma=1.5, floor=0.01)
    assert repr(made) == "objective(binary.focal_with_logits, gamma=1.5, floor=0.01)"
    assert repr(metric(binary.focal_with_logits, gamma=1.5)) == "metric(binary.focal_with_logits, gamma=1.5)"
    assert made.__name__ == "binary.focal_with_logits"
    assert " " not in metric(0.5 * regression.squared_error + regression.huber).__name__


@pytest.mark.parametrize("make", [objective, metric])
def test_copies_are_equal_and_work(make):
    made = make(multiclass.focal_with_logits, gamma=1.5, class_weight=[1.0, 2.0, 3.0])
    z, y = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 2, 1])
    for other in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert other == made
        assert np.array_equal(other(y, z), made(y, z))
        assert repr(other) == repr(made)
    assert made != make(multiclass.focal_with_logits, gamma=2.0, class_weight=[1.0, 2.0, 3.0])


@every_interface
def test_estimators_can_be_cloned_and_stored(interface):
    if "Sklearn" not in type(interface).__name__:
        pytest.skip("has no estimators")
    library = pytest.importorskip(interface.library)
    X, y = tumors()
    kind = library.XGBClassifier if interface.library == "xgboost" else library.LGBMClassifier
    model = clone(kind(objective=objective(binary.focal_with_logits, gamma=1.0), n_estimators=3, n_jobs=1)).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    how = {"output_margin": True} if interface.library == "xgboost" else {"raw_score": True}
    assert np.array_equal(again.predict(X, **how), model.predict(X, **how))
    assert again.objective == model.objective
    assert "binary.focal_with_logits" in repr(model.get_params())


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        (binary.focal, r"raw scores.*predicted probabilities \(take binary.focal_with_logits\)"),
        (multiclass.cross_entropy, r"\(take multiclass.cross_entropy_with_logits\)"),
        (multiclass.kullback_leibler, r"\(take multiclass.kullback_leibler.on_logits\('softmax'\)\)"),
        (multiclass.negative_log_likelihood, "logarithms of predicted probabilities"),
        (segmentation.dice, "segmentation.dice has values for each image and class"),
        (segmentation.dice.on_logits("sigmoid"), "values for each image and class"),
        (segmentation.hausdorff, "values for each pixel and class"),
        (segmentation.dice + segmentation.cross_entropy, "parts of several kinds"),
        (detection.iou, "values for each box"),
        (detection.detection, "one prediction and one target"),
        (adversarial.minimax, "one prediction and one target"),
        (divergence.entropy, "one prediction and one target"),
        (np.mean, "; got <function mean"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_losses_that_trees_cannot_be_grown_for_are_refused(loss, why):
    with pytest.raises(TypeError, match=rf"^lossbook.boosting.objective: takes a loss.*{why}"):
        objective(loss)


def test_a_loss_on_logits_is_taken():
    """Probabilities go on logits, where trees may add up to any number."""
    z, y = np.array([0.5, -1.0]), np.array([1.0, 0.0])
    results = [objective(loss)(y, z) for loss in (binary.focal.on_logits("sigmoid"), binary.focal_with_logits)]
    np.testing.assert_allclose(*results, rtol=1e-12)


@pytest.mark.parametrize("make", [objective, metric])
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"reduction": "mean"}, "takes no reduction"),
        ({"weight": 1.0}, "weights come with the data"),
        ({"axis": 1}, "takes no axis"),
        ({"gama": 2.0}, "did you mean gamma"),
    ],
    ids=lambda value: None,
)
def test_what_is_no_parameter_is_refused(make, given, why):
    with pytest.raises(TypeError, match=why):
        make(multiclass.focal_with_logits, **given)


@pytest.mark.parametrize("given", [{"floor": -1}, {"floor": np.nan}, {"floor": "small"}, {"scale": 0}, {"gamma": -1}])
def test_numbers_outside_their_domain_are_refused(given):
    with pytest.raises(DomainError, match=rf"{next(iter(given))} must be"):
        objective(binary.focal_with_logits, **given)


def test_wrong_labels_are_refused_by_name():
    z = np.zeros((3, 2))
    for labels in ([0, 0.5, 1], [0, np.nan, 1]):
        with pytest.raises(DomainError, match=r"labels must be whole numbers.* got (0.5|nan) at index 1"):
            SOFTMAX(z, Data(labels))
    with pytest.raises(DomainError, match=r"y must be a class index in 0..1; got 2"):
        SOFTMAX(z, Data([0, 2, 1]))
    with pytest.raises(ShapeError, match=r"scores must be of two classes or more.*num_class"):
        SOFTMAX(z[:, 0], Data([0, 1, 1]))
    with pytest.raises(ShapeError, match=r"labels must be as many as the scores, \(3, 2\)"):
        LOGISTIC(z, Data([0, 1, 1]))
    with pytest.raises(DomainError, match=r"y must be in \[0, 1\]; got 2.0 at index 1"):
        LOGISTIC(np.zeros(2), Data([0, 2]))
    with pytest.raises(DomainError, match="must be the indices of classes"):
        SOFTMAX(np.array(["a", "b", "c"]), z)
    with pytest.raises(TypeError, match=r"takes \(scores, data\) or \(labels, scores\); got Data first"):
        LOGISTIC(Data([0, 1, 1]), z)


# --- metrics ---------------------------------------------------------------------------------------------------------


def figures_of_xgboost(parameters, train, test=None, start=0.5, rounds=5, **keywords):
    """The metrics of each round."""
    xgboost, told = pytest.importorskip("xgboost"), {}
    parameters = {**DEEP, "nthread": 1, "base_score": start, **parameters}
    data = [(train if test is None else test, "data")]
    xgboost.train(parameters, train, rounds, evals=data, evals_result=told, verbose_eval=False, **keywords)
    return told["data"]


@weighted
def test_xgboost_reports_the_mean(weighted):
    """By either interface it is the library's own figure, under the name of the loss."""
    xgboost = pytest.importorskip("xgboost")
    X, y = tumors()
    w, made = weights(len(y)) if weighted else None, metric(binary.cross_entropy_with_logits)
    matrix = xgboost.DMatrix(X, y, weight=w)
    told = figures_of_xgboost({}, matrix, start=0.0, obj=LOGISTIC, custom_metric=made)
    own = figures_of_xgboost({"objective": "binary:logistic", "eval_metric": "logloss"}, matrix, start=0.5)
    np.testing.assert_allclose(told[made.__name__], own["logloss"], rtol=1e-5)
    how = {"n_estimators": 5, "n_jobs": 1, "base_score": 0.5, **DEEP}
    model = xgboost.XGBClassifier(objective=LOGISTIC, eval_metric=made, **how)
    weights_too = {"sample_weight": w, "sample_weight_eval_set": None if w is None else [w]}
    model.fit(X, y, eval_set=[(X, y)], verbose=False, **weights_too)
    np.testing.assert_allclose(model.evals_result()["validation_0"][made.__name__], own["logloss"], rtol=1e-5)


@weighted
@pytest.mark.filterwarnings("ignore:.*eval_set.*is deprecated")
def test_lightgbm_reports_the_mean(weighted):
    """By either interface it is the library's own figure, and less is better."""
    lightgbm = pytest.importorskip("lightgbm")
    X, y = tumors()
    w, told, made = weights(len(y)) if weighted else None, {}, metric(binary.cross_entropy_with_logits)
    data, record = lightgbm.Dataset(X, y, weight=w, free_raw_data=False), lightgbm.record_evaluation
    lightgbm.train({**LEAVES, "objective": LOGISTIC}, data, 5, [data], ["train"], feval=made, callbacks=[record(told)])
    own, parameters = {}, {**LEAVES, "objective": "binary", "metric": "binary_logloss", "boost_from_average": False}
    lightgbm.train(parameters, data, 5, [data], ["train"], callbacks=[record(own)])
    np.testing.assert_allclose(told["train"][made.__name__], own["train"]["binary_logloss"], rtol=1e-9)
    model = lightgbm.LGBMClassifier(objective=LOGISTIC, n_estimators=5, **LEAVES)
    model.fit(X, y, sample_weight=w, eval_set=[(X, y)], eval_sample_weight=None if w is None else [w], eval_metric=made)
    (figures,) = model.evals_result_.values()
    np.testing.assert_allclose(figures[made.__name__], own["train"]["binary_logloss"], rtol=1e-9)


def test_training_stops_where_the_metric_is_least():
    """Half of the data validates, and both libraries stop long before all rounds are done, at the least mean."""
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    X, y = patients()
    made, how = objective(regression.squared_error), metric(regression.squared_error)
    halves = [(X[::2], y[::2]), (X[1::2], y[1::2])]
    train, test = (xgboost.DMatrix(*half) for half in halves)
    how_to_stop = {"custom_metric": how, "early_stopping_rounds": 5}
    figures = figures_of_xgboost({}, train, test, rounds=200, obj=made, **how_to_stop)[how.__name__]
    assert len(figures) - 1 - np.argmin(figures) == 5
    told = {}
    train, test = (lightgbm.Dataset(*half) for half in halves)
    callbacks = [lightgbm.early_stopping(5, verbose=False), lightgbm.record_evaluation(told)]
    model = lightgbm.train({**LEAVES, "objective": made}, train, 200, [test], ["test"], feval=how, callbacks=callbacks)
    figures = told["test"][how.__name__]
    assert model.best_iteration - 1 == np.argmin(figures) == len(figures) - 6


def test_beside_a_built_in_objective_a_metric_is_of_probabilities():
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    X, y = digits()
    made, told = metric(multiclass.cross_entropy), {}
    matrix, data = xgboost.DMatrix(X, y), lightgbm.Dataset(X, y)
    parameters = {"objective": "multi:softprob", "num_class": CLASSES, "eval_metric": "mlogloss"}
    figures = figures_of_xgboost(parameters, matrix, custom_metric=made)
    np.testing.assert_allclose(figures[made.__name__], figures["mlogloss"], rtol=1e-5)
    parameters = {**LEAVES, "objective": "multiclass", "num_class": CLASSES, "metric": "multi_logloss"}
    lightgbm.train(parameters, data, 3, [data], ["train"], feval=made, callbacks=[lightgbm.record_evaluation(told)])
    np.testing.assert_allclose(told["train"][made.__name__], told["train"]["multi_logloss"], rtol=1e-9)


# --- where to begin --------------------------------------------------------------------------------------------------


def test_the_start_has_the_least_loss():
    y, w = np.array([3.0, 1, 4, 1, 5, 9, 2, 6, 5]), np.arange(1.0, 10)
    assert initial_score(regression.squared_error, y, weight=w) == pytest.approx(np.average(y, weights=w))
    assert initial_score(regression.absolute_error, y) == np.median(y)
    assert initial_score(regression.huber, [2.0, 2.0]) == 2
    share = np.array([1] * 30 + [0] * 10)
    assert initial_score(binary.cross_entropy_with_logits, share) == pytest.approx(np.log(3), rel=1e-12)
    assert initial_score(binary.cross_entropy_with_logits, share, pos_weight=2) == pytest.approx(np.log(6), rel=1e-12)
    counts = np.array([5, 3, 20])
    found = initial_score(multiclass.cross_entropy_with_logits, np.repeat([0, 1, 2], counts))
    np.testing.assert_allclose(found, np.log(counts) - np.log(counts).mean(), atol=1e-8)


@pytest.mark.parametrize(
    "made",
    [regression.pseudo_huber, regression.log_cosh, binary.focal_with_logits, multiclass.focal_with_logits],
    ids=lambda loss: loss.name,
)
def test_no_other_constant_is_better(made):
    y, w = np.array([0, 1, 1, 2, 2, 2]), np.array([1, 1, 2, 1, 1, 1.0])
    y = y // 2 if made is binary.focal_with_logits else y
    start = np.asarray(initial_score(made, y, weight=w))

    def value(score):
        return made(np.broadcast_to(score, (len(y), *start.shape)), y, reduction="sum", weight=w)

    others = [start + step * way for way in np.atleast_2d(np.eye(start.size)) for step in (-1, -1e-3, 1e-3, 1)]
    assert all(value(other.reshape(start.shape)) > value(start) for other in others)


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0]])
def test_a_start_that_is_infinite_is_refused(labels):
    with pytest.raises(DomainError, match="best score is finite"):
        initial_score(binary.cross_entropy_with_logits, labels)
    with pytest.raises(DomainError, match="must have every class"):
        initial_score(multiclass.cross_entropy_with_logits, [0, 2, 2])


def test_wrong_arguments_of_a_start_are_refused():
    with pytest.raises(ShapeError, match="weight must have shape"):
        initial_score(regression.huber, [1.0, 2.0], weight=[1.0])
    with pytest.raises(ShapeError, match="labels of positive weight"):
        initial_score(regression.huber, [1.0, 2.0], weight=[0.0, 0.0])
    with pytest.raises(TypeError, match="raw scores"):
        initial_score(binary.focal, [0, 1])
    with pytest.raises(TypeError, match="elements or of class indices"):
        initial_score(multilabel.soft_margin, [0, 1])


def test_libraries_begin_where_they_are_told():
    """What XGBoost and LightGBM find for their own logistic objectives gives the same trees to ours."""
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    X, y = tumors()
    start = initial_score(binary.cross_entropy_with_logits, y)
    matrix, parameters = xgboost.DMatrix(X, y), {**DEEP, "nthread": 1}
    model = xgboost.train({**parameters, "objective": "binary:logistic"}, matrix, 5)
    wanted = model.predict(matrix, output_margin=True)
    got = xgboost.train({**parameters, "base_score": start}, matrix, 5, obj=LOGISTIC).predict(matrix)
    np.testing.assert_allclose(got, wanted, atol=2e-5)
    model = xgboost.XGBClassifier(objective=LOGISTIC, base_score=expit(start), n_estimators=5, n_jobs=1, **DEEP)
    np.testing.assert_allclose(model.fit(X, y).predict(X, output_margin=True), wanted, atol=2e-5)
    wanted = lightgbm.train({**LEAVES, "objective": "binary"}, lightgbm.Dataset(X, y), 5).predict(X, raw_score=True)
    begun = lightgbm.Dataset(X, y, init_score=np.full(len(y), start))
    got = lightgbm.train({**LEAVES, "objective": LOGISTIC}, begun, 5).predict(X)
    np.testing.assert_allclose(got + start, wanted, atol=1e-6)


def test_scores_of_classes_begin_where_they_are_told():
    """LightGBM's own softmax objective begins at the logarithms of the shares."""
    lightgbm = pytest.importorskip("lightgbm")
    X, y = digits()
    X, y = X[y < 3], y[y < 3]
    start = initial_score(multiclass.cross_entropy_with_logits, y)
    parameters = {**LEAVES, "num_class": 3}
    model = lightgbm.train({**parameters, "objective": "multiclass"}, lightgbm.Dataset(X, y), 5)
    wanted = model.predict(X, raw_score=True)
    begun = lightgbm.Dataset(X, y, init_score=np.tile(start, (len(y), 1)))
    made = objective(multiclass.cross_entropy_with_logits, scale=3 / 2)
    got = lightgbm.train({**parameters, "objective": made}, begun, 5).predict(X) + start
    difference = got - wanted
    np.testing.assert_allclose(difference, np.broadcast_to(difference[:1, :1], got.shape), atol=1e-5)


@pytest.mark.parametrize("classes", [False, True], ids=["one score", "scores of classes"])
def test_xgboost_begins_at_its_base_margin(classes):
    """In the shape of the scores, with either objective."""
    xgboost = pytest.importorskip("xgboost")
    X, y = digits()
    X, y = X[y < 3], y[y < 3] if classes else y[y < 3] > 0
    made = objective(multiclass.cross_entropy_with_logits, scale=2) if classes else LOGISTIC
    start = initial_score(made.loss, y)
    margin = np.tile(start, (len(y), 1)) if classes else np.full(len(y), start)
    matrix, parameters = xgboost.DMatrix(X, y, base_margin=margin), {**DEEP, "nthread": 1}
    if classes:
        parameters["num_class"] = 3
    built_in = {**parameters, "objective": "multi:softprob" if classes else "binary:logistic"}
    wanted = xgboost.train(built_in, matrix, 5).predict(matrix, output_margin=True)
    got = xgboost.train(parameters, matrix, 5, obj=made).predict(matrix, output_margin=True)
    np.testing.assert_allclose(got, wanted, atol=2e-5)


def remembering(scores):
    """The logistic objective, which adds the scores of each call to a list."""

    def called(first, second):
        scores.append(np.array(first if hasattr(second, "get_label") else second))
        return LOGISTIC(first, second)

    return called


@RAISED
def test_models_begin_and_predict_as_the_page_says():
    """The rows of its table: a start of 0.5 or 0, and scores or probabilities as predictions."""
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    X, y = tumors()
    seen = [[] for _ in range(5)]
    made = [remembering(scores) for scores in seen]
    small = {"n_estimators": 1, "n_jobs": 1}
    model = xgboost.train({"nthread": 1}, xgboost.DMatrix(X, y), 1, obj=made[0])
    predicted = [model.predict(xgboost.DMatrix(X))]
    predicted += [xgboost.XGBRegressor(objective=made[1], **small).fit(X, y).predict(X)]
    model = xgboost.XGBClassifier(objective=made[2], **small).fit(X, y)
    predicted += [model.predict_proba(X)[:, 1]]
    np.testing.assert_allclose(predicted[-1], expit(model.predict(X, output_margin=True)), rtol=1e-5)
    predicted += [lightgbm.train({**LEAVES, "objective": made[3]}, lightgbm.Dataset(X, y), 1).predict(X)]
    model = lightgbm.LGBMClassifier(objective=made[4], n_estimators=1, **LEAVES).fit(X, y)
    predicted += [model.predict_proba(X)]
    assert [np.unique(scores[0]).tolist() for scores in seen] == [[0.5], [0.5], [0], [0], [0]]
    assert [bool((scores < 0).any()) for scores in predicted] == [True, True, False, True, True]


@every_interface
def test_options_for_rare_classes_change_nothing(interface):
    """They belong to the objectives of the libraries."""
    X, y = tumors()
    fits = [interface.fit(X, y, None, LOGISTIC, **how) for how in ({}, {"scale_pos_weight": 5})]
    assert np.array_equal(*fits)
    theirs = BUILT_IN["logistic", interface.library][0]
    fits = [interface.fit(X, y, None, theirs, start=0.5, **how) for how in ({}, {"scale_pos_weight": 5})]
    assert not np.array_equal(*fits)
    fits = [interface.fit(X, y, None, objective(binary.cross_entropy_with_logits, pos_weight=5.0)), fits[1]]
    np.testing.assert_allclose(*fits, atol=2e-5)


def test_cross_validation_takes_both():
    """Of either library, and that of scikit-learn, which copies objectives to other processes."""
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    X, y = tumors()
    how, told = metric(binary.cross_entropy_with_logits), {"metrics": (), "nfold": 3, "seed": 0}
    parameters = {"nthread": 1, "disable_default_eval_metric": True, "base_score": 0.0}
    found = xgboost.cv(parameters, xgboost.DMatrix(X, y), 5, obj=LOGISTIC, custom_metric=how, as_pandas=False, **told)
    means = [found[f"test-{how.__name__}-mean"]]
    parameters = {**LEAVES, "objective": LOGISTIC}
    found = lightgbm.cv(parameters, lightgbm.Dataset(X, y), 5, nfold=3, feval=how, seed=0)
    means += [found[f"valid {how.__name__}-mean"]]
    for each in means:
        assert np.all(np.diff(each) < 0)
        assert each[-1] < 0.5
    model = xgboost.XGBClassifier(objective=LOGISTIC, n_estimators=5, n_jobs=1)
    assert cross_val_score(model, X, y, cv=3).mean() > 0.9


# --- Newton's method -------------------------------------------------------------------------------------------------

PENALTY = 1.0  # as scikit-learn's C = 1


@cache
def scaled_tumors():
    X, y = tumors()
    return np.insert((X - X.mean(axis=0)) / X.std(axis=0), 0, 1, axis=1), y


@cache
def coefficients():
    """Those of scikit-learn, the intercept first, which is not penalized."""
    X, y = scaled_tumors()
    model = LogisticRegression(C=1 / PENALTY, tol=1e-10, max_iter=1000).fit(X[:, 1:], y)
    return np.concatenate([model.intercept_, model.coef_[0]])


def test_newton_finds_a_logistic_regression():
    """By the Hessian of the loss, in ten steps to the last digits."""
    X, y = scaled_tumors()
    ridge, w = PENALTY * np.diag([0.0] + [1.0] * (X.shape[1] - 1)), np.zeros(X.shape[1])
    for _ in range(10):
        _, gradient, hessian = binary.cross_entropy_with_logits.value_grad_and_hessian(X @ w, y, reduction="sum")
        w = w - np.linalg.solve(X.T @ (hessian[:, None] * X) + ridge, X.T @ gradient + ridge @ w)
    assert abs(X.T @ binary.cross_entropy_with_logits.grad(X @ w, y, reduction="sum") + ridge @ w).max() < 1e-10
    np.testing.assert_allclose(w, coefficients(), atol=1e-3)


def test_scipy_finds_a_logistic_regression():
    """By products of the Hessian with vectors, which Newton's method with conjugate gradients asks for."""
    X, y = scaled_tumors()
    penalty, loss = PENALTY * np.array([0.0] + [1.0] * (X.shape[1] - 1)), binary.cross_entropy_with_logits

    def objective(w):
        value, slope = loss.value_and_grad(X @ w, y, reduction="sum")
        return value + penalty @ w**2 / 2, X.T @ slope + penalty * w

    def product(w, direction):
        return X.T @ loss.hvp(X @ w, y, X @ direction, reduction="sum") + penalty * direction

    how = {"method": "Newton-CG", "options": {"xtol": 1e-10}}
    found = minimize(objective, np.zeros(X.shape[1]), jac=True, hessp=product, **how)
    np.testing.assert_allclose(found.x, coefficients(), atol=1e-3)


def test_a_loss_of_your_own_boosts():
    """The quantile loss, of which the package has none, by steps along its gradient, as LightGBM's own."""
    from lossbook.words import maximum

    @loss
    def quantile(p: Real, y: Outcome):
        """Nine times as costly below as above."""
        return 0.9 * maximum(y - p, 0) + 0.1 * maximum(p - y, 0)

    X, y = patients()
    interface = NativeLightGBM()
    scores = interface.fit(X, y, None, objective(quantile, floor=1.0), learning_rate=0.5)
    start = interface.fit(X, y, None, objective(regression.absolute_error, floor=1.0), learning_rate=0.5)
    assert np.mean(y <= scores) > np.mean(y <= start) + 0.1


# --- the page --------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_the_programs_of_the_page_print_what_it_says(capsys):
    """Those for XGBoost and LightGBM, which the page itself does not run: in order, in one namespace."""
    for library in ("xgboost", "lightgbm"):
        pytest.importorskip(library)
    text = "\n".join(prose(path) for path in NOTEBOOKS if path.stem == "boosting")
    pairs = re.findall(r"^```python\n(.*?)^```\n\n(?:.*?)```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(pairs) == text.count("```python") >= 4
    assert max(len(line) for code, _ in pairs for line in code.splitlines()) <= 78
    names = {"__name__": "__main__"}
    for code, wanted in pairs:
        exec(code, names)
        assert capsys.readouterr().out == wanted
