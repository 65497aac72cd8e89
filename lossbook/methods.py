"""Methods that have the signature and the documentation of the loss they are called on.

`inspect.signature(binary.focal.grad)` and completion know `gamma` and `alpha`, though `grad` is declared once, for all
losses, as `grad(self, *arrays, out=None, **keywords)`.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from lossbook.documentation import Shown

C = TypeVar("C", bound=Callable[..., Any])


class Method(functools.partial[Any]):
    """A method of one loss: call it with the arrays, the parameters and the options of that loss."""

    __doc__ = Shown(lambda self: self._document(), __doc__)
    __signature__ = Shown(lambda self: self._public_signature())
    __name__ = Shown(lambda self: self.func.__name__)
    __wrapped__ = Shown(lambda self: self.func)

    @property
    def __self__(self) -> Any:
        """The loss."""
        return self.args[0]

    def _document(self) -> str:
        """What the method does, and then what the loss says of its arguments."""
        does = (inspect.getdoc(self.func) or "").partition("\n\nParameters\n")[0]
        return f"{does}\n\n{self.__self__.__doc__}"

    def _public_signature(self) -> inspect.Signature:
        """That of the loss, with the keywords that the method adds and without those that it leaves out."""
        loss, given, differs = self.__self__, self.__self__.signature, vars(self.func)["differs"]
        own = inspect.signature(self.func).parameters.values()
        added = [p.replace(annotation=p.empty) for p in own if p.kind is p.KEYWORD_ONLY]
        kept = [p for name, p in given.parameters.items() if name not in differs["without"]]
        if differs["summed"] and "reduction" not in loss.declaration.own:
            kept = [p.replace(default="sum") if p.name == "reduction" else p for p in kept]
        count = sum(p.kind is p.POSITIONAL_ONLY for p in kept)
        more = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in differs["more"]]
        return given.replace(parameters=[*kept[:count], *more, *added, *kept[count:]])

    def __repr__(self) -> str:
        return f"<{self.__name__} of {self.__self__!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Method) and (self.func, self.args) == (other.func, other.args)

    def __hash__(self) -> int:
        return hash((self.func, self.args))

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.__self__, self.__name__)


class _OfEachLoss:
    """The descriptor of such a method; the class itself has the function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__wrapped__, self.__doc__ = function, function.__doc__

    def __get__(self, loss: Any, owner: type | None = None) -> Callable[..., Any]:
        return self.__wrapped__ if loss is None else Method(self.__wrapped__, loss)


def of_each_loss(
    *, without: tuple[str, ...] = (), more: tuple[str, ...] = (), summed: bool = False
) -> Callable[[C], C]:
    """Decorate a method of losses that takes what a call of the loss takes, but for some options, and more arrays.

    `summed` says that its reduction is "sum" where a loss has none of its own.
    """

    def decorate(function: Any) -> Any:
        function.differs = {"without": without, "more": more, "summed": summed}
        return _OfEachLoss(function)

    return decorate
