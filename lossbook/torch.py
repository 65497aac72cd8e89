"""Losses as modules of PyTorch: `from lossbook.torch import Criterion`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossbook.frameworks.pytorch import Criterion as Criterion
else:  # this module is there without PyTorch, too
    from lossbook.backends import offering

    __getattr__ = offering(__name__, "Criterion", "torch", "lossbook.frameworks.pytorch")
