"""What a loss takes: its arrays, parameters and switches, with their domains and defaults, and its options.

    binary.focal.declaration.arguments      {'p': Probability, 'y': Label, 'gamma': Exponent, 'alpha': Fraction}
"""

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from lossbook.checks import parameter
from lossbook.domains import Domain
from lossbook.errors import DomainError
from lossbook.names import check_argument

# What other packages call the options, and what their absence is called.
ELSEWHERE = {
    "label_smoothing": "smoothing", "sample_weight": "weight", "sample_weights": "weight", "weights": "weight",
    "pixel_weight": "weight", "mask": "weight", "class_weights": "class_weight", "classes_weight": "class_weight",
    "ignore_label": "ignore_index", "ignore": "ignore_index", "ignore_value": "ignore_index", "dim": "axis",
    "class_axis": "axis", "size_average": "reduction", "reduce": "reduction", "average": "reduction",
    "smooth_nr": "smooth", "smooth_dr": "smooth", "eps": "smooth", "epsilon": "smooth", "sigmoid": "from_logits",
    "softmax": "from_logits", "apply_softmax": "from_logits", "focusing": "gamma",
}  # fmt: skip
ARRAYS = (
    "input", "inputs", "target", "targets", "y_true", "y_pred", "z", "y", "p", "t", "x", "logits", "labels", "label",
    "prediction", "predictions", "pred", "preds", "output", "outputs", "y_score",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Declaration:
    """The arguments of a loss and what they may be.

    name       what errors call the loss
    arguments  the domains of the arrays, in the order of a call, then of the parameters and flags
    defaults   of the parameters and flags
    options    what else a call takes by keyword; a function of nothing, since it may depend on the formula, which is
               not made before it is needed
    own        the options that the loss has values of its own for
    """

    name: str
    arguments: Mapping[str, Domain]
    defaults: Mapping[str, Any]
    find_options: Callable[[], tuple[str, ...]]
    own: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def _of(self, *roles):
        return tuple(name for name, domain in self.arguments.items() if domain.role in roles)

    @cached_property
    def arrays(self) -> tuple[str, ...]:
        """The names of the arrays, predictions first."""
        return self._of("prediction", "target")

    @cached_property
    def predictions(self) -> tuple[str, ...]:
        """The names of the predictions."""
        return self._of("prediction")

    @cached_property
    def target(self) -> Any:
        """The name of the first target, or None."""
        return next(iter(self._of("target")), None)

    @cached_property
    def of_prediction(self) -> Domain:
        """The domain of the first prediction."""
        return self.arguments[self.predictions[0]]

    @cached_property
    def of_target(self) -> Domain | None:
        """The domain of the first target, or None."""
        return None if self.target is None else self.arguments[self.target]

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters that are numbers."""
        return self._of("parameter")

    @cached_property
    def flags(self) -> tuple[str, ...]:
        """The names of the switches."""
        return self._of("flag")

    @cached_property
    def by_class(self) -> bool:
        """Whether the target may be class indices."""
        return self.of_target is not None and self.of_target.holds_classes

    @cached_property
    def every_option(self) -> tuple[str, ...]:
        """The names of the options, those that the loss has values of its own for among them."""
        return tuple(self.find_options())

    @cached_property
    def options(self) -> tuple[str, ...]:
        """The names of the options that a call should know of."""
        return tuple(name for name in self.every_option if name not in self.own)

    def changed(self, **fields: Any) -> Self:
        """The same with other fields."""
        return replace(self, **fields)

    def signature(self, axis: int | None) -> inspect.Signature:
        """The signature that users call: arrays, parameters, options."""
        positional, keyword = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.KEYWORD_ONLY
        defaults = {"reduction": "mean", "axis": axis, "batch": False, "format": "xyxy", **self.own}
        return inspect.Signature(
            [inspect.Parameter(name, positional) for name in self.arrays]
            + [inspect.Parameter(name, keyword, default=value) for name, value in self.defaults.items()]
            + [inspect.Parameter(name, keyword, default=defaults.get(name)) for name in self.every_option]
        )

    # --- what a call gives ------------------------------------------------------------------------------------------

    def settings(
        self, given: Mapping[str, Any], per_class: Collection[str] = ()
    ) -> tuple[dict[str, bool], dict[str, Any]]:
        """(flags, parameters) from keywords, checked; those of `per_class` may be one number per class."""
        flags: dict[str, bool] = {}
        values: dict[str, Any] = {}
        for name in given:
            if name not in self.defaults:
                raise TypeError(f"{self.name}: {self.unknown(name, (*self.defaults, *self.options))}")
        for name, default in self.defaults.items():
            value, domain = given.get(name, default), self.arguments[name]
            domain = replace(domain, several=True) if name in per_class else domain
            if domain.role == "flag":
                flags[name] = flag(self.name, name, value)
            else:
                values[name] = parameter(self.name, name, value, domain)
        return flags, values

    def setting(self, flags: Mapping[str, bool]) -> tuple[bool, ...]:
        """The flags, those that are not given at their defaults, in order."""
        return tuple(flags.get(name, self.defaults[name]) for name in self.flags)

    def check(self, arrays: Sequence[Any], keywords: Mapping[str, Any]) -> None:
        """Refuse a call with a wrong number of arrays, and keywords that this loss has not, with what may be meant."""
        known = (*self.defaults, *self.every_option)
        for name in keywords:
            if name not in known:
                raise TypeError(f"{self.name}: {self.unknown(name, (*self.defaults, *self.options, *self.own))}")
        if len(arrays) != len(self.arrays):
            raise TypeError(f"{self.name}: takes {', '.join(self.arrays)} by position; got {len(arrays)} arrays")

    def unknown(self, name: str, known: Sequence[str]) -> str:
        """The sentence about a keyword that is none."""
        short = self.name.rpartition(".")[2] if self.name.isidentifier() or "(" not in self.name else "loss"
        if name in self.arrays or (name in ARRAYS and name not in known):
            return f"{name} is given by position: {short}({', '.join(self.arrays)}, ...)"
        meant = ELSEWHERE.get(name)
        if name == "from_logits" or meant == "from_logits":
            return f"unknown argument {name!r}; {self._about_logits()}"
        if name in ("size_average", "reduce", "average"):
            return f"unknown argument {name!r}; did you mean reduction='mean' or reduction='sum'?"
        last = self.arguments[self.arrays[-1]]
        if name == "label_smoothing" and "smoothing" not in known and last.may_be_smoothed:
            return f"unknown argument {name!r}; give a smoothed target, as labels.smooth makes of a distribution"
        if name == "out":
            return "out is for grad and value_and_grad"
        close = difflib.get_close_matches(name, known, 1)
        meant = meant if meant in known else close[0] if close else None
        if meant:
            return f"unknown argument {name!r}; did you mean {meant}?"
        parameters = ", ".join(self.defaults) or "none"
        return f"unknown argument {name!r}; the parameters are {parameters}, beside {', '.join(self.options)}"

    def _about_logits(self):
        first = self.of_prediction
        if first.holds_probabilities:
            return f"for logits take {self.name}_with_logits, if there is one, or {self.name}.on_logits('sigmoid')"
        return f"{self.arrays[0]} holds logits here" if first.holds_logits else "it takes no logits"


def flag(where: str, name: str, value: Any) -> bool:
    """A switch as True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise DomainError(where, name, "must be True or False", value)
    return bool(value)


def read(where: str, signature: inspect.Signature) -> tuple[dict[str, Domain], dict[str, Any]]:
    """(domains, defaults) of the arguments of a function, in order; clear errors for one that says too little."""
    domains, defaults = {}, {}
    for given in signature.parameters.values():
        domain, keyword = given.annotation, given.kind is given.KEYWORD_ONLY
        check_argument(given.name, where)
        if given.kind in (given.VAR_POSITIONAL, given.VAR_KEYWORD):
            raise TypeError(f"{where}: the arguments must have names of their own; got {str(given).partition(':')[0]}")
        if isinstance(domain, str):
            raise TypeError(
                f"{where}: {given.name} is annotated with text, {domain!r}, and text is never evaluated; "
                "annotate with the domain itself (and leave out `from __future__ import annotations`)"
            )
        if not isinstance(domain, Domain):
            raise TypeError(f"{where}: {given.name} must be annotated with a domain such as Logit or Label")
        if keyword != (domain.role in ("parameter", "flag")):
            kind = "keyword-only (after *)" if not keyword else "positional"
            raise TypeError(f"{where}: {given.name} is a {domain.role}, which must be {kind}")
        if keyword and given.default is given.empty:
            raise TypeError(f"{where}: the parameter {given.name} needs a default")
        domains[given.name] = domain
        if keyword:
            defaults[given.name] = given.default
    roles = [domain.role for domain in domains.values() if domain.role in ("prediction", "target")]
    if roles not in (["prediction"], ["prediction", "target"]):
        raise TypeError(f"{where}: the arrays must be a prediction and at most one target; got {roles}")
    return domains, defaults
