"""Losses for `model.compile(loss=...)` of Keras, on PyTorch and on JAX.

Keras calls a loss with the target first, makes both arrays float32, puts classes last, and reduces the values of the
samples itself, with the weights of the samples and with masks. What stands here gives Keras one value per sample, or
per pixel where each has a row of classes, and leaves the rest to it.
"""

import math
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src import backend  # which alone can say what is masked: there is no public name for that

from lossbook.arrays import several
from lossbook.errors import BackendError, DomainError, ShapeError
from lossbook.settings import find, settings_of, with_settings

WHERE = "lossbook.keras.loss"
BACKENDS = {"torch": "int64", "jax": "int32"}  # and the type in which each takes indices
WHOLE = {"float16": 2048, "bfloat16": 256}  # up to where each holds all whole numbers


def loss(
    loss: Any,
    *,
    reduction: str | None = "sum_over_batch_size",
    name: str | None = None,
    dtype: Any = None,
    **parameters: Any,
) -> keras.losses.Loss:
    """A loss for `model.compile(loss=...)`, on Keras's backends PyTorch and JAX.

    The values are reduced by Keras: "sum_over_batch_size" divides by the number of values, whatever the weights of the
    samples are, where a mean of this package divides by the sum of the weights. As with Keras's own losses a value is
    one of a sample: that of a loss of elements is a mean over the last axis, that of an overlap one over the classes
    (weighted by `class_weight`, if that is given), that of a row of classes belongs to its pixel.

    Classes are on the last axis unless `axis` is given, here or in a loss with an axis of its own. Everywhere else in
    this package they are on axis 1; but models of Keras put them last, and of an array (N, H, W, C) no error would say
    that rows of the image were taken for classes.

    Class indices may come as Keras passes them on, as floats and with a last axis of length 1. That they are whole
    numbers is checked where values can be looked at, as it is for all other rules: not while JAX or PyTorch traces.

    Parameters
    ----------
    loss : Loss
        A loss of one prediction. One without a target, as `adversarial.generator`, does not look at y_true.
    reduction : str, optional
        One of Keras's: "sum_over_batch_size", "sum", "mean", "mean_with_sample_weight" or "none".
    name : str, optional
        Its name in Keras; that of the loss if it is left out.
    dtype : optional
        The dtype or policy in which Keras hands over the arrays, as for Keras's own losses.
    **parameters
        Defaults of the loss's parameters and options, as `Loss.with_parameters` takes them.

    Returns
    -------
    keras.losses.Loss
        A saved model that has it can be loaded after `from lossbook.keras import loss`.

    Raises
    ------
    TypeError
        For what is no loss, for a loss of several predictions, and for parameters that it does not have.
    DomainError
        For a parameter outside its domain, and for a loss with a reduction of its own.
    BackendError
        On other backends of Keras.

    Examples
    --------
    >>> import numpy as np
    >>> from lossbook import multiclass
    >>> from lossbook.keras import loss
    >>> criterion = loss(multiclass.cross_entropy_with_logits, smoothing=0.1)
    >>> z, labels = np.zeros((2, 4), np.float32), np.array([[1], [3]])
    >>> round(float(criterion(labels, z)), 4)
    1.3863
    """
    used = keras.backend.backend()
    if used not in BACKENDS:
        rule = "needs Keras on PyTorch or JAX (KERAS_BACKEND is torch or jax)"
        raise BackendError(WHERE, None, rule, said=f"Keras on {used}")
    if not hasattr(loss, "declaration"):
        raise TypeError(f"{WHERE}: takes a loss; got {type(loss).__name__}")
    if len(loss.declaration.predictions) > 1:
        outputs = ", ".join(loss.declaration.predictions)
        rule = f"Keras gives a loss one prediction; {loss.name} takes {outputs}"
        raise TypeError(f"{WHERE}: {rule}; give each output of the model a loss of its own, and loss_weights")
    return LossOfKeras(loss.with_parameters(**parameters) if parameters else loss, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="lossbook", name="loss")
class LossOfKeras(keras.losses.Loss):
    """What `loss` makes."""

    def __init__(self, loss: Any, reduction: str | None, name: str | None = None, dtype: Any = None) -> None:
        for _, part in loss.terms_of_sum():
            if "reduction" in part.declaration.own:
                rule = f"must not be one of {part.name} itself, since Keras reduces the values"
                raise DomainError(WHERE, "reduction", rule, hint=f"give it to {WHERE}")
        super().__init__(name or re.sub(r"[^\w.]+", "_", loss.name.partition("(")[0]), reduction, dtype)
        self.loss = loss
        last = loss.with_parameters(axis=-1) if "axis" in loss.declaration.options else loss
        self.terms = last.terms_of_sum()
        spaces = {part.space for _, part in self.terms}
        ignored = {index_ignored(part) for _, part in self.terms}
        # Weights of pixels enter the totals of an image, and Keras has one mask for the parts of a sum.
        self.by_image = len(spaces) > 1 or len(ignored) > 1 or any(space.totals for space in spaces)
        self.of_batch = any(part.signature.parameters["batch"].default for _, part in self.terms if part.space.totals)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss as Keras computes it."""
        if not self.by_image:
            return super().__call__(y_true, y_pred, sample_weight)
        y_pred, pixels = ops.convert_to_tensor(y_pred), backend.get_keras_mask(y_pred)
        if pixels is not None:
            y_pred = y_pred * 1  # an array that Keras knows no mask of
        if sample_weight is not None:
            sample_weight = ops.convert_to_tensor(sample_weight)
            if not is_of_samples(sample_weight):
                sample_weight = sample_weight.reshape(self.shape_of_pixels(y_pred, sample_weight))
                pixels = sample_weight if pixels is None else sample_weight * ops.cast(pixels, sample_weight.dtype)
                sample_weight = None
            elif self.of_batch:
                rule = "must not be one per sample, since a loss with batch=True has one value for the whole batch"
                raise ShapeError(self.loss.name, "sample_weight", rule, tuple(sample_weight.shape))
        return super().__call__(y_true if pixels is None else (y_true, pixels), y_pred, sample_weight)

    def shape_of_pixels(self, y_pred: Any, weight: Any) -> tuple[int, ...]:
        """The shape of weights of pixels."""
        pixels = without(tuple(y_pred.shape), self.terms[0][1].axis)
        if tuple(weight.shape) not in (pixels, (*pixels, 1)):
            rule = f"must have shape {pixels[:1]} (one per sample) or {pixels} (one per pixel)"
            raise ShapeError(self.loss.name, "sample_weight", rule, tuple(weight.shape))
        return pixels

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The values that Keras reduces."""
        pixels = None
        if isinstance(y_true, tuple):
            y_true, pixels = y_true
        values = [coefficient * self.values(part, y_true, y_pred, pixels) for coefficient, part in self.terms]
        least = min(value.ndim for value in values)
        values = [mean(value, range(least, value.ndim)) for value in values]
        total = sum(values[1:], start=values[0])
        if not self.by_image and (live := self.live(self.terms[0][1], y_true, y_pred)) is not None:
            backend.set_keras_mask(total, live)
        return total

    def values(self, part: Any, y_true: Any, z: Any, pixels: Any) -> Any:
        """The values of one part: of samples or pixels, of samples alone where a part has values of images."""
        target = () if part.declaration.target is None else (target_of(part, y_true, z),)
        options = {} if pixels is None or not part.space.totals else {"weight": pixels}
        # Keras may ask for shapes alone, for which there are no maps of distances.
        values = z * 0 if part.space.maps and is_shape(z) else part(z, *target, reduction="none", **options)
        if part.space.totals:
            return mean_of_classes(part, values, -1)
        if part.space.maps:
            values = mean_of_classes(part, values, part.axis)
        elif not part.space.by_row and values.ndim > 1:
            values = mean(values, [values.ndim - 1])
        if not self.by_image or values.ndim == 0:
            return values
        # A mean over the pixels that count, in the whole batch.
        weights = self.live(part, y_true, z)
        weights = None if weights is None else ops.cast(weights, values.dtype)
        if pixels is not None:
            weights = pixels if weights is None else weights * ops.cast(pixels, values.dtype)
        if weights is None:
            return values
        weights = ops.cast(ops.broadcast_to(weights, values.shape), values.dtype)
        return ops.divide_no_nan(ops.where(weights == 0, 0.0, values * weights), ops.mean(weights))

    def live(self, part: Any, y_true: Any, z: Any) -> Any:
        """Where labels are not ignored, of a loss with values of pixels; None where none is ignored."""
        ignored = index_ignored(part)
        if ignored is None or part.space.totals:
            return None
        target = target_of(part, y_true, z)
        if target.ndim == z.ndim:
            return None
        live = target == target
        for label in several(ignored):
            live = live & (target != label)
        return live

    def get_config(self) -> dict[str, Any]:
        """What a saved model holds of it."""
        return {**super().get_config(), "dtype": self.dtype, "loss": config_of(self.loss)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "LossOfKeras":
        """The loss again, from what a saved model holds."""
        return cls(**{**config, "loss": loss_of(config["loss"])})

    def __repr__(self) -> str:
        return f"<loss of Keras {self.loss.name}{self.loss.signature}, reduction={self.reduction!r}>"


def index_ignored(part: Any) -> int | tuple[int, ...] | None:
    """The class index of which no loss is computed, if there is one, or several of them."""
    known = part.signature.parameters
    return known["ignore_index"].default if "ignore_index" in known else None


# --- arrays ----------------------------------------------------------------------------------------------------------


def without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    """A shape without an axis."""
    axis %= len(shape)
    return (*shape[:axis], *shape[axis + 1 :])


def is_of_samples(weight: Any) -> bool:
    """Whether weights are one per sample, or one for all."""
    return weight.ndim < 2 or math.prod(weight.shape[1:]) == 1


def target_of(part: Any, y: Any, z: Any) -> Any:
    """A target as a loss takes it: class indices as integers, of one element in the shape of the prediction."""
    given, full = tuple(y.shape), tuple(z.shape)
    if given == full:
        return y
    if part.declaration.by_class and part.axis is not None and -z.ndim <= part.axis < z.ndim:
        shape = without(full, part.axis)
        if given == shape or (y.ndim == z.ndim and y.shape[part.axis] == 1 and without(given, part.axis) == shape):
            return indices(part, y, len_of_classes=full[part.axis]).reshape(shape)
    elif given in ((*full, 1), full[:-1]) and (full[-1:] == (1,) or len(given) > len(full)):
        return y.reshape(full)
    return y  # which the loss refuses


def indices(part: Any, y: Any, len_of_classes: int) -> Any:
    """Class indices, which Keras has made floats, as integers."""
    kind, integer = backend.standardize_dtype(y.dtype), BACKENDS[keras.backend.backend()]
    if "int" in kind:
        return ops.cast(y, integer)
    name, most = part.declaration.target, WHOLE.get(kind)
    if most is not None and len_of_classes - 1 > most:
        rule = f"must come in float32, since {kind} does not hold the indices of {len_of_classes} classes"
        raise DomainError(part.name, name, rule, said=kind, hint='give dtype="float32"')
    if are_there(y):
        found = ops.convert_to_numpy(ops.cast(y, "float32"))
        if (wrong := found[found != np.rint(found)]).size:
            raise DomainError(part.name, name, "must hold class indices, which are whole numbers", float(wrong[0]))
    return ops.cast(y, integer)


def are_there(array: Any) -> bool:
    """Whether the numbers of an array can be looked at: not while it is traced, or only its shape is known."""
    if keras.backend.backend() == "jax":
        jax = sys.modules["jax"]
        return not isinstance(array, jax.core.Tracer)
    return not sys.modules["torch"].compiler.is_compiling() and not is_shape(array)


def is_shape(array: Any) -> bool:
    """Whether a tensor of PyTorch has no numbers."""
    return getattr(getattr(array, "device", None), "type", None) == "meta"


def mean(values: Any, axes: Sequence[int] | range) -> Any:
    """The mean over axes; without any, the values."""
    return ops.mean(values, tuple(axes)) if len(axes) else values


def mean_of_classes(part: Any, values: Any, axis: int) -> Any:
    """The mean over the classes, by their weights if they have some: the values are multiplied by these already."""
    weights = part.signature.parameters["class_weight"].default
    return ops.mean(values, axis) if weights is None else ops.sum(values, axis) / sum(weights)


# --- saving ----------------------------------------------------------------------------------------------------------


def config_of(loss: Any) -> dict[str, Any]:
    """What tells a loss from all others, in terms that a saved model can hold."""
    if hasattr(loss, "activation"):
        return {"part": config_of(loss.part), "activation": loss.activation}
    if hasattr(loss, "terms"):
        return {"terms": [[coefficient, config_of(part)] for coefficient, part in loss.terms]}
    try:
        at_home = find(loss.__module__, loss.__qualname__)
    except (ImportError, AttributeError, KeyError):
        at_home = None
    is_there = at_home is not None and getattr(at_home, "__wrapped__", None) is loss.__wrapped__
    if loss.__module__ == "__main__" or not is_there:
        rule = "cannot be saved with a model, since it has no address; declare it at the top of a module"
        raise TypeError(f"{loss.name}: {rule}, and not in a notebook, a script or a function")
    settings = {} if at_home is loss else settings_of(loss)
    return {"module": loss.__module__, "name": loss.__qualname__, "settings": settings}


def loss_of(config: Any) -> Any:
    """The loss of a `config_of`. Modules of others are not imported: what a file names should not run by itself."""
    if hasattr(config, "declaration"):
        return config
    if "activation" in config:
        return loss_of(config["part"]).on_logits(config["activation"])
    if "terms" in config:
        return sum(coefficient * loss_of(part) for coefficient, part in config["terms"])
    module, name = config["module"], config["name"]
    if not module.startswith("lossbook.") and module not in sys.modules:
        raise TypeError(f"{WHERE}: the model was saved with the loss {name} of the module {module}; import that first")
    found = find(module, name)
    if not hasattr(found, "declaration"):
        raise TypeError(f"{WHERE}: {module}.{name} is no loss; got {type(found).__name__}")
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in config["settings"].items()}
    return with_settings(found, settings) if settings else found
