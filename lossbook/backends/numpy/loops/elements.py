"""Blocks of elements that follow one another in memory: losses of elements, and the totals of images and classes."""

import numpy as np

from lossbook.backends.numpy.words import chosen

from .counts import counted
from .finite import all_finite
from .kernel import BLOCK, TOTALS, broken, evaluate

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def loops(z, y, weight, ignore, parameters, slopes, values, d_z, sums, first, last):
    """Blocks first to last of a loss of elements or of totals."""
    _, channels, inner = z.shape
    per_group = -(-inner // BLOCK)
    integer = y is not None and y.dtype.kind in "iu"
    with np.errstate(all="ignore"):
        for block in range(first, last):
            group, start = divmod(block, per_group)
            item, channel = divmod(group, channels)
            part = slice(start * BLOCK, (start + 1) * BLOCK)
            arrays = [z[item, channel, part]]
            wrong = 0
            w = None if weight is None else weight[item, channel % weight.shape[1], part].astype(np.float64)
            live = None if w is None else w != 0
            if integer:
                index = y[item, 0, part]
                if ignore is not None:
                    w = np.ones(index.shape, z.dtype) if w is None else w
                    live = (w != 0) & (index != ignore)
                wrong += counted((index < 0) | (index >= channels), live)
                arrays.append((index == channel).astype(z.dtype))
            elif y is not None:
                arrays.append(y[item, channel, part])
            outside = slopes[item, channel] if TOTALS else ()
            inputs = (*arrays, *parameters, *outside, d_z is not None)
            terms, gradient = evaluate(*inputs, weighted=np.multiply)
            if TOTALS and d_z is not None:
                terms = ()  # the totals are known already: the slopes come from them
            if not all_finite(*terms, gradient):  # rarely: then products are made with care for 0*infinity
                careful, gradient = evaluate(*inputs)
                terms = careful[: len(terms)]
            if w is not None:  # a product with a weight is rounded once, when it is stored
                terms = [chosen(live, term * w) for term in terms]
                wrong += np.count_nonzero(~((w >= 0) & (w < np.inf)))
            for column, term in enumerate(terms):
                sums[block, column] = np.add.reduce(term.astype(np.float64))
            if values is not None:
                values[item, channel, part] = terms[0]
            if d_z is not None:
                scale = 1 if TOTALS else slopes[item, channel, 0]
                if w is None:
                    np.multiply(gradient, z.dtype.type(scale), out=d_z[item, channel, part])
                else:
                    d_z[item, channel, part] = chosen(live, gradient * (w * scale))
            sums[block, -1] = wrong + broken(*arrays, live)
