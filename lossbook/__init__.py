"""Loss functions that are written once, as a formula: values, gradients and kernels follow from it."""

import sys as _sys
import typing as _typing

from lossbook import (
    accuracy,
    adversarial,
    binary,
    boosting,
    detection,
    divergence,
    labels,
    multiclass,
    multilabel,
    regression,
    segmentation,
    words,
)
from lossbook.ahead import warm
from lossbook.algebra import Loss
from lossbook.backends import use
from lossbook.backends.host import get_threads, set_threads
from lossbook.domains import (
    Box,
    Classes,
    Exponent,
    Expression,
    Flag,
    Fraction,
    Label,
    Logit,
    LogProbability,
    NonNegative,
    Outcome,
    Positive,
    Probability,
    Real,
    Sign,
    TrueBox,
)
from lossbook.errors import BackendError, DomainError, ShapeError
from lossbook.evaluation.reduce import Partial
from lossbook.names import offer_only as _offer_only
from lossbook.workshop.declare import loss

if _typing.TYPE_CHECKING:
    from lossbook.workshop.audit import audit as audit
    from lossbook.workshop.derivation import derive as derive
    from lossbook.workshop.find import find as find
    from lossbook.workshop.stable import stable as stable

__version__ = "0.1.0"
__all__ = [
    "BackendError", "Box", "Classes", "DomainError", "Exponent", "Expression", "Flag", "Fraction", "Label",
    "LogProbability", "Logit", "Loss", "NonNegative", "Outcome", "Partial", "Positive", "Probability", "Real",
    "ShapeError", "Sign", "TrueBox", "accuracy", "adversarial", "audit", "binary", "boosting", "derive", "detection",
    "divergence", "find", "get_threads", "labels", "loss", "multiclass", "multilabel", "regression", "segmentation",
    "set_threads", "stable", "use",
    "warm", "words",
]  # fmt: skip

_offer_only(
    _sys.modules[__name__], accuracy, adversarial, binary, boosting, detection, divergence, labels, multiclass,
    multilabel, regression, segmentation, words,
)  # fmt: skip

_WORKSHOP = {  # loaded when they are asked for
    "audit": "lossbook.workshop.audit", "derive": "lossbook.workshop.derivation", "find": "lossbook.workshop.find",
    "stable": "lossbook.workshop.stable",
}  # fmt: skip


if not _typing.TYPE_CHECKING:  # to a type checker the module would have any attribute

    def __getattr__(name: str) -> _typing.Any:
        """The tools of the workshop."""
        if name not in _WORKSHOP:
            raise AttributeError(f"module 'lossbook' has no attribute {name!r}")
        from importlib import import_module

        tool = getattr(import_module(_WORKSHOP[name]), name)
        setattr(_sys.modules[__name__], name, tool)
        return tool
