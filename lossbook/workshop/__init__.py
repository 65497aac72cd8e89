"""The tools for formulas and implementations of one's own: is this derivation, this form, this function right?"""

from lossbook.workshop.answer import answer, sealed
from lossbook.workshop.check import check

__all__ = ["answer", "check", "sealed"]
