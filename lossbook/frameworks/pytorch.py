"""Losses of PyTorch's tensors: kernels compute value and gradient, and the graph of PyTorch knows the result.

The kernels read the memory of a tensor as an array of NumPy, or of CuPy where it is on a GPU, without a copy; float16
and bfloat16 are computed in float32. The gradient comes with the value, and `backward` multiplies it. Targets and
weights are constants: nothing is differentiated along them.
"""

import importlib.util
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from lossbook.arrays import quiet, several
from lossbook.backends import imported
from lossbook.checks import widened
from lossbook.errors import BackendError, DomainError, ShapeError
from lossbook.evaluation.request import VALUE, Request
from lossbook.frameworks import generated

TENSOR = "a tensor"
HALVES = (torch.float16, torch.bfloat16)
THIS = sys.modules[__name__]  # looked up here, since a module that PyTorch imports while it compiles is not found there
xp = torch


class Sizes(generated.Sizes):
    """Shapes that PyTorch may not know while it compiles: equal sizes are equal numbers, and others are other numbers.

    So one compiled call serves batches of any size. 0, 1, 4 (the corners of a box) and the numbers of classes that
    options know stand for themselves.
    """

    def __init__(self, classes: Collection[int] = ()) -> None:
        super().__init__(classes)
        self.first = max((4, *classes)) + 1
        self.known: list[Any] = []

    def out(self, shape: Sequence[Any]) -> tuple[int, ...]:
        """A shape as numbers."""
        return tuple(map(self.number, shape)) if torch.compiler.is_compiling() else tuple(shape)

    def number(self, size: Any) -> int:
        """What stands for a size."""
        for own in (0, 1, 4, *self.classes):
            if size == own:
                return own
        for k, other in enumerate(self.known):
            if size == other:
                return self.first + k
        self.known.append(size)
        return self.first - 1 + len(self.known)

    def back(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        """What such numbers stand for."""
        return tuple(map(self.size, shape))

    def size(self, number: int) -> Any:
        """The size that a number stands for."""
        return self.known[number - self.first] if self.known and number >= self.first else number


def spec(value: Any, sizes: Sizes) -> Any:
    """The shape and dtype of a tensor, in NumPy's terms; others as they are."""
    return (TENSOR, sizes.out(value.shape), value.dtype) if isinstance(value, torch.Tensor) else value


@torch.compiler.assume_constant_result
def prepared(loss: Any, arrays: Sequence[Any], keywords: Sequence[tuple[str, Any]]) -> tuple[Any, ...]:
    """`generated.prepared` for what `spec` gave; while PyTorch compiles, its result is a constant."""
    return generated.prepared("torch", loss, [*map(known, arrays)], {name: known(given) for name, given in keywords})


def known(spec: Any) -> Any:
    """What `spec` gave, as NumPy's code takes it."""
    if type(spec) is not tuple or not spec or spec[0] != TENSOR:
        return spec
    _, shape, dtype = spec
    name = "float32" if dtype in HALVES else str(dtype).removeprefix("torch.")
    return generated.Spec(shape, np.dtype(name))


def number(value: Any, sizes: Sizes) -> Any:
    """An array without axes as a number, which parameters are, and what `spec` gives of one with axes."""
    return value.item() if isinstance(value, torch.Tensor) and not value.ndim else spec(value, sizes)


def in_float64(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float64."""
    return tensor.double()


def cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The tensor in another dtype."""
    return tensor.to(dtype)


def asarray(value: Any, like: torch.Tensor | None) -> torch.Tensor:
    """Numbers as a tensor beside another; a tensor as it is."""
    if isinstance(value, torch.Tensor):
        return value
    return torch.as_tensor(value, **({} if like is None else {"dtype": like.dtype, "device": like.device}))


def answer(loss: Any, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
    """(value or None, gradient or None) as tensors; the value is in the graph of the predictions."""
    if request.order == 2 and is_away(arrays):
        rule = "second derivatives of tensors on a GPU need the package cupy"
        raise BackendError(loss.name, "arrays", rule, hint="torch.func.hessian of the loss gives them, too")
    kinds = other_kinds(loss)
    arrays = [*map(in_floats, kinds, arrays), *arrays[len(kinds) :]]
    by_text = torch.compiler.is_compiling() or ((is_transformed() or is_away(arrays)) and generated.exists(loss))
    if request == VALUE and by_text:
        return generated.value(THIS, loss, arrays, keywords), None
    return evaluated(loss, arrays, keywords, request)


@torch.compiler.assume_constant_result
def other_kinds(loss: Any) -> tuple[str, ...]:
    """`Domain.other_kinds` of each prediction; while PyTorch compiles, it is a constant."""
    return tuple(loss.declaration.arguments[name].other_kinds for name in loss.declaration.predictions)


def in_floats(kinds: str, array: Any) -> Any:
    """A prediction of integers or bools in float64, if it may be of such a kind."""
    if not isinstance(array, torch.Tensor) or array.dtype.is_floating_point or array.dtype.is_complex:
        return array
    return array.double() if ("b" if array.dtype is torch.bool else "i") in kinds else array


def is_transformed() -> bool:
    """Whether a call comes from a function that torch.func differentiates or maps over a batch."""
    return torch._C._are_functorch_transforms_active()


@torch.compiler.disable
def evaluated(loss: Any, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
    """(value or None, gradient or None) as tensors; the value is in the graph of the predictions."""
    call = Call(loss, arrays, keywords, request)
    if request.partial:
        return call.evaluate(call.tensors, Request(partial=True))
    results = Evaluation.apply(call, *call.tensors)
    values, gradients = call.split(results)
    value = values if len(values) > 1 else values[0] if values else None
    return value, call.delivered(gradients) if request.gradient else None


def is_away(arrays: Sequence[Any]) -> bool:
    """Whether a tensor is where no kernel can read it: on another device than a processor or, with CuPy, a CUDA one."""
    devices = {array.device.type for array in arrays if isinstance(array, torch.Tensor)} - {"cpu"}
    return bool(devices) and not (devices == {"cuda"} and importlib.util.find_spec("cupy"))


class Call:
    """One call of a loss: its tensors, and all else with places where they stood."""

    def __init__(
        self, loss: Any, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request
    ) -> None:
        self.loss, self.request = loss, request
        self.tensors: list[torch.Tensor] = []
        self.names: list[str] = []
        self.count = len(loss.declaration.predictions)
        names = loss.declaration.arrays
        self.arrays = [self.place(array, name) for array, name in zip(arrays, names, strict=False)]
        self.arrays += arrays[len(names) :]  # too many, which will be refused
        self.keywords = {name: self.place(value, name) for name, value in keywords.items()}
        self.direction = self.place(request.direction, "v")
        outs = [out for out in several(request.out) if isinstance(out, torch.Tensor)]
        found = {tensor.device for tensor in (*self.tensors, *outs)}
        if len(found) > 1:
            said = f"tensors on {' and '.join(sorted(map(str, found)))}"
            raise BackendError(loss.name, "arrays", "must all be on one device", said=said)
        (self.device,) = found
        # Under autocast PyTorch's own losses are computed in float32, too.
        if self.device.type in ("cpu", "cuda") and torch.is_autocast_enabled(self.device.type):
            self.tensors = [
                tensor.float() if name in loss.declaration.predictions and tensor.dtype in HALVES else tensor
                for tensor, name in zip(self.tensors, self.names, strict=True)
            ]
        self.refuse_gradients()
        reduction = keywords.get("reduction", loss.declaration.own.get("reduction"))
        differentiated = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in self.tensors)
        self.with_gradient = request.gradient or (differentiated and reduction != "none")

    def place(self, value: Any, name: str) -> Any:
        """The value with a `Place` for each tensor in it, which is kept apart."""
        if type(value) is tuple:
            return tuple(self.place(part, name) for part in value)
        if not isinstance(value, torch.Tensor):
            return value
        self.tensors.append(value)
        self.names.append(name)
        return Place(len(self.tensors) - 1)

    def refuse_gradients(self) -> None:
        """Refuse tensors that are no predictions and wait for a gradient, which they would never get."""
        for tensor, name in zip(self.tensors, self.names, strict=True):
            if tensor.requires_grad and name not in self.loss.declaration.predictions:
                rule = "must not require a gradient, since a loss is differentiated along its prediction alone"
                hint = f"give {name}.detach()"
                raise DomainError(self.loss.name, name, rule, said="a tensor that requires one", hint=hint)

    @property
    def dtypes(self) -> list[torch.dtype | None]:
        """The dtypes of the predictions, None for one that is no tensor."""
        first = self.arrays[: self.count]
        return [self.tensors[one.index].dtype if isinstance(one, Place) else None for one in first]

    def evaluate(self, tensors: Sequence[torch.Tensor], request: Request) -> tuple[Any, Any]:
        """What `Loss.evaluate` gives for the arrays in these tensors."""
        arrays = [self.array(tensor, name) for tensor, name in zip(tensors, self.names, strict=True)]
        keywords = {name: put(value, arrays) for name, value in self.keywords.items()}
        if request.direction is not None:
            request = replace(request, direction=put(self.direction, arrays))
        with quiet():
            return self.loss.evaluate([put(array, arrays) for array in self.arrays], keywords, request)

    def generated(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        """The value by the text of the loss, which PyTorch can differentiate again."""
        keywords = {name: put(value, tensors) for name, value in self.keywords.items()}
        return generated.value(THIS, self.loss, [put(one, tensors) for one in self.arrays], keywords)

    def array(self, tensor: torch.Tensor, name: str) -> Any:
        """The memory of a tensor as an array; predictions of half precision in float32."""
        where, dtype = self.loss.name, tensor.dtype
        if tensor.layout is not torch.strided:
            hint = f"give {name}.to_dense()"
            raise DomainError(where, name, "must be a dense tensor", said=f"one of layout {tensor.layout}", hint=hint)
        if tensor.device.type not in ("cpu", "cuda"):
            rule, hint = "must be on a processor or a CUDA device", f"give {name}.cpu()"
            raise BackendError(where, name, rule, said=f"a tensor on {tensor.device}", hint=hint)
        tensor = tensor.detach().resolve_conj().resolve_neg()
        if dtype is torch.bfloat16:
            tensor = tensor.float()
        elif dtype.is_floating_point and dtype.itemsize == 1:
            rule = "must be bfloat16, float16, float32 or float64"
            raise DomainError(where, name, rule, said=str(dtype), hint=f"give {name}.float()")
        if tensor.device.type == "cuda":
            array = imported("cupy", where, "a tensor on a GPU needs the package cupy", name).from_dlpack(tensor)
        else:
            array = tensor.numpy()
        if dtype in HALVES and name in self.loss.declaration.predictions:
            return widened(self.loss.declaration.arguments[name], array, torch.finfo(dtype).eps)
        return array

    def tensor(self, result: Any, dtype: torch.dtype | None) -> torch.Tensor:
        """A result as a tensor of this dtype, or of its own."""
        on_host = isinstance(result, (np.ndarray, np.generic))
        tensor = torch.from_numpy(np.asarray(result)).to(self.device) if on_host else torch.from_dlpack(result)
        return tensor if dtype is None else tensor.to(dtype)

    def results(self, tensors: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The values, one or more, and then the gradients, if they are needed."""
        value, gradients = self.evaluate(tensors, replace(self.request, gradient=self.with_gradient, out=None))
        values = () if value is None else several(value)
        wide = () if gradients is None else several(gradients)
        return (
            *(self.tensor(value, dtype) for value, dtype in zip(values, self.dtypes, strict=False)),
            *(self.tensor(gradient, None) for gradient in wide),
        )

    def split(self, results: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """(values, gradients) of what `results` gave."""
        at = len(results) - (self.count if self.with_gradient else 0)
        return results[:at], results[at:]

    def slopes(
        self, tensors: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor], upstream: Sequence[torch.Tensor]
    ) -> Iterable[torch.Tensor]:
        """The gradients of what follows, along the predictions, from its slopes along the values."""
        if upstream[0].ndim == 0 and gradients:
            return (gradient * upstream[0].to(gradient.dtype) for gradient in gradients)
        along = tuple(self.array(slope, "upstream") for slope in upstream)
        request = Request(value=False, gradient=True, upstream=along if len(along) > 1 else along[0])
        return (self.tensor(gradient, None) for gradient in several(self.evaluate(tensors, request)[1]))

    def delivered(self, gradients: Sequence[torch.Tensor]) -> Any:
        """The gradients in the dtypes of their predictions, or in `out` if that was given."""
        found = [g if dtype is None else g.to(dtype) for g, dtype in zip(gradients, self.dtypes, strict=True)]
        if self.request.out is not None:
            found = [self.put_into(out, g) for out, g in zip(several(self.request.out), found, strict=True)]
        return found[0] if self.count == 1 else tuple(found)

    def put_into(self, out: Any, gradient: torch.Tensor) -> torch.Tensor:
        """The gradient in `out`, which must be a tensor of its own."""
        where = self.loss.name
        if not isinstance(out, torch.Tensor):
            raise DomainError(where, "out", "must be a tensor, as the arrays are", said=type(out).__name__)
        if out.shape != gradient.shape:
            rule = f"must have shape {tuple(gradient.shape)}, as the prediction has"
            raise ShapeError(where, "out", rule, tuple(out.shape))
        if out.dtype not in (gradient.dtype, torch.float32 if gradient.dtype in HALVES else None):
            rule = f"must have dtype {str(gradient.dtype).removeprefix('torch.')}, as the prediction has"
            raise DomainError(where, "out", rule, said=str(out.dtype).removeprefix("torch."))
        for tensor, name in zip(self.tensors, self.names, strict=True):
            if tensor.untyped_storage().data_ptr() == out.untyped_storage().data_ptr():
                rule = f"must not share memory with {name}, since inputs are never modified"
                raise DomainError(where, "out", rule)
        return out.copy_(gradient)


@dataclass(frozen=True)
class Place:
    """Where a tensor stood."""

    index: int


def put(value: Any, arrays: Sequence[Any]) -> Any:
    """The value with arrays at its places."""
    if type(value) is tuple:
        return tuple(put(part, arrays) for part in value)
    return arrays[value.index] if isinstance(value, Place) else value


class Evaluation(torch.autograd.Function):
    """A call as a node of the graph; its gradients are results as well, along which nothing is differentiated."""

    @staticmethod
    def forward(call: Call, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return call.results(tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
        ctx.call, *tensors = inputs
        _, gradients = ctx.call.split(output)
        ctx.mark_non_differentiable(*gradients)
        ctx.save_for_backward(*tensors, *gradients)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[Any, ...]:
        call, count = ctx.call, len(ctx.call.tensors)
        tensors, gradients = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        upstream, _ = call.split(upstream)
        places = [one.index for one in call.arrays[: call.count] if isinstance(one, Place)]
        if torch.is_grad_enabled():  # the slopes will be differentiated themselves
            along = [tensors[k] for k in places]
            slopes = torch.autograd.grad(call.generated(tensors), along, upstream[0], create_graph=True)
        else:
            slopes = tuple(call.slopes(tensors, gradients, upstream))
        found = dict(zip(places, slopes, strict=True))
        return None, *(found[k].to(tensor.dtype) if k in found else None for k, tensor in enumerate(tensors))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], call: Call, *tensors: torch.Tensor) -> tuple[Any, ...]:
        """Each of the batch by itself."""
        mapped = [*zip(tensors, in_dims[1:], strict=True)]
        results = [
            Evaluation.apply(call, *(t if d is None else t.select(d, k) for t, d in mapped))
            for k in range(info.batch_size)
        ]
        stacked = tuple(map(torch.stack, zip(*results, strict=True)))
        return stacked, (0,) * len(stacked)


class Criterion(torch.nn.Module):
    """A loss as a module, for code that wants one: it has no state, and calls the loss with what it is called with.

    Parameters
    ----------
    loss : Loss
        The loss.
    **parameters
        Defaults of its parameters and options, as `Loss.with_parameters` takes them.

    Raises
    ------
    TypeError
        For what is no loss, and for parameters that it does not have.
    DomainError
        For a parameter outside its domain.

    Examples
    --------
    >>> import torch
    >>> from lossbook import multiclass
    >>> from lossbook.torch import Criterion
    >>> criterion = Criterion(multiclass.cross_entropy_with_logits, smoothing=0.1)
    >>> criterion(torch.zeros(1, 2), torch.tensor([1]))
    tensor(0.6931)
    """

    def __init__(self, loss: Any, **parameters: Any) -> None:
        super().__init__()
        if not hasattr(loss, "declaration"):
            raise TypeError(f"lossbook.torch.Criterion: takes a loss; got {type(loss).__name__}")
        self.loss = loss.with_parameters(**parameters) if parameters else loss

    def forward(self, *arrays: Any, **keywords: Any) -> Any:
        """The loss of the arrays, the prediction first."""
        return self.loss(*arrays, **keywords)

    def extra_repr(self) -> str:
        """The loss and its signature, which `print` shows."""
        return f"{self.loss.name}{self.loss.signature}"
