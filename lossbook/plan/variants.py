"""Which plan the settings of a call need: each is made once, when it is first needed."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lossbook.formula import Formula, Formulas
from lossbook.plan.ir import Plan
from lossbook.plan.lower import make_plan


class Plans:
    """The plans of the formulas of a loss, under the name that generated files have."""

    def __init__(self, name: str, formulas: Formulas) -> None:
        self.name, self.formulas = name, formulas
        self._made: dict[tuple[Any, ...], Plan] = {}

    def at(self, setting: tuple[bool, ...], parameters: Mapping[str, Any], integer: bool) -> Plan:
        """The plan for a setting of the flags and these parameters; `integer` says that targets are class indices."""
        formula = self.formulas.at(setting)
        hard = integer and is_hard(formula, parameters)
        lifted = any(np.max(parameters[symbol.name], initial=0) > 1 for symbol in formula.lifting)
        steep = any(parameters[symbol.name] > 10 for symbol in formula.exponents)
        per_class = any(isinstance(parameters[symbol.name], tuple) for symbol in formula.parameters)
        key = (setting, hard, lifted, steep, per_class)
        if key not in self._made:
            self._made[key] = self.make(formula, *key[1:])
        return self._made[key]

    def make(self, formula: Formula, hard: bool, lifted: bool, steep: bool, per_class: bool) -> Plan:
        """The plan of a formula in the variant that settings need."""
        return make_plan(self.name, formula, hard, lifted, steep, per_class)


def is_hard(formula: Formula, parameters: Mapping[str, Any]) -> bool:
    """Whether, with these parameters, a row needs only its labeled class."""
    needed = formula.hard_when_zero if formula.space.rows_of_classes else None
    return needed is not None and all(parameters[symbol.name] == 0 for symbol in needed)
