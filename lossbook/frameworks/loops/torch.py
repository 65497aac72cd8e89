"""What a text in PyTorch begins with: a function with slopes of its own, and types."""

import torch
import torch as xp

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def differentiable(value, slopes, count, arrays):
    """A function of arrays, and then of numbers, with slopes of its own along the first `count` arrays."""

    class Function(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*inputs):
            results = value(*inputs)  # of which none may be one of the arrays itself
            return tuple(r.view_as(r) if any(r is x for x in inputs[:arrays]) else r for r in results)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs[:arrays])
            ctx.save_for_forward(*inputs[:arrays])
            ctx.numbers, ctx.results = inputs[arrays:], len(output)

        @staticmethod
        def backward(ctx, *upstream):
            found = slopes(*ctx.saved_tensors, *ctx.numbers, upstream)
            return (*found, *(None,) * (arrays + len(ctx.numbers) - count))

    class Forward(Function):  # can be differentiated forward as well, which torch.compile does not take
        @staticmethod
        def jvp(ctx, *tangents):
            given, one = ctx.saved_tensors, ctx.saved_tensors[0]
            units = [tuple(xp.ones_like(one) if j == k else xp.zeros_like(one) for j in range(ctx.results))
                     for k in range(ctx.results)]  # fmt: skip
            each = [slopes(*given, *ctx.numbers, unit) for unit in units]
            return tuple(sum(d * t for d, t in zip(found, tangents, strict=False) if t is not None) for found in each)

    def function(*inputs):
        if not torch.compiler.is_compiling():
            return Forward.apply(*inputs)
        # What needs no slopes is no Function, which torch.compile would call in another way.
        return Function.apply(*inputs) if any(x.requires_grad for x in inputs[:arrays]) else value(*inputs)

    return function


def floats(x, like=None):
    """The array in the type in which it is computed, or in that of another: float32 or float64."""
    if like is not None:
        return x.to(like.dtype) if hasattr(x, "to") else xp.tensor(x, dtype=like.dtype, device=like.device)
    return x if x.dtype in (xp.float32, xp.float64) else x.to(xp.float32)


def asarray(x, like):
    """Numbers as an array beside another; an array as it is."""
    return x if hasattr(x, "dtype") else xp.asarray(x, dtype=like.dtype, device=like.device)


def last(x, axis):
    """The array with an axis moved to the end."""
    return x if axis in (-1, x.ndim - 1) else x.movedim(axis, -1)


def constant(x):
    """The array, which is not differentiated."""
    return x.detach()


def taken(x, index):
    """The entries of the last axis at an index for each row."""
    return xp.take_along_dim(x, index[..., None], -1)[..., 0]


def indices(y):
    """Class indices of any integer dtype as an index."""
    return y.long()


def counting(count, like):
    """0, 1, ..., count - 1"""
    return xp.arange(count, device=like.device)
