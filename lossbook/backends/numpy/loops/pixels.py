"""Tiles of the pixels of an image, with all their classes: losses of totals under a softmax."""

import numpy as np

from lossbook.backends.numpy.words import chosen

from .classes import sum_classes
from .counts import counted
from .finite import all_finite
from .kernel import INPUTS, broken, evaluate
from .log_odds import Rivals

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def loops(z, y, weight, ignore, parameters, slopes, size, values, d_z, sums, first, last):
    """Tiles first to last, each of `size` pixels."""
    classes, inner = z.shape[1:]
    per_item = -(-inner // size)
    with np.errstate(all="ignore"):
        for block in range(first, last):
            item, tile = divmod(block, per_item)
            part = slice(tile * size, (tile + 1) * size)
            logits, target = z[item, :, part], y[item, :, part]
            w = None if weight is None else weight[item, :, part].astype(np.float64)
            live = None if w is None else w != 0
            wrong = 0 if w is None else np.count_nonzero(~((w >= 0) & (w < np.inf)), axis=-1)
            if target.dtype.kind in "iu":
                if ignore is not None:
                    w = np.ones(target.shape, z.dtype) if w is None else w
                    live = (w != 0) & (target != ignore)
                wrong = wrong + counted((target < 0) | (target >= classes), live, axis=-1)
                target = (np.arange(classes)[:, None] == target).astype(z.dtype)
            else:
                wrong = wrong + broken(logits, target, live)
            rivals = Rivals(logits)
            rest = rivals.rest_of(...)
            inverse = 1 / (rivals.exps + rest)
            p = rivals.exps * inverse
            of_class = {"probability": p, "complement": rest * inverse}
            if "u" in INPUTS:
                of_class["u"] = rivals.of(logits, ...)[0]
            outside = np.moveaxis(slopes[item], -1, 0)[..., None]
            inputs = [*(of_class[name] for name in INPUTS), target, *parameters, *outside, d_z is not None]
            terms, h = evaluate(*inputs, weighted=np.multiply)
            if not all_finite(*terms, h):
                terms, h = evaluate(*inputs)
            if d_z is None:
                for column, term in enumerate(terms):
                    term = np.broadcast_to(term, p.shape)
                    term = term if w is None else chosen(live, term * w)
                    sums[item, :, tile, column] = np.add.reduce(term.astype(np.float64), axis=-1)
            else:
                h = np.broadcast_to(h, p.shape)
                d_z[item, :, part] = under_softmax(rivals, p, h if w is None else chosen(live, h * w))
            sums[item, :, tile, -1] = wrong


def under_softmax(rivals, p, h):
    """The slopes along the logits: h - p*(the sum of h), with h = p*dL/dp of each class."""
    total = sum_classes(h)
    left = h - chosen(total != 0, p * total)
    alone = rivals.is_top & (rivals.ties == 1)  # where this would cancel: there it is what all others lack to 0
    return chosen(~alone, left, 0 - sum_classes(chosen(~rivals.is_top, left)))
