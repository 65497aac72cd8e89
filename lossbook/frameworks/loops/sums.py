"""The end of a weighted sum of losses."""

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def added(*values):
    """The sum of values of one shape."""
    if len({tuple(value.shape) for value in values}) > 1:
        raise ValueError("reduction must be 'sum' or 'mean', since the parts have values of different shapes")
    return sum(values[1:], start=values[0])
