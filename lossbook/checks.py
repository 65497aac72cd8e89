"""What is refused, and the error that says so: by name of the loss and the argument, with rule, value and place."""

import difflib
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lossbook.arrays import is_cupy, is_dask, to_host
from lossbook.domains import Domain
from lossbook.errors import DomainError, ShapeError, shown
from lossbook.typing import Format, Reduction

SINGLE = "of a single image of one class give p[None, None] and y[None, None]"
MASK = "with one class y is a mask of 0 and 1; for labels of several classes the prediction needs a channel for each"
ONE_CLASS = "with one channel give a mask as y[:, None] to a loss of elements, or a prediction of two classes"
TWO_CLASSES = "must have at least two classes, since the softmax of one is always 1"
ONE_CHANNEL = "of one channel take the sigmoid, as binary.cross_entropy_with_logits does"
UNMASK = "fill it, and pass weight=~mask"
FLOATS = "must be float16, float32 or float64"

REDUCTIONS = ("none", "sum", "mean")
REDUCTIONS_ELSEWHERE = {"batchmean": "mean", "avg": "mean", "average": "mean", "elementwise_mean": "mean",
                        "sum_over_batch_size": "mean", "add": "sum", None: "none", "None": "none"}  # fmt: skip

# What the four numbers of a box are: its corners, its first corner and its sizes, or its center and its sizes.
FORMATS = ("xyxy", "xywh", "cxcywh")
FORMATS_ELSEWHERE = {"XYXY": "xyxy", "pascal_voc": "xyxy", "XYWH": "xywh", "coco": "xywh", "CXCYWH": "cxcywh",
                     "center_xywh": "cxcywh", "yolo": "cxcywh", "xywhc": "cxcywh"}  # fmt: skip


def plain(where: str, name: str, array: Any) -> Any:
    """A NumPy, CuPy or Dask array of what was given; what cannot be one is refused by name."""
    if is_cupy(array) or is_dask(array):
        return array
    kind, home = type(array), type(array).__module__.partition(".")[0]
    if array is None:
        raise DomainError(where, name, "must be an array", None)
    if isinstance(array, np.ma.MaskedArray):
        raise DomainError(where, name, "must be a plain array", said="a masked array", hint=UNMASK)
    if home == "scipy" and hasattr(array, "toarray"):
        said, hint = f"a sparse {kind.__name__}", f"give {name}.toarray()"
        raise DomainError(where, name, "must be a plain array", said=said, hint=hint)
    if isinstance(array, (dict, set, frozenset)):
        raise DomainError(where, name, "must be an array", said=f"a {kind.__name__}")
    try:
        return np.asarray(array)
    except ValueError as error:  # lists of unequal lengths
        raise ShapeError(where, name, "must be an array", array, hint="rows must have equal lengths") from error
    except Exception as error:  # what another package raises when it is asked for a NumPy array
        hint = shown(str(error)).strip("'\"")
        raise DomainError(where, name, "must be an array that NumPy can read", array, hint=hint) from error


def cure(dtype: np.dtype, name: str) -> str:
    """What to do about an array of a dtype that cannot be computed with."""
    if dtype.kind == "c":
        return f"give its real part, {name}.real"
    if dtype.kind in "OSU":
        return f"give float16, float32 or float64: {name}.astype(np.float32), or of a table {name}.to_numpy(np.float32)"
    return f"give float16, float32 or float64: {name}.astype(np.float32)"


def real_numbers(where: str, name: str, array: Any, kinds: str = "fiub") -> Any:
    """The array, if it holds numbers of one of these kinds."""
    if array.dtype.kind not in kinds:
        raise DomainError(where, name, "must hold real numbers", array.dtype, hint=cure(array.dtype, name))
    return array


def parameter(where: str, name: str, value: Any, domain: Domain) -> Any:
    """A number of a domain, as a float; of some domains also None, or several numbers as a tuple of floats.

    Arrays without axes, of whatever package, are numbers.
    """
    given = value
    if domain.optional and value is None:
        return None
    if domain.several and not isinstance(value, numbers.Real):
        value = value.tolist() if getattr(value, "ndim", 0) and hasattr(value, "tolist") else value
    if domain.several and isinstance(value, (tuple, list)):
        one = replace(domain, several=False)
        return tuple(parameter(where, name, number, one) for number in value)
    if type(value) is not float:
        if not isinstance(value, numbers.Real) and getattr(value, "shape", None) == () and hasattr(value, "item"):
            value = value.item()
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
            raise DomainError(where, name, f"must be a number {domain.rule}", given)
        try:
            value = float(value)
        except OverflowError as error:
            raise DomainError(where, name, "must fit a float64", given) from error
    if not domain.holds(value):
        raise DomainError(where, name, f"must be {domain.rule}", given)
    return value


def take_option(
    loss: str, name: str, value: Any, options: Sequence[str], instead: Mapping[Any, str] | None = None
) -> str:
    """An option out of a few words; `instead` says what others call them."""
    if isinstance(value, str) and value in options:
        return value
    meant = (instead or {}).get(value if isinstance(value, (str, type(None))) else ())
    close = difflib.get_close_matches(str(value), options, 1) if isinstance(value, str) else []
    meant = meant or (close[0] if close else None)
    rule = f"must be {', '.join(map(repr, options[:-1]))} or {options[-1]!r}"
    raise DomainError(loss, name, rule, value, hint=f"did you mean {meant!r}?" if meant else "")


def check_reduction(name: str, reduction: Any) -> Reduction:
    """The reduction, if it is one."""
    if not isinstance(reduction, str) or reduction not in REDUCTIONS:
        take_option(name, "reduction", reduction, REDUCTIONS, REDUCTIONS_ELSEWHERE)
    return reduction


def check_format(name: str, format: Any) -> Format:
    """The format of boxes, if it is one."""
    return take_option(name, "format", format, FORMATS, FORMATS_ELSEWHERE)  # type: ignore[return-value]


def check_same(loss: str, name: str, shape: tuple[int, ...], wanted: tuple[int, ...], of: str) -> None:
    """Shapes never broadcast between prediction and target."""
    if tuple(shape) != tuple(wanted):
        raise ShapeError(loss, name, f"must have shape {tuple(wanted)}, as {of}", tuple(shape))


def refuse(where: str, name: str, rule: str, array: Any, bad: Any, start: tuple[int, ...] = (), hint: str = "") -> None:
    """Raise the DomainError that names the first element (or row) of an array that is bad, and its place, if any is.

    `bad` has the shape of the array, or of its first axes; both begin at the index `start` of the whole array. The
    hint is a text, or a function that makes it of what was found.
    """
    if not bool(bad.any()):
        return
    place = tuple(np.argwhere(to_host(bad))[0].tolist())
    found = array[place].tolist()
    found = tuple(found) if isinstance(found, list) else found
    error = DomainError(where, name, rule, found, place, hint=hint(found) if callable(hint) else hint)
    raise error.shifted(start) if start else error


def nearly(domain: Domain, value: Any, eps: float | None = None) -> Any:
    """Where numbers lie in the interval of a domain, or beyond it by no more than the rounding of a few operations.

    `eps` is the spacing of numbers at 1 in the type that they come from, if that is not their own.
    """
    if domain.components or domain.values or value.dtype.kind != "f":
        return np.False_
    reach = 4 * float(np.finfo(value.dtype).eps if eps is None else eps)
    return (value >= domain.low - reach) & (value <= domain.high + reach)


def clipped(domain: Domain, array: Any, xp: Any) -> Any:
    """The array with what leaves the interval of a domain on its bounds; itself, where nothing does."""
    if domain.components or domain.values or array.dtype.kind != "f":
        return array
    inside = xp.minimum(xp.maximum(array, array.dtype.type(domain.low)), array.dtype.type(domain.high))
    return inside if bool(((inside != array) & (array == array)).any()) else array


def widened(domain: Domain, array: Any, eps: float | None = None) -> Any:
    """A prediction of float16 in float32, and others as they are, unless `eps` says that they were half precision.

    Whether a number lies beyond a bound by rounding alone is a question to its own type: such a number is on the bound.
    """
    if array.dtype.itemsize > 2 and eps is None:
        return array
    wide = array.astype(np.float32)
    if domain.checked and not domain.components:  # the corners of a box have no bounds, but an order
        near = nearly(domain, array, eps) & ~domain.holds(array)
        if bool(near.any()):
            wide[near] = wide[near].clip(domain.low, domain.high)
    return wide


def shares_memory(out: Any, array: Any, xp: Any) -> bool:
    """Whether an element of `out` is an element of the array, of whatever package, too; where in doubt, it is."""
    if array is None or isinstance(array, (list, tuple, numbers.Number)):
        return False
    if xp is np and type(array) is not np.ndarray:
        try:
            array = np.asarray(array)  # what lends its memory, as tensors and buffers do
        except Exception:  # of a foreign class, which has been refused as an argument, or will be
            return False
    if not xp.may_share_memory(out, array):
        return False
    try:
        return bool(np.shares_memory(out, array, max_work=10**5) if xp is np else xp.shares_memory(out, array))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def overlaps_itself(array: Any) -> bool:
    """Whether elements of a strided array may stand on one another."""
    reach, axes = array.itemsize, zip(map(abs, array.strides), array.shape, strict=True)
    for stride, length in sorted((stride, length) for stride, length in axes if length > 1):
        if stride < reach:
            return array.size > 0
        reach += stride * (length - 1)
    return False
