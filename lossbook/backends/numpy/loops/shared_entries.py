"""Rows of which each entry has a value of its own."""

from .distributions import value_and_slopes

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def of_block(z, y, of_class, parameters, backward):
    """(gradient, value) of the columns of z, shape (classes, rows)."""
    value, slope = value_and_slopes(z, y, of_class, parameters, backward)
    return slope.copy() if backward else None, value
