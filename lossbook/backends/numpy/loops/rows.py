"""Blocks of rows, turned into columns: losses of rows of classes, and of boxes."""

import numpy as np

from lossbook.backends.numpy.words import chosen

from .counts import counted
from .kernel import HARD, broken
from .labeled_rows import of_block

# --- below this line: part of a kernel -------------------------------------------------------------------------------


NARROW = 128  # up to so many classes, rows are turned into columns: NumPy's innermost loops should be long


def loops(z, y, weight, class_weight, ignore, parameters, scale, size, values, d_z, sums, first, last):
    """Blocks first to last, each of `size` rows."""
    classes, inner = z.shape[1:]
    per_item = -(-inner // size)
    with np.errstate(all="ignore"):
        for block in range(first, last):
            if inner == 1:
                item, part = slice(block * size, (block + 1) * size), slice(None)
                rows, target = z[item, :, 0].T, y[item, ..., 0].T
                if classes <= NARROW:
                    rows, target = np.ascontiguousarray(rows), np.ascontiguousarray(target)
                w = None if weight is None else weight[item, 0].astype(np.float64)
            else:
                item, start = divmod(block, per_item)
                part = slice(start * size, (start + 1) * size)
                rows, target = z[item, :, part], y[item, ..., part]
                w = None if weight is None else weight[item, part].astype(np.float64)
            integer = target.dtype.kind in "iu"
            live = np.ones(rows.shape[1], bool) if w is None else w != 0
            wrong = 0 if w is None else np.count_nonzero(~((w >= 0) & (w < np.inf)))
            if integer:
                if ignore is not None:
                    live = live & (target != ignore)
                outside = (target < 0) | (target >= classes)
                wrong += counted(outside, live)
                live = live & ~outside
                target = np.where(live, target, 0)
                if HARD and class_weight is not None:
                    of_label = class_weight[target]
                    w, live = of_label if w is None else w * of_label, live & (of_label != 0)
            of_class = None if class_weight is None else class_weight[:, None]
            wrong += broken(rows, None if integer else target, live if of_class is None else live & (of_class != 0))
            d, value = of_block(rows, target, of_class, parameters, d_z is not None)
            value = chosen(live, value if w is None else value * w)
            sums[block] = np.sum(value, dtype=np.float64), wrong
            if values is not None:
                if inner == 1:
                    values[item, 0] = value
                else:
                    values[item, part] = value
            if d is not None:
                if w is None:
                    d *= d.dtype.type(scale)
                else:
                    d = d * (w * scale)
                if not np.all(live):
                    d = chosen(live, d)
                if inner == 1:
                    d_z[item, :, 0] = d.T
                else:
                    d_z[item, :, part] = d
