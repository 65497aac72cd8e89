"""Losses as modules of PyTorch."""

from typing import Any

import torch

from lossbook.algebra import Loss

__all__ = ["Criterion"]


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

    def __init__(self, loss: Loss, **parameters: Any) -> None:
        super().__init__()
        if not isinstance(loss, Loss):
            raise TypeError(f"lossbook.torch.Criterion: takes a loss; got {type(loss).__name__}")
        self.loss = loss.with_parameters(**parameters) if parameters else loss

    def forward(self, *arrays: Any, **keywords: Any) -> Any:
        """The loss of the arrays, the prediction first."""
        return self.loss(*arrays, **keywords)

    def extra_repr(self) -> str:
        """The loss and its signature, which `print` shows."""
        return f"{self.loss.name}{self.loss.signature}"
