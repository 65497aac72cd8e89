"""Losses as modules of PyTorch: `from lossbook.torch import Criterion`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossbook.frameworks.pytorch import Criterion as Criterion
else:  # this module is there without PyTorch, too

    def __getattr__(name: str) -> Any:
        """What is offered here, which needs PyTorch."""
        if name != "Criterion":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from lossbook.backends import imported

        imported("torch", f"lossbook.torch.{name}", "needs the package torch")
        from lossbook.frameworks import pytorch

        return getattr(pytorch, name)
