"""CuPy: CUDA C++ in one pass over the data, compiled by NVRTC, for CuPy arrays.

    print(source(plan, np.float32))      the kernel that runs, readable from top to bottom

Each CUDA block writes its own partial sums and nothing is added atomically, so a result has the same bits on
every device and in every run. The sums are few and are finished on the host.
"""

import re
from functools import cache
from importlib.resources import files
from string import Template

import numpy as np

from lossbook.arrays import as_indices
from lossbook.backends import host, imported
from lossbook.backends.spelling import Spelling, literal
from lossbook.errors import BackendError
from lossbook.words import SPELLED

BLOCK = 4096  # elements whose sum one CUDA block makes
THREADS = 256
WIDE = 128  # from this many classes on, a whole CUDA block works on one contiguous row

HEAD = Template("""\
// $name in CUDA C++, $real. Written by lossbook from the formula: change that, not this text.
// The words (namespace words) stand in lossbook/backends/cupy_words.cuh, which is compiled in front of this.

// $comment
__device__ __forceinline__ void element($inputs, $outputs) {
$lines}

// x, and 0 where the weight w is 0: what weighs nothing is not there, even if it is NaN. Weights and their products are
// double, which are rounded once, when they are stored.
__device__ __forceinline__ double present(double w, double x) { return w == 0 ? 0 : x; }

// The sum over the threads of a block: the shuffles of each warp, then its sums in order. The first thread has it.
__device__ double sum_of_block(double value) {
    __shared__ double warps[32];
    for (int lane = 16; lane > 0; lane /= 2) value += __shfl_down_sync(0xffffffffu, value, lane);
    __syncthreads();
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
    __syncthreads();
    double total = 0;
    if (threadIdx.x == 0)
        for (int warp = 0; warp < (int)blockDim.x / 32; ++warp) total += warps[warp];
    return total;
}

""")

SWEEP = Template("""\
extern "C" __global__ void loops(
    const real* predictions, const $target_type* targets, const real* weight, long long weight_classes,
    long long ignore, int ignoring, $parameters
    const $slopes_type* slopes, real* values, real* gradient, double* sums, long long classes, long long inner,
    long long blocks
) {
    const long long block_size = $block, per_group = (inner + block_size - 1) / block_size;
    for (long long block = blockIdx.x; block < blocks; block += gridDim.x) {
        const long long group = block / per_group, start = block % per_group * block_size;
        const long long item = group / classes, channel = group % classes;
        const long long stop = start + block_size < inner ? start + block_size : inner;
$slopes        double $zeros, broken = 0;
        for (long long i = start + threadIdx.x; i < stop; i += blockDim.x) {
            const long long here = group * inner + i;
            const real $z = predictions[here];
            double w = 1;
            if (weight) {
                w = weight[(item * weight_classes + channel % weight_classes) * inner + i];
                if (!(w >= 0 && w < INFINITY)) broken += 1;
            }
$target$checks            real $results;
            element($call);
$adds            if (values) values[here] = real(present(w, w * $value));
            if (gradient) gradient[here] = real(present(w, $slope));
        }
$stores        broken = sum_of_block(broken);
        if (threadIdx.x == 0) sums[block * $width + $columns] = broken;
    }
}
""")

PULL = """\
// The slope of a class per unit of its rivals' exponentials; a class without slope takes nothing, even from a NaN.
__device__ __forceinline__ double pull_of(double slope, double rest) {
    return rest == 0 || slope == 0 ? 0 : slope / rest;
}

"""
SUM = """\
struct Sum {  // a sum with twice the digits of a double
    double high, low;
    __device__ void add(double x) {
        const double total = high + x, back = total - high;
        low += (high - (total - back)) + (x - back);
        high = total;
    }
    __device__ double value() const { return low == low ? high + low : high; }  // low is NaN where high is infinite
};

"""
# What a class competes with, by the kind of row: the exponentials of its rivals, their sum, its own standing u.
ROWS_HEAD = {
    "entry": "",
    "log_odds": """\
struct Row {  // exp(logit - largest logit) of a row, summed without the largest, and how many are largest
    real top;
    double others, ties;
};

__device__ __forceinline__ real exp_of(real z, const Row& row) {
    return words::exp(z == row.top ? real(0) : z - row.top);
}

// The sum of the exponentials of all classes but one: the largest is left out exactly, never subtracted.
__device__ __forceinline__ real rest_of_row(real z, const Row& row) {
    return real(z == row.top ? row.others + (row.ties - 1) : row.others + (row.ties - exp_of(z, row)));
}

// The log-odds of a class.
__device__ __forceinline__ real standing_of(real z, real rest, const Row& row) {
    return (z == row.top ? real(0) : z - row.top) - words::log(rest);
}

""" + PULL,
    "minus_largest": """\
struct Row {  // the largest logit of a row, and how many are largest
    real top;
    double others, ties;
};

__device__ __forceinline__ real exp_of(real z, const Row& row) {
    return row.top == row.top ? real(z == row.top) : row.top;
}

__device__ __forceinline__ real rest_of_row(real z, const Row& row) {
    return row.top == row.top ? real(row.ties) : row.top;
}

// The logit of a class minus the largest.
__device__ __forceinline__ real standing_of(real z, real rest, const Row& row) {
    return z == row.top ? real(0) : z - row.top;
}

""" + PULL,
    "minus_largest_of_others": """\
struct Row {  // the largest logit of a row and the largest behind it, and how many are as large
    real top, runner_up;
    double ties, runners_up;
};

// The largest logit of the other classes.
__device__ __forceinline__ real front_of(real z, const Row& row) {
    return z == row.top && row.ties == 1 ? row.runner_up : row.top;
}

__device__ __forceinline__ real rest_of_row(real z, const Row& row) {
    if (row.top != row.top) return row.top;
    return real(z != row.top ? row.ties : row.ties == 1 ? row.runners_up : row.ties - 1);
}

// The logit of a class minus the largest of the others.
__device__ __forceinline__ real standing_of(real z, real rest, const Row& row) {
    const real front = front_of(z, row);
    return z == front ? real(0) : z - front;
}

""" + PULL,
}
RIVALS = {
    "entry": "",
    "log_odds": """\
            Row row = {-real(INFINITY), 0, 0};
            Sum others = {0, 0};
            for (long long k = 0; k < classes; ++k) {
                const real z = predictions[first + k * inner];
                if (z > row.top) row.top = z;
            }
            for (long long k = 0; k < classes; ++k) {
                const real z = predictions[first + k * inner];
                if (z == row.top) row.ties += 1;
                else others.add(exp_of(z, row));
            }
            row.others = others.value();
""",
    "minus_largest": """\
            Row row = {-real(INFINITY), 0, 0};
            for (long long k = 0; k < classes; ++k) {
                const real z = predictions[first + k * inner];
                if (z > row.top || z != z) row.top = z;  // a NaN stays in front
            }
            for (long long k = 0; k < classes; ++k) row.ties += predictions[first + k * inner] == row.top;
""",
    "minus_largest_of_others": """\
            Row row = {-real(INFINITY), -real(INFINITY), 0, 0};
            for (long long k = 0; k < classes; ++k) {
                const real z = predictions[first + k * inner];
                if (z > row.top || z != z) row.top = z;  // a NaN stays in front
            }
            for (long long k = 0; k < classes; ++k) {
                const real z = predictions[first + k * inner];
                row.ties += z == row.top;
                if (z < row.top && z > row.runner_up) row.runner_up = z;
            }
            for (long long k = 0; k < classes; ++k) row.runners_up += predictions[first + k * inner] == row.runner_up;
""",
}
STANDING = {
    "entry": "const real u = z;",
    "log_odds": "const real rest = rest_of_row(z, row), u = standing_of(z, rest, row);",
}
STANDING["minus_largest"] = STANDING["minus_largest_of_others"] = STANDING["log_odds"]

# Totals under a softmax: one thread per pixel, and the sums of its block for each class in turn.
SOFTMAX_SWEEP = Template("""\
extern "C" __global__ void loops(
    const real* predictions, const $target_type* targets, const real* weight, long long weight_classes,
    long long ignore, int ignoring, $parameters
    const real* slopes, real* values, real* gradient, double* sums, long long classes, long long inner, long long blocks
) {
    const long long per_item = (inner + blockDim.x - 1) / blockDim.x;
    for (long long block = blockIdx.x; block < blocks; block += gridDim.x) {
        const long long item = block / per_item, tile = block % per_item;
        const long long pixel = tile * blockDim.x + threadIdx.x;
        const bool inside = pixel < inner;
        const long long first = item * classes * inner + (inside ? pixel : 0);
$rivals        double total = 0;
        for (long long k = 0; k < classes; ++k) {
            double $zeros, h = 0, broken = 0;
            if (inside) {
                one_class(
                    predictions, targets, weight, weight_classes, ignore, ignoring, $passed slopes, row,
                    classes, inner, item, k, pixel, broken, $sums, h);
                total += h;
            }
$stores            broken = sum_of_block(broken);
            if (threadIdx.x == 0) sums[((item * classes + k) * per_item + tile) * $width + $columns] = broken;
        }
        if (gradient && inside) {  // the slope along a logit is h - p*(the sum of h)
            double others = 0;
            for (long long k = 0; k < classes; ++k) {
                double $sums, h, broken = 0;
                one_class(
                    predictions, targets, weight, weight_classes, ignore, ignoring, $passed slopes, row,
                    classes, inner, item, k, pixel, broken, $sums, h);
                const real z = predictions[first + k * inner], exps = exp_of(z, row);
                const double left = h - present(total, total * (exps / (exps + rest_of_row(z, row))));
                gradient[first + k * inner] = real(left);
                if (z != row.top) others += left;
            }
            if (row.ties == 1)  // of a class in front, alone, that would cancel: it is what all others lack to 0
                for (long long k = 0; k < classes; ++k)
                    if (predictions[first + k * inner] == row.top) gradient[first + k * inner] = real(0 - others);
        }
    }
}
""")
# What a class of a pixel adds to the totals, and its h = p*dL/dp, all weighted.
ONE_CLASS = Template("""\
__device__ __forceinline__ void one_class(
    const real* predictions, const $target_type* targets, const real* weight, long long weight_classes,
    long long ignore, int ignoring, $parameters
    const real* slopes, const Row& row, long long classes, long long inner, long long item, long long k,
    long long pixel, double& broken, $references, double& h
) {
    const long long here = (item * classes + k) * inner + pixel;
    double w = 1;
    if (weight) {
        w = weight[(item * weight_classes + k % weight_classes) * inner + pixel];
        if (!(w >= 0 && w < INFINITY)) broken += 1;
    }
$target$checks    const real z = predictions[here], rest = rest_of_row(z, row), exps = exp_of(z, row);
    const real probability = exps / (exps + rest), complement = rest / (exps + rest);
$standing$slopes    real $results;
    element($call);
$weighted}

""")

ROWS_ARGUMENTS = Template("""\
    const real* predictions, const $target_type* targets, const real* weight, const double* class_weight,
    long long ignore, int ignoring, $parameters
    double scale, real* values, real* gradient, double* sums, long long classes, long long inner, long long rows
""")

# One thread per row.
ROWS = Template("""\
extern "C" __global__ void loops(
$arguments) {
    const long long blocks = (rows + blockDim.x - 1) / blockDim.x;
    for (long long block = blockIdx.x; block < blocks; block += gridDim.x) {
        const long long here = block * blockDim.x + threadIdx.x;
        double value = 0, row_weight = 0, broken = 0;
        if (here < rows) {
            const long long first = here / inner * classes * inner + here % inner;
$rivals            double w = weight ? weight[here] : 1;
            if (!(w >= 0 && w < INFINITY)) broken += 1;
$label$checks$body            if (values) values[here] = real(value);
        }
        value = sum_of_block(value);
        row_weight = sum_of_block(row_weight);
        broken = sum_of_block(broken);
        if (threadIdx.x == 0) {
            sums[block * 3] = value;
            sums[block * 3 + 1] = row_weight;
            sums[block * 3 + 2] = broken;
        }
    }
}
""")

# One thread per box.
BOXES = Template("""\
extern "C" __global__ void loops(
$arguments) {
    const long long blocks = (rows + blockDim.x - 1) / blockDim.x;
    for (long long block = blockIdx.x; block < blocks; block += gridDim.x) {
        const long long here = block * blockDim.x + threadIdx.x;
        double sum = 0, row_weight = 0, broken = 0;
        if (here < rows) {
            const long long first = here / inner * classes * inner + here % inner;
            const double w = weight ? weight[here] : 1;
            if (!(w >= 0 && w < INFINITY)) broken += 1;
$load$checks            real $results;
            element($call);
            sum = present(w, w * value);
            row_weight = w;
            if (values) values[here] = real(sum);
            if (gradient) {
$store            }
        }
        sum = sum_of_block(sum);
        row_weight = sum_of_block(row_weight);
        broken = sum_of_block(broken);
        if (threadIdx.x == 0) {
            sums[block * 3] = sum;
            sums[block * 3 + 1] = row_weight;
            sums[block * 3 + 2] = broken;
        }
    }
}
""")

LABEL = """\
            long long label = targets[here];
            if (ignoring && label == ignore) w = 0;
            if (label < 0 || label >= classes) {
                if (w != 0) broken += 1;
                w = 0;
                label = 0;
            }
"""

# Where only the labeled class enters, its weight is one of the row.
WEIGHT_OF_LABEL = """\
            if (class_weight) w *= class_weight[label];
"""

HARD_BODY = Template("""\
            const real z = predictions[first + label * inner];
            $standing
            real value_here, slope;
            element($call);
$lost            value = present(w, w * value_here);
            row_weight = w;
            slope = real(present(w, w * scale * slope));
            if (gradient) {
$pull                for (long long k = 0; k < classes; ++k) {
                    const real other = predictions[first + k * inner];
                    gradient[first + k * inner] = real($rival);
                }
                gradient[first + label * inner] $set;
            }
""")

SOFT_BODY = Template("""\
            Sum of_top = {0, 0}, of_rest = {0, 0}, shares = {0, 0}, sum = {0, 0};
            for (long long k = 0; k < classes; ++k) {
                const real z = predictions[first + k * inner], $y = $target;
                const double of_class = class_weight ? class_weight[k] : 1;
$check                $standing
                real value_here, slope;
                element($call);
                sum.add(present(of_class, of_class * value_here));
                shares.add(present(of_class, of_class * $y));
$pull            }
            const double top_pull = of_top.value(), rest_pull = of_rest.value();
$of_row            value = present(w, w * sum.value());
            row_weight = class_weight ? present(w, w * shares.value()) : w;
            if (gradient) {
                for (long long k = 0; k < classes; ++k) {
                    const real z = predictions[first + k * inner], $y = $target;
                    const double of_class = class_weight ? class_weight[k] : 1;
                    $standing
                    real value_here, slope;
                    element($call);
                    double left = present(of_class, of_class * slope);
$left                    gradient[first + k * inner] = real(present(w, w * scale * left));
                }
            }
""")
# What is added once per row, a function of its logsumexp, and what the exponentials of each class take from its slope.
OF_ROW = Template("""\
__device__ __forceinline__ void of_row($inputs, real& value, real& slope) {
$lines}

""")
BESIDE = Template("""\
            const double beyond = row.others + (row.ties - 1);  // the exponentials of all but one of the largest
            real value_of_row, slope_of_row;
            of_row(real(row.top + log1p(beyond)), $call, value_of_row, slope_of_row);
            sum.add(value_of_row);
            const double pull_of_row = slope_of_row / (1 + beyond);
""")
LEFT_OF_ROW = "if (exp_of(z, row) != 0 || pull_of_row != pull_of_row) left += pull_of_row * exp_of(z, row);"
PULLS = {
    "entry": [],
    "log_odds": ["(z == row.top ? of_top : of_rest).add(pull_of(present(of_class, of_class * slope), rest));"],
}
LEFT = {
    "entry": [],
    "log_odds": [
        "const double own = pull_of(left, rest);",
        "left -= exp_of(z, row) * (z == row.top ? rest_pull + (top_pull - own) : top_pull + (rest_pull - own));",
    ],
    "minus_largest": [  # of a class alone in front this is 0: what it gains as itself, it loses as its own rival
        "const double own = pull_of(left, rest);",
        "left = row.top != row.top ? row.top : z == row.top ? left - own - (rest_pull + (top_pull - own)) : left;",
    ],
    "minus_largest_of_others": [
        "const double in_front = rest_pull + (row.ties == 1 ? 0 : top_pull - pull_of(left, rest));",
        "const bool follows = row.ties == 1 && z == row.runner_up;",
        "left = row.top != row.top ? row.top : left - (z == row.top ? in_front : follows ? top_pull : 0);",
    ],
}
PULLS["minus_largest"] = PULLS["minus_largest_of_others"] = PULLS["log_odds"]
# Of class indices: what the labeled class takes from another, and its own slope.
RIVAL = {
    "entry": "other != other && w != 0 && (!class_weight || class_weight[k] != 0) ? other : real(0)",
    "log_odds": "present(pull, pull * exp_of(other, row))",
    "minus_largest": "present(pull, pull * exp_of(other, row))",
    "minus_largest_of_others": "other < front_of(z, row) ? 0 : pull",
}
SET = {
    "entry": "= slope",
    "log_odds": "= slope",
    "minus_largest": "+= slope",
    "minus_largest_of_others": "= row.top == row.top ? slope : real(pull)",
}

# One block of threads per contiguous row of many classes.
WIDE_ROWS = Template("""\

__device__ real largest_of_block(real value) {
    __shared__ real warps[32];
    for (int lane = 16; lane > 0; lane /= 2) {
        const real other = __shfl_xor_sync(0xffffffffu, value, lane);
        if (other > value) value = other;
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
    __syncthreads();
    real largest = warps[0];
    for (int warp = 1; warp < (int)blockDim.x / 32; ++warp)
        if (warps[warp] > largest) largest = warps[warp];
    return largest;
}

// The same for contiguous rows of many classes, a block of threads for each.
extern "C" __global__ void wide(
$arguments) {
    __shared__ Row row;
    for (long long here = blockIdx.x; here < rows; here += gridDim.x) {
        const long long first = here * classes;
        real top = -real(INFINITY);
        for (long long k = threadIdx.x; k < classes; k += blockDim.x)
            if (predictions[first + k] > top) top = predictions[first + k];
        top = largest_of_block(top);
        Row mine = {top, 0, 0};
        for (long long k = threadIdx.x; k < classes; k += blockDim.x) {
            const real z = predictions[first + k];
            if (z == top) mine.ties += 1;
            else mine.others += exp_of(z, mine);
        }
        mine.others = sum_of_block(mine.others);
        mine.ties = sum_of_block(mine.ties);
        if (threadIdx.x == 0) row = mine;
        __syncthreads();
        double broken = 0;
        double w = weight ? weight[here] : 1;
        if (!(w >= 0 && w < INFINITY)) broken += 1;
$label        const real z = predictions[first + label];
        const real rest = rest_of_row(z, row), u = standing_of(z, rest, row);
        real value_here, slope;
        element($call);
        slope = real(present(w, w * scale * slope));
        if (threadIdx.x == 0) {
            if (values) values[here] = real(present(w, w * value_here));
            sums[here * 3] = present(w, w * value_here);
            sums[here * 3 + 1] = w;
            sums[here * 3 + 2] = broken;
        }
        if (gradient) {
            const double pull = pull_of(-slope, rest);
            for (long long k = threadIdx.x; k < classes; k += blockDim.x)
                gradient[first + k] =
                    k == label ? slope : real(present(pull, pull * exp_of(predictions[first + k], row)));
        }
        __syncthreads();
    }
}
""")


def __getattr__(name):
    """`xp`, the array module, once it is wanted."""
    if name == "xp":
        import cupy

        return cupy
    raise AttributeError(name)


def require(loss):
    """Raise the BackendError that says what is missing: the package, or the device."""
    cupy = imported("cupy", loss, "'cupy' needs the package cupy (cupy-cuda12x or cupy-cuda13x)", "backend")
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        raise BackendError(loss, "backend", f"'cupy' needs a CUDA device and driver; CUDA says: {error}") from error
    if not count:
        raise BackendError(loss, "backend", "'cupy' needs a CUDA device; none was found")


def _indent(lines, by):
    return "".join(f"{' ' * by}{line}\n" for line in lines)


# The keywords of C++.
CPP = frozenset(
    re.findall(
        r"\w+",
        """
    alignas alignof and and_eq asm auto bitand bitor bool case catch char class compl concept const constexpr
    const_cast default delete do double dynamic_cast enum explicit export extern false float friend goto inline int
    long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register
    reinterpret_cast requires short signed sizeof static static_assert static_cast struct switch template this
    thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor
    xor_eq
        """,
    )
)


@cache
def reserved():
    """The names that kernels use themselves."""
    texts = [v.template if isinstance(v, Template) else v for v in globals().values()]
    text = "\n".join(text for text in texts if isinstance(text, str) and text.count("\n") > 3)
    return frozenset(re.findall(r"[A-Za-z_]\w*", re.sub(r"#.*|//.*|\$\w+|\"\"\".*?\"\"\"", "", text))) | CPP


def source(plan, real=np.float32, integer=False):
    """The CUDA C++ of a plan for a working type; `integer` if the target holds class indices."""
    plan = plan.avoiding(reserved())
    spell = Spelling(lambda number: f"real({literal(number)})", lambda name: f"words::{name}", SPELLED)
    rows = plan.shape == "rows"
    outside = [title for title, _ in plan.slopes]
    y = plan.arrays[1] if len(plan.arrays) > 1 else None
    inputs = ["u", *([] if plan.hard else [y, "C"])] if rows else list(plan.inputs)
    inputs += [*plan.parameters, *outside]
    terms = [title for title, _ in plan.terms]
    outputs = [*terms, *plan.gradients]
    named = {*outputs}
    lines = [f"{name} = words::absolute({name});" for name in plan.unsigned]  # -0.0 is 0
    for title, value in (*plan.forward, *plan.terms, *plan.backward):
        lines.append(f"{'' if title in named else 'const real '}{title} = {spell(value)};")
    head = HEAD.substitute(
        name=plan.name, real=np.dtype(real).name,
        comment=f"The loss of one {'class' if rows else 'box' if plan.shape == 'boxes' else 'element'} and its "
        f"{'slopes' if plan.shape == 'boxes' else 'slope'}, step by step.",
        inputs=", ".join(f"real {name}" for name in inputs), outputs=", ".join(f"real& {name}" for name in outputs),
        lines=_indent(lines, 4),
    )  # fmt: skip
    if plan.of_row:
        value, slope = (spell(part) for _, part in plan.of_row)
        head += OF_ROW.substitute(
            inputs=", ".join(f"real {name}" for name in ("logsumexp", "C", *plan.parameters)),
            lines=_indent([f"value = {value};", f"slope = {slope};"], 4),
        )  # fmt: skip
    target_type = "long long" if integer else "real"
    parameters = "".join(f"real {name}, " for name in plan.parameters).rstrip()
    if rows:
        arguments = ROWS_ARGUMENTS.substitute(target_type=target_type, parameters=parameters)
        passed = ["real(classes)" if name == "C" else name for name in inputs]
        call = ", ".join([*passed, "value_here", "slope"])
        return head + _rows(plan, arguments, call, y, integer)
    if plan.shape == "boxes":
        arguments = ROWS_ARGUMENTS.substitute(target_type=target_type, parameters=parameters)
        return head + _boxes(plan, arguments, ", ".join([*inputs, *outputs]), ", ".join(outputs))
    sweep = _softmax_sweep if plan.row else _sweep
    return head + sweep(plan, target_type, parameters, ", ".join([*inputs, *outputs]), y, integer, terms)


def _sweep(plan, target_type, parameters, call, y, integer, terms):
    target, width = [], len(terms) + 1
    if y is not None:
        target = _target(y, integer, "i", "channel")
    checks = [_check(name, domain) for name, domain in plan.checks if not (integer and name == y)]
    slopes = [title for title, _ in plan.slopes] or ["factor"]
    slopes_type = "real" if plan.slopes else "double"
    stores = []
    for j in range(len(terms)):
        stores += [f"sum_{j} = sum_of_block(sum_{j});", f"if (threadIdx.x == 0) sums[block * {width} + {j}] = sum_{j};"]
    return SWEEP.substitute(
        target_type=target_type,
        parameters=parameters,
        block=BLOCK,
        slopes_type=slopes_type,
        slopes=_indent(
            [f"const {slopes_type} {s} = slopes[group * {len(slopes)} + {j}];" for j, s in enumerate(slopes)], 8
        ),
        zeros=", ".join(f"sum_{j} = 0" for j in range(len(terms))),
        z=plan.prediction,
        target=_indent(target, 12),
        checks=_indent(checks, 12),
        results=", ".join([*terms, plan.gradient]),
        call=call,
        adds=_indent([f"sum_{j} += present(w, w * {term});" for j, term in enumerate(terms)], 12),
        value=terms[0],
        slope=f"w * {plan.gradient}" if plan.slopes else f"w * factor * {plan.gradient}",
        stores=_indent(stores, 8),
        width=width,
        columns=len(terms),
    )


def _softmax_sweep(plan, target_type, parameters, call, y, integer, terms):
    checks = [_check(name, domain) for name, domain in plan.checks if not integer]
    slopes, sums = [title for title, _ in plan.slopes], [f"sum_{j}" for j in range(len(terms))]
    width, stores = len(terms) + 1, []
    for j, name in enumerate(sums):
        stores += [f"{name} = sum_of_block({name});"]
        stores += [f"if (threadIdx.x == 0) sums[((item * classes + k) * per_item + tile) * {width} + {j}] = {name};"]
    weighted = [f"{name} = present(w, w * {term});" for name, term in zip(sums, terms, strict=True)]
    one_class = ONE_CLASS.substitute(
        target_type=target_type, parameters=parameters, references=", ".join(f"double& {name}" for name in sums),
        target=_indent(_target(y, integer, "pixel", "k"), 4), checks=_indent(checks, 4), call=call,
        standing=_indent(["const real u = standing_of(z, rest, row);"] if "u" in plan.inputs else [], 4),
        slopes=_indent(
            [f"const real {s} = slopes[(item * classes + k) * {len(slopes)} + {j}];" for j, s in enumerate(slopes)], 4
        ),
        results=", ".join([*terms, plan.gradient]),
        weighted=_indent([*weighted, f"h = present(w, w * {plan.gradient});"], 4),
    )  # fmt: skip
    return SUM + ROWS_HEAD["log_odds"] + one_class + SOFTMAX_SWEEP.substitute(
        target_type=target_type, parameters=parameters, rivals=RIVALS["log_odds"].replace("            ", "        "),
        zeros=", ".join(f"{name} = 0" for name in sums), sums=", ".join(sums), stores=_indent(stores, 12),
        passed="".join(f"{name}, " for name in plan.parameters).rstrip(), width=width, columns=len(terms),
    )  # fmt: skip


def _target(y, integer, pixel, channel):
    """The lines that fetch the target of a pixel."""
    if not integer:
        return [f"const real {y} = targets[here];"]
    return [
        f"const long long index = targets[item * inner + {pixel}];",
        "if (ignoring && index == ignore) w = 0;",
        "if ((index < 0 || index >= classes) && w != 0) broken += 1;",
        f"const real {y} = index == {channel};",
    ]


def _boxes(plan, arguments, call, results):
    corners = len(plan.gradients)
    load = []
    for array, names in (("predictions", plan.inputs[:corners]), ("targets", plan.inputs[corners:])):
        load += [f"const real {name} = {array}[first + {k} * inner];" for k, name in enumerate(names)]
    store = [
        f"gradient[first + {k} * inner] = real(present(w, w * scale * {d}));" for k, d in enumerate(plan.gradients)
    ]
    return BOXES.substitute(
        arguments=arguments, load=_indent(load, 12), checks=_indent([_check(*check) for check in plan.checks], 12),
        results=results, call=call, store=_indent(store, 16),
    )  # fmt: skip


def _check(name, domain, weight="w"):
    rule = domain.condition(name, lambda value: f"real({value!r})").replace("&", "&&").replace("|", "||")
    return f"if (!({rule}) && {weight} != 0) broken += 1;"


def _rows(plan, arguments, call, y, integer):
    kind, wide = plan.row, ""
    checks = []
    for name, domain in plan.checks:
        if name != y:
            of_class = "w * (class_weight ? class_weight[k] : 1)"
            checks += ["for (long long k = 0; k < classes; ++k) {"]
            checks += [f"    const real {name} = predictions[first + k * inner];"]
            checks += [f"    {_check(name, domain, of_class)}", "}"]
    if plan.hard:
        rivals, label = kind != "entry", LABEL + WEIGHT_OF_LABEL
        lost = [
            "for (long long k = 0; k < classes; ++k) {  // a NaN that the loss does not read must not be hidden",
            "    const real other = predictions[first + k * inner];",
            "    if (other != other && (!class_weight || class_weight[k] != 0)) value_here = other;",
            "}",
        ]
        body = HARD_BODY.substitute(
            standing=STANDING[kind], call=call, set=SET[kind], rival=RIVAL[kind],
            pull=_indent(["const double pull = pull_of(-slope, rest);"] if rivals else [], 16),
            lost=_indent([] if rivals else lost, 12),
        )  # fmt: skip
        if kind == "log_odds":
            wide = WIDE_ROWS.substitute(
                arguments=arguments, label=re.sub("^    ", "", label, flags=re.MULTILINE), call=call
            )
    else:
        label = LABEL if integer else ""
        target = "label == k ? real(1) : real(0)" if integer else "targets[first + k * inner]"
        rule = [] if integer or y not in dict(plan.checks) else [_check(y, dict(plan.checks)[y], "w * of_class")]
        body = SOFT_BODY.substitute(
            y=y, target=target, check=_indent(rule, 16), standing=STANDING[kind], call=call,
            pull=_indent(PULLS[kind], 16), left=_indent([*LEFT[kind], *([LEFT_OF_ROW] if plan.of_row else [])], 20),
            of_row=BESIDE.substitute(call=", ".join(["real(classes)", *plan.parameters])) if plan.of_row else "",
        )  # fmt: skip
    return SUM + ROWS_HEAD[kind] + ROWS.substitute(
        arguments=arguments, rivals=RIVALS[kind], label=label, checks=_indent(checks, 12), body=body
    ) + wide  # fmt: skip


@cache
def text(plan, real, integer):
    """All that NVRTC compiles: the working type, the words, the kernel."""
    is_float = real is np.float32
    words = files("lossbook.backends").joinpath("cupy_words.cuh").read_text(encoding="utf-8")
    constants = "#ifndef INFINITY\n#define INFINITY __int_as_float(0x7f800000)\n#endif\n"
    return (
        f"typedef {'float' if is_float else 'double'} real;\n#define REAL_IS_FLOAT {int(is_float)}\n{constants}"
        f"{words}\n{source(plan, real, integer)}"
    )


@cache
def load(plan, real, integer, name, device):
    """The compiled function `name` of a plan, one per device; CuPy keeps the binary on disk."""
    import cupy

    return cupy.RawModule(code=text(plan, real, integer), options=("--std=c++17",)).get_function(name)


def run(plan, call):
    """Values, sums and gradients of a call on the device; the sums come back as a NumPy array."""
    import cupy

    real, (outer, classes, inner) = call.real, call.layout.three

    def ready(array, dtype=real):
        """A contiguous array of the working type, or a null pointer."""
        return np.uint64(0) if array is None else cupy.ascontiguousarray(array, dtype=dtype)

    def room(array):
        """The output itself if a kernel can write it as it is, else a buffer for it."""
        if array is None or (array.flags.c_contiguous and array.dtype == real):
            return np.uint64(0) if array is None else array
        return cupy.empty(array.shape, dtype=real)

    values, gradient = room(call.values), room(call.gradient)
    ignore = (np.int64(call.ignore or 0), np.int32(call.ignore is not None))
    target = as_indices(call.y, cupy) if call.integer else ready(call.y)
    inputs = (ready(call.z), target, ready(call.weight))
    sizes = (np.int64(classes), np.int64(inner))
    device = cupy.cuda.Device().id
    if call.rows:
        rows = outer * inner
        is_wide = plan.hard and plan.row == "log_odds" and inner == 1 and classes >= WIDE
        blocks = rows if is_wide else -(-rows // THREADS)
        kernel = load(plan, real, call.integer, "wide" if is_wide else "loops", device)
        columns, count = 3, np.int64(rows)
        of_class = ready(call.class_weight, np.float64)
        middle = (of_class, *ignore, *call.parameters, np.float64(call.scale), values, gradient)
    else:
        tiles = -(-inner // (THREADS if plan.row else BLOCK))
        blocks = outer * tiles if plan.row else outer * classes * tiles
        kernel = load(plan, real, call.integer, "loops", device)
        columns, count = len(plan.terms) + 1, np.int64(blocks)
        weight_classes = np.int64(classes if call.weight is not None and call.weight.size == call.z.size else 1)
        slopes = ready(call.slopes_or_scale(cupy), real if call.overlap else np.float64)
        middle = (weight_classes, *ignore, *call.parameters, slopes, values, gradient)
    if not blocks:
        return np.zeros(columns) if plan.finish is None else np.zeros((outer, classes, columns))
    sums = cupy.empty((outer * classes * tiles if call.overlap else blocks, columns), dtype=np.float64)
    kernel((min(blocks, 65535),), (THREADS,), (*inputs, *middle, sums, *sizes, count))
    for array, buffer in ((call.values, values), (call.gradient, gradient)):
        if array is not None and buffer is not array:
            array[...] = buffer.astype(array.dtype)
    sums = cupy.asnumpy(sums)
    if plan.finish is None:
        return host.fold(sums)
    return host.fold(np.moveaxis(sums.reshape(outer, classes, tiles, columns), 2, 0))
