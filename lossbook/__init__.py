"""Loss functions that are written once, as a formula: values, gradients and kernels follow from it."""

import sys as _sys

from lossbook import (
    accuracy,
    adversarial,
    binary,
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
from lossbook.workshop.derivation import derive
from lossbook.workshop.stable import stable

__version__ = "0.1.0"
__all__ = [
    "BackendError", "Box", "Classes", "DomainError", "Exponent", "Expression", "Flag", "Fraction", "Label",
    "LogProbability", "Logit", "Loss", "NonNegative", "Outcome", "Partial", "Positive", "Probability", "Real",
    "ShapeError", "Sign", "TrueBox", "accuracy", "adversarial", "binary", "derive", "detection", "divergence",
    "get_threads", "labels", "loss", "multiclass", "multilabel", "regression", "segmentation", "set_threads",
    "stable", "use",
    "warm", "words",
]  # fmt: skip

_offer_only(
    _sys.modules[__name__], accuracy, adversarial, binary, detection, divergence, labels, multiclass, multilabel,
    regression, segmentation, words,
)  # fmt: skip
