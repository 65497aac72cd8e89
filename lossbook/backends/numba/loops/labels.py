"""The labels of a tile of rows."""

from numba.extending import register_jitable

from .kernel import real
from .sums import present, tally

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# The labels of n rows, and how many of them are none; a row without a valid one must have no weight.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def read_labels(targets, ignore, classes, first_row, n, w, label):
    broken, none_ignored, ignored = real(0), ignore.size == 0, 0
    if not none_ignored:
        ignored = ignore[0]
    labels_here = targets.reshape(-1)[first_row : first_row + n]
    for b in range(n):
        k = labels_here[b]
        w[b] = present((k != ignored) | none_ignored, w[b])
        valid = (k >= 0) & (k < classes)
        broken = tally(broken, real(0) if valid | (w[b] == 0) else real(1))
        w[b] = present(valid, w[b])
        label[b] = k if valid else 0
    return broken


# Where only the labeled class enters, its weight is one of the row.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def weigh_labels(class_weight, label, n, w):
    if class_weight.size > 0:
        for b in range(n):
            w[b] *= class_weight[label[b]]
