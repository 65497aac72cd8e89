"""Gradient and Hessian of a loss, and its mean, as XGBoost and LightGBM call them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from lossbook.algebra import Loss
from lossbook.boosting.calls import arranged, given_by, refuse_bounded, suited
from lossbook.errors import DomainError, shown

FLOOR = 1e-16  # as in XGBoost's own objectives of logits


@dataclass(frozen=True)
class Boosted:
    """A loss as the libraries call it; it can be copied, pickled and compared."""

    loss: Loss
    parameters: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def __name__(self) -> str:
        """The name of the loss without spaces, which XGBoost cannot read back."""
        return self.loss.name.replace(" ", "")

    def _told(self, **others: Any) -> str:
        given = {**self.parameters, **others}
        return ", ".join([self.loss.name, *(f"{name}={shown(value)}" for name, value in given.items())])


@dataclass(frozen=True, repr=False)
class Objective(Boosted):
    """Gradient and Hessian of a loss, for XGBoost and LightGBM. It is made by `objective`."""

    floor: float = FLOOR
    scale: float = 1.0

    def __call__(
        self, first: Any, second: Any, /, *weight_and_group: Any, sample_weight: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(gradient, Hessian) in the shape and dtype of the scores.

        Parameters
        ----------
        first, second : array, data
            (scores, data) as `xgboost.train` and `lightgbm.train` call it, where data has labels and weights, or
            (labels, scores) as the interfaces for scikit-learn do.
        *weight_and_group : array, optional
            What LightGBM gives behind labels and scores. Groups change nothing.
        sample_weight : array, optional
            What XGBoost gives beside labels and scores.

        Returns
        -------
        gradient, Hessian

        Raises
        ------
        ShapeError, DomainError
            For labels and scores that do not fit the loss, and for a Hessian that is nowhere positive, if no `floor`
            was chosen.
        """
        given = given_by("lossbook.boosting.objective", first, second, weight_and_group, sample_weight)
        call = arranged(self.loss, given)
        options = {} if call.weight is None else {"weight": call.weight}
        _, gradient, hessian = self.loss.value_grad_and_hessian(call.z, call.y, reduction="sum", **options)
        if self.floor == FLOOR and (hessian <= 0).all() and gradient.any():
            rule = "is positive for no row, so that steps have no size"
            hint = "give floor=1.0 for steps along the gradient, or begin at lossbook.boosting.initial_score"
            raise DomainError(self.loss.name, "the Hessian", rule, hint=hint)
        return call.back(gradient), call.back(self.raised(hessian, call.weight))

    def raised(self, hessian: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """The Hessian times `scale`, and nowhere below the floor of its weight."""
        least: Any = self.floor
        if weight is not None:
            least = (self.floor * weight).reshape(weight.shape + (1,) * (hessian.ndim - weight.ndim))
        return np.maximum(self.scale * hessian, least).astype(hessian.dtype, copy=False)

    def __repr__(self) -> str:
        own = {"floor": (self.floor, FLOOR), "scale": (self.scale, 1.0)}
        others = {name: value for name, (value, default) in own.items() if value != default}
        return f"objective({self._told(**others)})"


def objective(loss: Loss, /, *, floor: float = FLOOR, scale: float = 1.0, **parameters: Any) -> Objective:
    """A loss as an objective of XGBoost and LightGBM: its gradient and Hessian, in the shape that they want.

    The same object serves `xgboost.train(..., obj=)`, `XGBClassifier(objective=)` and `XGBRegressor(objective=)`,
    `lightgbm.train({"objective": ...})`, `LGBMClassifier(objective=)` and `LGBMRegressor(objective=)`: it tells by its
    arguments who calls. Weights of the data multiply both arrays, which the libraries leave to the objective.

    Models predict raw scores, and begin at 0 (LightGBM), 0.5 (`xgboost.train`, `XGBRegressor`) or the logit of
    `base_score` (`XGBClassifier`); `initial_score` finds a better start. Their own options for rare classes, such as
    `scale_pos_weight` and `is_unbalance`, do nothing with an objective of one's own: take a parameter of the loss
    (`pos_weight`, `alpha`, `class_weight`) or weights.

    Parameters
    ----------
    loss : Loss
        A loss of raw scores or of predicted numbers, with one value for each element or each row of classes.
    floor : float, optional
        The least Hessian of an element of weight 1. Where a loss is not convex, or is a straight line, its Hessian is
        negative or 0, and a leaf, whose value is minus the sum of gradients over that of Hessians, has no sensible one.
        The default is XGBoost's own and changes nothing where a Hessian is positive. 1.0 gives a loss that is straight
        everywhere, such as the absolute error, plain steps along the gradient.
    scale : float, optional
        A factor of the Hessian, before the floor. 1 leaves the exact second derivative of each score with all others
        fixed, p*(1 - p) for the softmax cross-entropy. XGBoost's `multi:softprob` has twice that, which is never less
        than the whole matrix of second derivatives, so that a step of all classes at once does not overshoot: scale=2.
        LightGBM's `multiclass` has scale=C/(C - 1) for C classes.
    **parameters
        Of the loss, as `Loss.with_parameters` takes them: its own, and `class_weight`, `ignore_index`, `backend`.

    Returns
    -------
    Objective

    Raises
    ------
    TypeError
        For what is no loss, a loss that trees cannot be grown for, and unknown parameters; `reduction` and `weight` are
        among them.
    DomainError
        For a parameter outside its domain.

    Examples
    --------
    >>> import numpy as np
    >>> from lossbook import binary
    >>> from lossbook.boosting import objective
    >>> logistic = objective(binary.cross_entropy_with_logits)
    >>> logistic
    objective(binary.cross_entropy_with_logits)
    >>> gradient, hessian = logistic(np.array([1, 0]), np.array([0.0, 0.0]))  # labels, scores
    >>> gradient, hessian
    (array([-0.5,  0.5]), array([0.25, 0.25]))
    """
    where = "lossbook.boosting.objective"
    baked = suited(where, loss, parameters)
    for name, value, least in (("floor", floor, "not negative"), ("scale", scale, "positive")):
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not number or not np.isfinite(value) or value < 0 or (value == 0 and name == "scale"):
            raise DomainError(where, name, f"must be a finite number, {least}", value)
    refuse_bounded(where, baked)
    return Objective(baked, MappingProxyType(parameters).copy(), float(floor), float(scale))


@dataclass(frozen=True, repr=False)
class Metric(Boosted):
    """The mean of a loss, for XGBoost and LightGBM. It is made by `metric`."""

    def __call__(self, first: Any, second: Any, /, *weight_and_group: Any, sample_weight: Any = None) -> Any:
        """The mean, in the form that the caller wants.

        Parameters
        ----------
        first, second, *weight_and_group, sample_weight
            As an `Objective` takes them.

        Returns
        -------
        (name, mean) for xgboost.train, (name, mean, False) for LightGBM, which says that more is not better, and the
        mean alone for XGBoost's interface for scikit-learn

        Raises
        ------
        ShapeError, DomainError
            For labels and predictions that do not fit the loss.
        """
        given = given_by("lossbook.boosting.metric", first, second, weight_and_group, sample_weight)
        call = arranged(self.loss, given)
        options = {} if call.weight is None else {"weight": call.weight}
        mean = float(self.loss(call.z, call.y, reduction="mean", **options))
        if given.lightgbm:
            return self.__name__, mean, False
        return (self.__name__, mean) if given.native else mean

    def __repr__(self) -> str:
        return f"metric({self._told()})"


def metric(loss: Loss, /, **parameters: Any) -> Metric:
    """The mean of a loss as a metric of XGBoost and LightGBM: what it is called, its value, and that less is better.

    The same object serves `xgboost.train(..., custom_metric=)` and `XGBClassifier(eval_metric=)`,
    `lightgbm.train(..., feval=)` and `fit(..., eval_metric=)` of LightGBM's estimators. Beside an objective of one's
    own a library gives it raw scores; beside one of the library's, what that predicts: probabilities, so that there the
    loss must be one of probabilities, such as `binary.focal`. Only XGBoost's interface for scikit-learn always does as
    for an objective of its own, and asks the metric for a number.

    Parameters
    ----------
    loss : Loss
        A loss with one value for each element or each row of classes.
    **parameters
        Of the loss, as `objective` takes them.

    Returns
    -------
    Metric

    Raises
    ------
    TypeError, DomainError
        As `objective` does, but losses of probabilities are taken.

    Examples
    --------
    >>> import numpy as np
    >>> from lossbook import binary
    >>> from lossbook.boosting import metric
    >>> logistic = metric(binary.cross_entropy_with_logits)
    >>> round(logistic(np.array([1, 0]), np.array([0.0, 0.0])), 4)  # labels, scores
    0.6931
    """
    return Metric(suited("lossbook.boosting.metric", loss, parameters), MappingProxyType(parameters).copy())
