"""The words in CUDA C++, proven without a GPU: NVRTC accepts them, and on the host they compute what they say.

The host runs the text that a device would run, through `fake_cupy` and `cuda_on_host.hpp`; the second half of this
file therefore checks that these two run kernels rightly and catch their mistakes.
"""

import functools
import math
import re
import shutil
import sys
from pathlib import Path

import fake_cupy
import mpmath
import numpy as np
import nvrtc
import pytest
from oracle import MEANINGS

TYPES = {"float": np.float32, "double": np.float64}
TEXT = (Path(__file__).parents[1] / "lossbook" / "backends" / "cupy" / "words.cuh").read_text()
ARITY = {
    "exp": 1, "log": 1, "log1p": 1, "expm1": 1, "sqrt": 1, "tanh": 1, "square": 1, "absolute": 1, "sign": 1,
    "reciprocal": 1, "softplus": 1, "sigmoid": 1, "log_cosh": 1, "maximum": 2, "minimum": 2, "less": 2, "weighted": 2,
    "arctan": 1, "hypot_minus": 2, "over_hypot": 2, "quotient": 2, "share": 2, "power": 2, "power_slope": 2,
    "sigmoid_power": 2, "log_ratio": 3, "kl_div": 3, "step": 2, "arctan2": 2, "difference": 3, "determinant": 4,
    "shared": 4, "gap": 4, "shared_slope": 4, "gap_slope": 4,
    "power1p": 2, "power1p_slope": 2, "charbonnier": 2, "damped": 2, "xlogy": 2,
    "residual_of_logit": 2, "kl_div_of_logit": 3,
    "weighted_softplus": 2, "weighted_sigmoid": 2, "weighted_sigmoid_power": 3,
    "weighted_quotient": 3, "skew_entropy": 4, "skew_log": 4, "skew_pull": 4,
}  # fmt: skip

# A math library that errs by one more ulp up, one more down, or not, as if at random: about 1.5 ulp, like CUDA's.
NOISY_LIBRARY = """
namespace noisy {
__device__ real shifted(real exact) {
    if (exact == 0 || exact == 1 || !(fabs(exact) < 1e30)) return exact;
    const unsigned long long bits = (unsigned long long)__double_as_longlong(double(exact)) * 0x9e3779b97f4a7c15ull;
    const unsigned choice = unsigned(bits >> 40) % 3;
    const real to = choice == 0 ? real(-1e38) : choice == 1 ? exact : real(1e38);
    return REAL_IS_FLOAT ? real(nextafterf(float(exact), float(to))) : real(nextafter(double(exact), double(to)));
}
#if REAL_IS_FLOAT
#define EXACT(name) ::name##f
#else
#define EXACT(name) ::name
#endif
__device__ real exp(real x) { return shifted(EXACT(exp)(x)); }
__device__ real log(real x) { return shifted(EXACT(log)(x)); }
__device__ real log1p(real x) { return shifted(EXACT(log1p)(x)); }
__device__ real expm1(real x) { return shifted(EXACT(expm1)(x)); }
__device__ real atan(real x) { return shifted(EXACT(atan)(x)); }
__device__ real tanh(real x) { return shifted(EXACT(tanh)(x)); }
__device__ real pow(real b, real k) { return shifted(EXACT(pow)(b, k)); }
__device__ real sqrt(real x) { return EXACT(sqrt)(x); }
__device__ real fabs(real x) { return EXACT(fabs)(x); }
__device__ real fma(real a, real b, real c) { return EXACT(fma)(a, b, c); }
__device__ real nan(const char* text) { return EXACT(nan)(text); }
}
#define WORDS_LIBRARY(name) noisy::name
"""

VARIANTS = {"as it is": (), "products and sums contracted": ("--fmad=true",), "noisy library": ()}


def prefix(real):
    """What the package writes before the words."""
    return f"typedef {real} real;\n#define REAL_IS_FLOAT {int(real == 'float')}\n"


def source(real, library=""):
    """Kernels that apply one word each, one element per thread."""
    kernels = ""
    for word, arity in ARITY.items():
        names = "abcd"[:arity]
        parameters = "".join(f"const real* {name}, " for name in names)
        kernels += f"""
extern "C" __global__ void word_{word}({parameters}real* out, long long size) {{
    const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < size) out[i] = words::{word}({", ".join(f"{name}[i]" for name in names)});
}}
"""
    return prefix(real) + library + TEXT + kernels


@functools.cache
def module(real, variant):
    """The words compiled for the host, in one of the variants."""
    if "contracted" in variant and not fake_cupy.fuses():
        pytest.skip("this processor has no fused multiply-add")
    text = source(real, NOISY_LIBRARY if "noisy" in variant else "")
    return fake_cupy.RawModule(code=text, options=VARIANTS[variant])


def apply(word, real, arguments, variant="as it is"):
    """A word of arrays (rows are arguments), by a kernel on the host."""
    with fake_cupy.install() as cupy:
        kernel = module(real, variant).get_function(f"word_{word}")
        given = [cupy.asarray(np.asarray(column, TYPES[real])) for column in arguments]
        out = cupy.empty_like(given[0])
        kernel(((out.size + 127) // 128,), (128,), (*given, out, np.int64(out.size)))
        return out.get()


# --- NVRTC ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", ["sm_70", "sm_80", "sm_90", "sm_100", "sm_120"])
@pytest.mark.parametrize("real", TYPES)
def test_nvrtc_makes_machine_code_of_every_word(real, arch):
    """NVRTC and its assembler accept every word, without a header, for every generation of devices."""
    assert nvrtc.nvrtc_compile(source(real), arch)[:4] == b"\x7fELF"


@pytest.mark.parametrize("standard", ["c++11", "c++14", "c++17", "c++20"])
def test_words_need_no_recent_standard(standard):
    """The words compile in every C++ standard that CuPy may ask for."""
    assert nvrtc.nvrtc_compile(source("double"), "sm_80", (f"--std={standard}",))


def test_float_words_use_no_double_arithmetic():
    """No literal drags the float words into double precision, which is slow on most devices."""
    assert ".f64" not in nvrtc.nvrtc_compile(source("float"), "compute_80")


@pytest.mark.parametrize("real", TYPES)
def test_division_and_square_root_are_exact(real):
    """Quotients and square roots are rounded correctly, and subnormal numbers are kept."""
    text = nvrtc.nvrtc_compile(source(real), "compute_80")
    kernel = re.search(r"entry word_share\(.*?^}", text, re.DOTALL | re.MULTILINE)[0]
    assert "div.rn" in kernel
    assert "sqrt.rn" in text
    assert "ftz" not in kernel
    assert not re.search(r"div\.(full|approx)|sqrt\.approx", text)


@pytest.mark.parametrize("real", TYPES)
def test_words_are_called_by_their_namespace(real):
    """`using namespace words` is ambiguous for NVRTC, though not for the host: kernels write words::exp(x)."""
    kernel = 'extern "C" __global__ void bad(real* x) { x[threadIdx.x] = exp(x[threadIdx.x]); }'
    text = f"{prefix(real)}{TEXT}using namespace words;\n{kernel}\n"
    with pytest.raises(nvrtc.CompileError, match="more than one instance of overloaded function"):
        nvrtc.nvrtc_compile(text, "compute_80")


def test_nvrtc_errors_carry_the_log():
    """A source that NVRTC refuses is reported with its line and reason."""
    with pytest.raises(nvrtc.CompileError, match=r'module\.cu\(2\).*"nothing" is undefined'):
        nvrtc.nvrtc_compile('\nextern "C" __global__ void f(int* x) { *x = nothing; }', "compute_80")


def test_nvrtc_supports_the_architectures():
    """The installed NVRTC knows every architecture that these tests name."""
    assert nvrtc.version() >= (12, 8)
    assert {70, 80, 90, 100, 120} <= set(nvrtc.supported())


# --- exact values --------------------------------------------------------------------------------------------------

inf, nan = math.inf, math.nan
BIG = {"float": float(np.finfo(np.float32).max), "double": float(np.finfo(np.float64).max)}

SPECIAL = {
    "exp": [(-inf, 0), (inf, inf), (0, 1)],
    "log": [(0, -inf), (-0.0, -inf), (-1, nan), (-inf, nan), (inf, inf), (1, 0)],
    "log1p": [(-1, -inf), (-2, nan), (-inf, nan), (inf, inf), (0, 0)],
    "expm1": [(-inf, -1), (inf, inf), (0, 0)],
    "sqrt": [(0, 0), (-1, nan), (inf, inf), (4, 2)],
    "tanh": [(-inf, -1), (inf, 1), (0, 0)],
    "square": [(-3, 9), (inf, inf), (-inf, inf)],
    "absolute": [(-2, 2), (-0.0, 0), (-inf, inf)],
    "sign": [(-inf, -1), (-1e-30, -1), (0, 0), (-0.0, 0), (1e-30, 1), (inf, 1)],
    "reciprocal": [(0, 0), (-0.0, 0), (inf, 0), (-inf, 0), (4, 0.25)],
    "softplus": [(-inf, 0), (inf, inf)],
    "sigmoid": [(-inf, 0), (inf, 1), (0, 0.5)],
    "log_cosh": [(0, 0), (-inf, inf), (inf, inf)],
    "maximum": [(1, 2, 2), (2, 1, 2), (-inf, inf, inf), (-1, -2, -1)],
    "minimum": [(1, 2, 1), (2, 1, 1), (-inf, inf, -inf), (-1, -2, -2)],
    "less": [(1, 2, 1), (2, 1, 0), (1, 1, 0), (-inf, inf, 1), (inf, inf, 0), (nan, 1, 0), (1, nan, 0)],
    "weighted": [(0, inf, 0), (0, -inf, 0), (-0.0, inf, 0), (0, nan, nan), (2, inf, inf), (2, -3, -6)],
    "step": [(1, 2, 1), (2, 1, 0), (1, 1, 0.5), (-inf, inf, 1), (inf, inf, 0.5), (0, -0.0, 0.5)],
    "arctan2": [(0, 0, 0), (0, 3, 0)],
    "determinant": [(2, 3, 4, 5, -2), (0.1, 0.3, 0.1, 0.3, 0), (0, 0, 0, 0, 0)],
    "difference": [(3, 1, 2, 2), (inf, 1, 5, 5)],
    "shared": [(0, 1, 2, 3, 0), (0, 2, 2, 3, 0), (0, 2, 1, 3, 1), (0, 3, 1, 3, 2), (1, 2, 0, 3, 1)],
    "gap": [(0, 1, 3, 4, 2), (3, 4, 0, 1, 2), (0, 2, 2, 3, 0), (0, 2, 1, 3, 0)],
    "shared_slope": [
        (0, 1, 2, 3, 0), (0, 2, 2, 3, 0.5), (0, 2, 1, 3, 1), (0, 3, 1, 3, 0.5), (0, 3, 3, 3, 0), (2, 2, 2, 3, 1),
        (1, 1, 0, 3, 1), (3, 3, 0, 3, 0), (4, 5, 0, 3, 0),
    ],
    "gap_slope": [
        (0, 1, 2, 3, -1), (0, 2, 2, 3, -0.5), (0, 2, 1, 3, 0), (0, 3, 3, 3, -0.5), (2, 2, 2, 3, 0), (1, 1, 2, 3, -1),
        (4, 5, 0, 3, 0),
    ],
    "hypot_minus": [(0, 2, 0), (-inf, 2, inf), (inf, 1, inf), (3, 4, 1), (-1e30, 1e-30, 1e30)],
    "over_hypot": [(0, 2, 0), (-inf, 2, -1), (inf, 1, 1), (3, 4, 0.6), (-1e30, 1e-30, -1)],
    "arctan": [(0, 0)],
    "quotient": [
        (0, 0, 0), (0, nan, nan), (0, inf, 0), (1, 0, inf), (-1, 0, -inf), (1, inf, 0), (inf, 2, inf), (6, 3, 2),
    ],
    "share": [
        (0, 0, 0), (0, 5, 0), (5, 0, 1), (1, 3, 0.25), (inf, 1, 1), (1, inf, 0), (inf, inf, nan), ("big", "big", 0.5),
        ("big", inf, 0), (inf, "big", 1), ("big", 0, 1),
    ],
    "power": [
        (0, 0, 1), (-1, 0, 1), (inf, 0, 1), (nan, 0, 1), (3, 0, 1), (0, 2, 0), (0, 0.5, 0), (-0.0, 3, 0), (0, inf, 0),
        (-1, 2, nan), (-1, 0.5, nan), (-inf, 2, nan), (inf, 2, inf), (inf, 0.5, inf), (2, inf, inf), (0.5, inf, 0),
        (1, nan, nan), (3, 2, 9),
    ],
    "power_slope": [
        (0, 0, 0), (3, 0, 0), (inf, 0, 0), (nan, 0, 0), (0, 1, 1), (0, 2, 0), (0, 3, 0), (-0.0, 2, 0), (3, 1, 1),
        (3, 2, 6), (inf, 2, inf), (inf, 1, 1), (inf, 0.5, 0), (inf, 0.25, 0), (0.5, inf, 0), (2, inf, inf),
        (-1, 2, nan),
    ],
    "sigmoid_power": [
        (-inf, 0, 1), (inf, 0, 1), (0, 0, 1), (nan, 0, 1), (-inf, 2, 0), (-inf, 0.5, 0), (-inf, 1e-30, 0), (inf, 2, 1),
        (0, 1, 0.5), ("-big", 2, 0), ("big", 2, 1), (-3, inf, 0), (3, inf, 0),
    ],
    "power1p": [(-1, 0, 1), (nan, 0, 1), (-1, 2, 0), (0, 1000, 1), (-2, 2, nan), (1, 3, 8), (inf, 2, inf)],
    "power1p_slope": [(-1, 0, 0), (-1, 1, 1), (-1, 0.5, 0), (-1, 2, 0), (1, 3, 12), (-2, 1.5, nan)],
    "charbonnier": [(0, 2, 0), (-inf, 2, inf), (3, 4, 4)],
    "damped": [(0, 2, 0), (-inf, 2, -2), (3, 4, 2.4), (-1e-30, 1e30, -1e-30), (1e30, 1e-30, 1e-30)],
    "xlogy": [(0, 0, 0), (0, inf, 0), (-0.0, 0, 0), (2, 0, -inf), (2, 1, 0)],
    "residual_of_logit": [(0.5, 0, 0), (1, 0, 0.5), (1, inf, 0), (0, -inf, 0), (0, inf, -1), (1, -inf, 1)],
    "kl_div_of_logit": [(0, -1000, 0, 0), (0.5, 0, 0, 0), (1, -1000, 1, 999), (1, -inf, 1, inf)],
    "weighted_softplus": [(0, inf, 0), (0, -inf, 0), (2, inf, inf), (1e30, -inf, 0), (3, 1e4, 3e4)],
    "weighted_sigmoid": [(0, inf, 0), (2, inf, 2), (1e30, -inf, 0), (3, 0, 1.5)],
    "weighted_sigmoid_power": [(3, -inf, 0, 3), (0, inf, 2, 0), (4, 0, 2, 1), (1e30, -inf, 2, 0)],
    "weighted_quotient": [(0, 1, 0, 0), (1, 0, 0, 0), (2, 3, 4, 1.5), (1, 1, 0, inf), (2, 0, 5, 0)],
    "skew_entropy": [(0, 0, 0.5, 0, 0), (1, 0, 1, 1, inf), (0, 1, 0.5, -1, 0.5), (0.5, 0.5, 0.3, 0, 0)],
    "skew_log": [(0, 0, 0.5, 0, 0), (0, 1, 0.5, -1, -inf), (0.5, 0.5, 0.3, 0, 0), (1, 0, 0, 1, 0)],
    "skew_pull": [(0, 0, 0.5, 0, 0), (0, 1, 0.5, -1, -1), (1, 0, 0.5, 1, 1), (1, 0, 0, 1, 0)],
    "log_ratio": [
        (0, 0, 0, 0), (0, 1, -1, -inf), (1, 0, 1, inf), (5, 5, 0, 0), (inf, 1, inf, inf), (1, inf, -inf, -inf),
        (0, inf, -inf, -inf), (inf, 0, inf, inf), (inf, inf, nan, nan),
    ],
    "kl_div": [
        (0, 0, 0, 0), (0, 2, -2, 2), (2, 0, 2, inf), (3, 3, 0, 0), (inf, 1, inf, inf), (1, inf, -inf, inf),
        (0, inf, -inf, inf), (inf, inf, nan, nan),
    ],
}  # fmt: skip


@pytest.mark.parametrize("real", TYPES)
@pytest.mark.parametrize("word", ARITY)
def test_special_cases(word, real):
    """Zeros, infinities and NaN give exactly what the table of words says."""
    known = {"big": BIG[real], "-big": -BIG[real]}
    rows = [[known.get(value, value) for value in row] for row in SPECIAL[word]]
    *arguments, wanted = np.array(rows, TYPES[real]).T
    np.testing.assert_array_equal(apply(word, real, arguments), wanted, err_msg=f"{SPECIAL[word]}")


@pytest.mark.parametrize("real", TYPES)
@pytest.mark.parametrize("word", [word for word in ARITY if word not in ("less", "shared_slope", "gap_slope")])
def test_nan_in_gives_nan_out(word, real):
    """A NaN in any argument, beside ordinary ones, is never lost."""
    for position in (2,) if word == "difference" else range(ARITY[word]):
        for others in (0.25, 1.0, 3.0):
            row = [others] * ARITY[word]
            row[position] = nan
            assert np.isnan(apply(word, real, [[value] for value in row])[0]), row


# --- accuracy ------------------------------------------------------------------------------------------------------

REFERENCE = {name: MEANINGS[name] for name in ("determinant", "shared", "gap", "shared_slope", "gap_slope", "step")} | {
    "exp": mpmath.exp,
    "arctan2": mpmath.atan2,
    "difference": lambda p, q, d: d,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "expm1": mpmath.expm1,
    "sqrt": mpmath.sqrt,
    "tanh": mpmath.tanh,
    "square": lambda x: x * x,
    "absolute": abs,
    "sign": mpmath.sign,
    "reciprocal": lambda b: 1 / b,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "log_cosh": lambda x: mpmath.log1p(2 * mpmath.sinh(x / 2) ** 2),
    "maximum": max,
    "minimum": min,
    "less": lambda a, b: mpmath.mpf(a < b),
    "weighted": lambda w, x: w * x,
    "arctan": mpmath.atan,
    "hypot_minus": lambda x, d: x * x / (mpmath.sqrt(x * x + d * d) + d),
    "over_hypot": lambda x, d: x / mpmath.sqrt(x * x + d * d),
    "quotient": lambda a, b: a / b,
    "share": lambda a, b: a / (a + b),
    "power": lambda b, k: b**k,
    "power_slope": lambda b, k: k * b ** (k - 1),
    "sigmoid_power": lambda x, k: mpmath.exp(-k * mpmath.log1p(mpmath.exp(-x))),
    "power1p": lambda x, k: (1 + x) ** k,
    "power1p_slope": lambda x, k: k * (1 + x) ** (k - 1),
    "charbonnier": lambda x, d: d * x * x / (mpmath.sqrt(x * x + d * d) + d),
    "damped": lambda x, d: x / mpmath.sqrt(1 + (x / d) ** 2),
    "xlogy": lambda x, y: x * mpmath.log(y),
    "weighted_quotient": lambda w, a, b: w * a / b,
    "weighted_softplus": lambda w, x: w * mpmath.log1p(mpmath.exp(x)),
    "weighted_sigmoid": lambda w, x: w / (1 + mpmath.exp(-x)),
    "weighted_sigmoid_power": lambda w, x, k: w * mpmath.exp(-k * mpmath.log1p(mpmath.exp(-x))),
    "residual_of_logit": lambda y, x: (
        -mpmath.tanh(x / 2) / 2 if y == 0.5 else (y - (1 - y) * mpmath.exp(x)) / (1 + mpmath.exp(x))
    ),
    "kl_div_of_logit": lambda p, x, d: p * (mpmath.log(p) + mpmath.log1p(mpmath.exp(-x))) - d,
    "skew_entropy": lambda p, q, a, d: p * mpmath.log(p / ((1 - a) * p + a * q)) - a * (p - q),
    "skew_log": lambda p, q, a, d: mpmath.log(p / ((1 - a) * p + a * q)),
    "skew_pull": lambda p, q, a, d: a * (p - q) / ((1 - a) * p + a * q),
    "log_ratio": lambda p, q, d: mpmath.log1p(d / q) if abs(d) <= q / 2 else mpmath.log(p / q),
    "kl_div": lambda p, q, d: p * REFERENCE["log_ratio"](p, q, d) - d,
}


def scattered(real, generator, count):
    """Positive numbers of every size that the type has."""
    info = np.finfo(TYPES[real])
    return 2.0 ** generator.uniform(info.minexp, info.maxexp, count)


def landmarks(real):
    """Positive numbers at which a word may change its mind."""
    info = np.finfo(TYPES[real])
    values = [info.smallest_subnormal, info.tiny, np.nextafter(info.tiny, 1, dtype=info.dtype), info.eps, 1e-8, 1e-3]
    values += [0.25, 0.3, 0.5, 0.567, math.log(2), 1 - info.epsneg, 1, 1 + info.eps, 2, 3, 10, 16, 17, 36, 37, 40, 87]
    values += [88, 88.7, 90, 103, 104, 110, 700, 708, 709, 709.7, 745, 746, 800, 1e4, 1e10, info.max / 2, info.max]
    return np.array(values, np.float64)


@functools.cache
def points(word, real):
    """Arguments of a word within its domain: ordinary, at boundaries, and extreme. Rows are arguments."""
    generator = np.random.default_rng(sum(map(ord, word)))
    size = np.concatenate([landmarks(real), scattered(real, generator, 60), generator.uniform(0, 3, 60)])
    signed = np.concatenate([size, -size, generator.uniform(-12, 12, 80), generator.uniform(-90, 90, 40)])
    exponents = np.array([1e-6, 0.01, 0.1, 0.25, 0.3, 0.49, 0.5, 0.51, 0.75, 1, 1.5, 2, 2.5, 3, 5, 10, 33.3])
    if word in ("log", "sqrt"):
        found = [size]
    elif word == "log1p":
        found = [np.concatenate([size, -generator.uniform(0, 1, 60), -size[size < 1]])]
    elif word.startswith("power1p"):
        found = [np.concatenate([generator.uniform(-1, 0, 300), np.resize(-size[size < 1], 300), np.resize(size, 300)])]
        found += [np.resize([*exponents, 100, 1000], 900)]
    elif word == "residual_of_logit":
        found = [generator.choice([0, 0.5, 1], 600), np.resize(signed, 600)]
    elif word == "kl_div_of_logit":  # far down, where d is p
        p = generator.uniform(0.01, 1, 600).astype(TYPES[real]).astype(np.float64)
        found = [p, generator.uniform(-1000, -40, 600), p]
    elif word == "xlogy":
        found = [np.resize(signed, 600), generator.permutation(np.resize(size[size < 1e30], 600))]
    elif word.startswith("weighted_s"):  # far out, large weights bring back what would vanish
        x = np.where(np.arange(600) % 2, np.resize(signed, 600), generator.uniform(-160, 0, 600))
        found = [10.0 ** generator.uniform(-3, 30, 600), x, generator.choice(exponents, 600)][: ARITY[word]]
    elif word == "weighted_quotient":
        b = np.resize(size[(size > 1e-30) & (size < 1e30)], 600)
        found = [generator.uniform(0, 1, 600), b * generator.uniform(0.5, 2, 600), b]
    elif word.startswith("skew"):  # simple ratios, so that differences are exact
        q = np.resize(size[(size > 1e-30) & (size < 1)], 600)
        q = q.astype(TYPES[real]).astype(np.float64)
        p = (q * generator.choice([0.5, 1, 1.5, 2], 600)).astype(TYPES[real]).astype(np.float64)
        found = [p, q, generator.choice([0.25, 0.5, 0.75], 600), p - q]
    elif word in ("hypot_minus", "over_hypot", "charbonnier", "damped", "arctan2"):
        found = [generator.permutation(np.resize(signed, 600)), np.resize(size, 600)]
    elif word == "power_slope":  # of subnormal bases it ends at the largest number
        found = [np.resize(size[size >= np.finfo(TYPES[real]).tiny], 1200), generator.choice(exponents, 1200)]
    elif word == "power":
        found = [np.resize(size, 1200), generator.choice(exponents, 1200)]
    elif word == "sigmoid_power":
        found = [np.resize(signed, 1200), generator.choice(exponents, 1200)]
    elif word == "determinant":  # also of products that nearly agree
        a, b, c = generator.uniform(-3, 3, (3, 700)).astype(TYPES[real])
        found = [a, b, c, np.where(np.arange(700) % 2, b * c / a, generator.uniform(-3, 3, 700))]
    elif ARITY[word] == 4:  # two intervals, half of which have ends in common
        ends = generator.choice(signed[abs(signed) < 1e30], (2, 2, 700))
        ends[..., ::2] = generator.integers(0, 4, (2, 2, 350))
        found = list(np.sort(ends, axis=1).reshape(4, 700))
    elif word in ("log_ratio", "kl_div", "difference"):
        found = list(neighbors(real, size, generator))
    elif word == "share":
        found = [np.resize(size, 700), generator.permutation(np.resize(size, 700))]
    elif ARITY[word] == 2:
        found = [np.resize(signed, 700), generator.permutation(np.resize(signed, 700))]
    else:
        found = [signed]
    with np.errstate(over="ignore"):
        return [np.asarray(column).astype(TYPES[real]) for column in found]


def neighbors(real, size, generator):
    """p, q and d = p - q: pairs of any two numbers, pairs of ordinary ratio, and pairs that are close or equal."""
    dtype = TYPES[real]
    close = 10.0 ** generator.uniform(-7.5, -1, 150)
    edges = [np.nextafter(edge, edge + side) for edge in (1 / 3, 0.5, 2.0, 3.0) for side in (-1, 0, 1)]
    ratios = np.concatenate([generator.uniform(0.3, 3.5, 400), 1 + close, 1 - close, edges, [1, 1.5, 0.1, 10, 1e5]])
    middle = generator.uniform(0.01, 1, len(ratios))
    wide = size[(size > 1e-30) & (size < 1e30)]
    big = np.full(3, BIG[real])
    p = np.concatenate([middle * ratios, size, generator.permutation(wide), big]).astype(dtype)
    q = np.concatenate([middle, generator.permutation(size), wide, big / [2, 4, 5]]).astype(dtype)
    return p, q, p - q


@functools.cache
def exact(word, real):
    """The exact values at the points, in two precisions that agree."""
    values = []
    for row in zip(*(map(float, column) for column in points(word, real)), strict=True):
        found = []
        for bits in (250, 350):
            with mpmath.workprec(bits):
                found.append(REFERENCE[word](*map(mpmath.mpf, row)))
        low, high = found
        assert abs(low - high) <= abs(high) * 2.0**-100, (word, row)
        values.append(high)
    return values


def error_in_ulp(got, wanted, dtype):
    """How far a number is from the exact value, in units of the last place of the exact value."""
    info = np.finfo(dtype)
    if not math.isfinite(got):
        return 0.0 if abs(wanted) >= mpmath.mpf(float(info.max)) and (got > 0) == (wanted > 0) else inf
    if wanted == 0:
        return 0.0 if got == 0 else inf
    if abs(wanted) < mpmath.mpf(float(info.tiny)) and got == 0:
        return 0.0  # a subnormal result may be flushed
    exponent = max(mpmath.frexp(wanted)[1] - 1, info.minexp)
    return float(abs(mpmath.mpf(float(got)) - wanted) / mpmath.ldexp(1, exponent - info.nmant))


def allowed(word, row, wanted, variant, real):
    """The error, in ulp, that is promised."""
    limit = {"kl_div": 8, "skew_entropy": 10, "skew_log": 6}.get(word, 4)
    if word in ("power", "power1p", "power1p_slope", "sigmoid_power", "weighted_sigmoid_power") and wanted:
        magnified = word.endswith("sigmoid_power") and (row[-1] > 10 or "noisy" in variant)
        powered = wanted / row[0] if word.startswith("weighted") else wanted
        limit += abs(float(mpmath.log(powered))) * (4 if magnified else 1)
    if word == "power_slope" and abs(wanted) < float(row[1]) * float(np.finfo(TYPES[real]).tiny):
        limit += 2 * float(row[1])  # b**(k - 1) is subnormal, and k magnifies its error
    return limit + ("noisy" in variant)


def errors(word, real, variant):
    """For every point of a word: its arguments, the result, the error and what is allowed."""
    got = apply(word, real, points(word, real), variant)
    for row, value, wanted in zip(zip(*points(word, real), strict=True), got, exact(word, real), strict=True):
        yield row, value, error_in_ulp(value, wanted, TYPES[real]), allowed(word, row, wanted, variant, real)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("real", TYPES)
@pytest.mark.parametrize("word", ARITY)
def test_accuracy(word, real, variant):
    """Every word is as accurate as promised, also if products and sums contract and if the library errs by an ulp."""
    for row, value, error, limit in errors(word, real, variant):
        assert error <= limit, f"{word}{tuple(map(float, row))} = {value!r}: {error:.2f} ulp, allowed {limit:.2f}"


# --- the host runs kernels rightly ---------------------------------------------------------------------------------

REDUCTION = """
__device__ __forceinline__ real sum_of_block(real value) {
    __shared__ real parts[32];
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int offset = 16; offset; offset /= 2) value += __shfl_down_sync(0xffffffffu, value, offset);
    if (lane == 0) parts[warp] = value;
    __syncthreads();
    value = threadIdx.x < blockDim.x / 32 ? parts[threadIdx.x] : real(0);
    if (warp == 0)
        for (int offset = 16; offset; offset /= 2) value += __shfl_down_sync(0xffffffffu, value, offset);
    __syncthreads();  // the next call may write parts again
    return value;
}

extern "C" __global__ void __launch_bounds__(256) sums(const real* x, real* out, long long size) {
    real value = 0;
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < size; i += step) value += x[i];
    value = sum_of_block(value);
    if (threadIdx.x == 0) out[blockIdx.x] = value;
}
"""

FUNCTIONS = """
extern "C" __global__ void functions(const float* __restrict__ x, double* out) {
    const float nothing = __int_as_float(0x7fc00000);
    out[0] = min(x[0], nothing); out[1] = max(nothing, x[0]); out[2] = min(3, 2); out[3] = max(3ll, 2ll);
    out[4] = isnan(nothing); out[5] = __float_as_int(__ldg(x)); out[6] = fmaf(x[0], 2, 1);
    out[7] = __longlong_as_double(__double_as_longlong(0.1));
}
"""
VALUE_TYPES = {
    "float": "f4", "double": "f8", "int": "i4", "unsigned": "u4", "long long": "i8", "unsigned long long": "u8",
}  # fmt: skip
EXCHANGES = """
extern "C" __global__ void exchange_DTYPE(const VALUE* x, VALUE* out) {
    const int lane = threadIdx.x;
    const VALUE mine = x[lane];
    VALUE* row = out + lane;
    row[0] = __shfl_sync(0xffffffffu, mine, 5);
    row[32] = __shfl_sync(0xffffffffu, mine, lane + 1, 8);
    row[64] = __shfl_up_sync(0xffffffffu, mine, 3);
    row[96] = __shfl_up_sync(0xffffffffu, mine, 3, 8);
    row[128] = __shfl_down_sync(0xffffffffu, mine, 3);
    row[160] = __shfl_down_sync(0xffffffffu, mine, 3, 8);
    row[192] = __shfl_xor_sync(0xffffffffu, mine, 9);
    row[224] = __shfl_xor_sync(0xffffffffu, mine, 9, 8);
    row[256] = mine;
    if (lane % 3 == 0) row[256] = __shfl_sync(0x49249249u, mine, 30);  // the lanes 0, 3, 6, ..., 30
    __syncwarp();
}
"""
INDICES = """
extern "C" __global__ void numbers(int* out) {
    const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const int lane = __shfl_sync(0xffffffffu, thread, 0);
    out[block * 64 + thread] = lane + (warpSize == 32 ? 0 : 1000);
}
"""
LEAVING = """
extern "C" __global__ void leaves_before_barrier(int* out) {
    __shared__ int shared[2];
    if (threadIdx.x >= 40) return;
    if (threadIdx.x == 39) shared[0] = 6;
    __syncthreads();
    if (threadIdx.x == 0) shared[1] = shared[0] + 1;
    __syncthreads();
    out[threadIdx.x] = shared[1];
}

extern "C" __global__ void leaves_if_told(int* x, int stop) {
    if (threadIdx.x == stop) return;
    x[threadIdx.x] = __shfl_xor_sync(0xffffffffu, (int)threadIdx.x, 1);
}
"""
PASSING = """
struct Pair { float first, second; };
struct Nothing {};
extern "C" __global__ void pass(float f, double d, int i, long long l, bool b, unsigned char c, Pair pair,
                                Nothing nothing, const float* null, const unsigned short* half, double* out) {
    out[0] = f; out[1] = d; out[2] = i; out[3] = l; out[4] = b; out[5] = c; out[6] = null == nullptr; out[7] = half[0];
    out[8] = pair.first; out[9] = pair.second;
}
"""
EXCHANGES_SOURCE = "".join(
    EXCHANGES.replace("VALUE", name).replace("DTYPE", dtype) for name, dtype in VALUE_TYPES.items()
)
RIGHT_SOURCE = INDICES + LEAVING + PASSING + FUNCTIONS + EXCHANGES_SOURCE
right = functools.cache(lambda: fake_cupy.RawModule(code=RIGHT_SOURCE))
each_engine = pytest.mark.parametrize("engine", ["fibers", "threads"])


def integer_sum(cupy, real, size, block, blocks):
    """The sum of 0, 1, ..., size - 1, by two launches of the kernel of block sums."""
    sums = cupy.RawModule(code=prefix(real) + REDUCTION).get_function("sums")
    x = cupy.asarray(np.arange(size, dtype=TYPES[real]))
    parts, out = cupy.empty(blocks, TYPES[real]), cupy.empty(1, TYPES[real])
    sums((blocks,), (block,), (x, parts, np.int64(size)))
    sums((1,), (block,), (parts, out, np.int64(blocks)))
    return out.item()


@pytest.mark.parametrize("block", [128, 256])
@pytest.mark.parametrize("size", [1, 31, 32, 33, 1000, 100000])
def test_reduction_of_a_grid(size, block):
    """Sums by warp shuffles and barriers are exact on integers, whatever the grid and the order of the threads."""
    with fake_cupy.install() as cupy:
        assert integer_sum(cupy, "double", size, block, -(-size // block)) == size * (size - 1) // 2
        assert integer_sum(cupy, "double", size, block, 3) == size * (size - 1) // 2


def test_reduction_by_real_threads():
    """One real thread per CUDA thread gives the same sums."""
    with fake_cupy.install(engine="threads") as cupy:
        for size in (1, 33, 1000):
            assert integer_sum(cupy, "double", size, 128, 3) == size * (size - 1) // 2


@pytest.mark.parametrize("real", TYPES)
def test_reduction_has_the_same_bits_every_time(real):
    """A sum of random numbers has the same bits in every run, in either engine, and in either order of the threads."""
    x = np.random.default_rng(3).standard_normal(2000).astype(TYPES[real])
    found = set()
    for settings in ({}, {}, {"compare_orders": False}, {"engine": "threads"}, {"engine": "threads"}):
        with fake_cupy.install(**settings) as cupy:
            out = cupy.empty(4, TYPES[real])
            sums = cupy.RawModule(code=prefix(real) + REDUCTION).get_function("sums")
            sums((4,), (128,), (cupy.asarray(x), out, np.int64(x.size)))
            found.add(out.get().tobytes())
    assert len(found) == 1


@each_engine
@pytest.mark.parametrize("dtype", VALUE_TYPES.values())
def test_shuffles(dtype, engine):
    """Every shuffle moves the values that CUDA's manual says, for full and partial masks and every type."""
    lane = np.arange(32)
    x = (lane * 7 + 1).astype(dtype)
    segment = lane // 8 * 8
    rows = [
        np.full(32, 5), segment + (lane + 1) % 8, np.where(lane < 3, lane, lane - 3),
        np.where(lane % 8 < 3, lane, lane - 3), np.where(lane > 28, lane, lane + 3),
        np.where(lane % 8 > 4, lane, lane + 3), lane ^ 9, np.where((lane ^ 9) > segment + 7, lane, lane ^ 9),
        np.where(lane % 3 == 0, 30, lane),
    ]  # fmt: skip
    with fake_cupy.install(engine=engine) as cupy:
        out = cupy.empty(9 * 32, dtype)
        right().get_function(f"exchange_{dtype}")((1,), (32,), (cupy.asarray(x), out))
        np.testing.assert_array_equal(out.get(), x[np.concatenate(rows)])


def test_indices_of_threads_and_blocks():
    """Threads and blocks of three dimensions are numbered as in CUDA, x fastest."""
    with fake_cupy.install() as cupy:
        out = cupy.empty(24 * 64, np.int32)
        right().get_function("numbers")((2, 3, 4), (4, 8, 2), (out,))
        np.testing.assert_array_equal(out.get().reshape(24, 64), np.tile(np.repeat([0, 32], 32), (24, 1)))


@each_engine
def test_threads_that_left_do_not_count_in_a_barrier(engine):
    """A thread that returns early does not hold up __syncthreads."""
    with fake_cupy.install(engine=engine) as cupy:
        out = cupy.zeros(64, np.int32)
        right().get_function("leaves_before_barrier")((2,), (64,), (out,))
        np.testing.assert_array_equal(out.get(), np.repeat([7, 0], [40, 24]))


def test_values_pass_with_their_exact_size():
    """Scalars of every size and structs reach the kernel unharmed, a null pointer is null, a half is its bits."""
    with fake_cupy.install() as cupy:
        out, half = cupy.empty(10), cupy.asarray(np.float16([1]))
        scalars = (np.float32(0.1), np.float64(0.1), np.int32(-3), np.int64(2**40), np.bool_(True), np.uint8(200))
        structs = np.array((2.5, -4), [("first", np.float32), ("second", np.float32)]), np.zeros((), "V1")
        right().get_function("pass")((1,), (1,), (*scalars, *structs, np.uint64(0), half, out))
        np.testing.assert_array_equal(out.get(), [np.float32(0.1), 0.1, -3, 2**40, 1, 200, 1, 0x3C00, 2.5, -4])
        wrong = np.array((2.5, -4), [("first", np.float64), ("second", np.float32)])
        with pytest.raises(TypeError, match="argument 7: the parameter is a V8; got a V12"):
            right().get_function("pass")((1,), (1,), (*scalars, wrong, structs[1], np.uint64(0), half, out))


def test_functions_of_cuda():
    """Minimum, maximum, bits and the rest do on the host what they do on a device."""
    with fake_cupy.install() as cupy:
        out = cupy.empty(8)
        right().get_function("functions")((1,), (1,), (cupy.asarray(np.float32([1.5])), out))
        np.testing.assert_array_equal(out.get(), [1.5, 1.5, 2, 3, 1, 0x3FC00000, 4, 0.1])


def test_kernels_are_found_wherever_they_stand():
    """Comments, macros, conditions, launch bounds and extern "C" blocks do not hide a kernel or invent one."""
    code = """
// extern "C" __global__ void commented(int* x) {}
#define KERNEL(name, bound) extern "C" __global__ void __launch_bounds__(bound) name
#if 0
extern "C" __global__ void skipped(int* x) {}
#endif
KERNEL(made, 64)(int* x) { x[threadIdx.x] = 1; }
extern "C" {
__global__ __launch_bounds__(32, 2) void first(int* x) { x[threadIdx.x] = 2; }
__global__ void second(int* x) { x[threadIdx.x] = 3; }
}
"""
    with fake_cupy.install() as cupy:
        assert cupy.RawModule(code=code).kernels == {"made": 64, "first": 32, "second": 1024}


def test_contraction_is_off_unless_asked_for():
    """Products and sums are rounded separately by default, and fused with --fmad=true."""
    if not fake_cupy.fuses():
        pytest.skip("this processor has no fused multiply-add")
    code = 'extern "C" __global__ void f(const double* x, double* out) { out[0] = x[0] * x[0] - x[1]; }'
    found = []
    with fake_cupy.install() as cupy:
        x = 1 + 2.0**-30
        for options in ((), ("--fmad=false",), ("--fmad=true", "--std=c++14")):
            out = cupy.empty(1)
            cupy.RawModule(code=code, options=options).get_function("f")((1,), (1,), (cupy.asarray([x, x * x]), out))
            found.append(out.item())
    assert found == [0, 0, 2.0**-60]


# --- the host catches mistakes -------------------------------------------------------------------------------------


# Bodies of kernels that are CUDA C++, but wrong or undefined on a device. `i` is threadIdx.x, `x` has 64 zeros.
MISTAKES = {
    "lane_that_left": "if (i % 32 == 0) return; x[i] = __shfl_down_sync(~0u, x[i], 1);",
    "half_that_left": "if (i % 32 >= 16) return; x[i] = __shfl_xor_sync(~0u, x[i], 1);",
    "absent_lane": "x[i] = __shfl_down_sync(~0u, x[i], 1);",
    "own_lane": "x[i] = __shfl_sync(0xfffffffeu, x[i], 1);",
    "two_shuffles": "x[i] = i % 2 ? __shfl_sync(~0u, x[i], 0) : __shfl_xor_sync(~0u, x[i], 1);",
    "two_masks": "if (i % 32 < 8) x[i] = __shfl_sync(0x01ffu, x[i], 0); else __syncwarp();",
    "width": "x[i] = __shfl_down_sync(~0u, x[i], 1, i % 2 ? 12 : 32);",
    "outside_the_mask": "if (i < 16) x[i] = __shfl_down_sync(0xffffu, 1.0f, 8);",
    "no_first_value": "__shared__ float s[64]; if (blockIdx.x == 1) x[i] = s[i]; __syncthreads(); s[i] = 1;",
    "no_barrier": "__shared__ float s[64]; s[i] = i; x[i] = s[63 - i];",
    "no_second_barrier": "__shared__ float s[64]; s[i] = i; __syncthreads(); x[i] = s[63 - i]; s[i] = -i;",
    "no_barrier_of_warps": "__shared__ float s[2]; if (i % 32 == 0) s[i / 32] = 1; if (i == 0) x[0] = s[0] + s[1];",
    "one_element": "x[0] = i;",
    "neighbor": "x[i] = x[(i + 1) % 64] + 1;",
    "one_element_of_blocks": "if (i == 0) x[0] += blockIdx.x * x[0] + 1;",
    "two_barriers": "if (i < 32) {\n__syncthreads();\n} else {\n__syncthreads();\n}",
    "deadlock": "if (i % 32 == 0) __syncthreads(); else __syncwarp();",
    "after_the_end": "x[64 + i] = 1;",
    "before_the_start": "x[i - 64] = 1;",
}
MISTAKES_SOURCE = "".join(
    f'extern "C" __global__ void {name}(float* x) {{ const int i = threadIdx.x; {body} }}\n'
    for name, body in MISTAKES.items()
)
mistakes = functools.cache(lambda: fake_cupy.RawModule(code=MISTAKES_SOURCE))


def make(mistake, *, engine="fibers", blocks=1, threads=64):
    """Run the kernel of a mistake and give back x."""
    with fake_cupy.install(engine=engine) as cupy:
        x = cupy.zeros(64, np.float32)
        mistakes().get_function(mistake)((blocks,), (threads,), (x,))
        return x.get()


def test_host_runs_what_nvrtc_accepts():
    """The kernels of these tests, right and wrong, are CUDA C++ without a header."""
    for text in (MISTAKES_SOURCE, RIGHT_SOURCE, prefix("float") + REDUCTION, prefix("double") + REDUCTION):
        assert nvrtc.nvrtc_compile(text, "sm_80")


@each_engine
@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("lane_that_left", r"names lane 0 \(thread (0|32)\), but that lane has left|leaves the kernel while lane"),
        ("half_that_left", r"but that lane has left|leaves the kernel while lane"),
        ("own_lane", r"thread (0|32) .* mask 0xfffffffe, which does not name its own lane 0"),
        ("two_shuffles", r"waits for it in __shfl"),
        ("two_masks", r"waits for it in|has left the kernel|leaves the kernel"),
        ("width", r"with width 12; it must be"),
    ],
)
def test_misused_shuffles_are_caught(mistake, message, engine):
    """A shuffle whose mask names an absent lane, or lacks its own, or meets another exchange, ends with a message."""
    with pytest.raises(fake_cupy.KernelError, match=message):
        make(mistake, engine=engine)


def test_lanes_that_do_not_exist_are_caught():
    """A full mask in a block that does not fill its last warp is an error."""
    with pytest.raises(fake_cupy.KernelError, match=r"names lane 8, but its warp has only 8 lanes"):
        make("absent_lane", threads=40)


@each_engine
def test_a_lane_outside_the_mask_gives_nan(engine):
    """What a shuffle reads from a lane that its mask does not name is undefined on a device, and NaN here."""
    np.testing.assert_array_equal(make("outside_the_mask", engine=engine), np.repeat([1, nan, 0], [8, 8, 48]))


@each_engine
def test_shared_memory_starts_as_nan(engine):
    """Shared memory that is read before it is written is NaN in every block, not what the last block left there."""
    assert np.isnan(make("no_first_value", blocks=2, engine=engine)).all()


@pytest.mark.parametrize(
    "mistake", ["no_barrier", "no_second_barrier", "no_barrier_of_warps", "one_element", "neighbor"]
)
def test_missing_barriers_are_caught(mistake):
    """A result that depends on the order of the threads is an error: a barrier is missing, or two write one place."""
    with pytest.raises(fake_cupy.KernelError, match="argument 1 depends on the order of the threads"):
        make(mistake)


def test_blocks_that_write_one_element_are_caught():
    """Blocks have an order no more than threads have."""
    with pytest.raises(fake_cupy.KernelError, match="argument 1 depends on the order"):
        make("one_element_of_blocks", blocks=3)


@each_engine
def test_two_barriers_at_once_are_caught(engine):
    """Threads that wait in __syncthreads at two places at once are an error, though hardware may let it pass."""
    with pytest.raises(fake_cupy.KernelError, match=r"block \(0, 0, 0\) waits in __syncthreads at two places: lines"):
        make("two_barriers", engine=engine)


def test_a_deadlock_is_caught():
    """Threads that wait for each other are named, and where they wait."""
    with pytest.raises(
        fake_cupy.KernelError,
        match=r"wait for each other: thread 0 in __syncthreads at line \d+; thread 1 in __syncwarp with mask 0xf{8};",
    ):
        make("deadlock")


@pytest.mark.parametrize(("mistake", "where"), [("after_the_end", "after"), ("before_the_start", "before")])
def test_writes_outside_an_array_are_caught(mistake, where):
    """A kernel that writes beyond the ends of an array is an error."""
    with pytest.raises(fake_cupy.KernelError, match=f"wrote {where} the memory of argument 1"):
        make(mistake)


@each_engine
def test_a_failed_launch_leaves_nothing_behind(engine):
    """After a launch that failed in mid-kernel, the same kernel runs rightly."""
    with fake_cupy.install(engine=engine) as cupy:
        kernel = right().get_function("leaves_if_told")
        for _ in range(2):
            x = cupy.zeros(64, np.int32)
            with pytest.raises(fake_cupy.KernelError, match=r"left the kernel|leaves the kernel"):
                kernel((1,), (64,), (x, np.int32(7)))
            kernel((1,), (64,), (x, np.int32(-1)))
            np.testing.assert_array_equal(x.get(), np.arange(64) ^ 1)


CALL = 'extern "C" __global__ void kernel(const float* x, double* out, long long size, float scale) {}'


@pytest.mark.parametrize(
    ("position", "wrong", "message"),
    [
        (0, lambda cupy: cupy.zeros(3, np.float64), "argument 1: the parameter points to f4; got an array of f8"),
        (1, lambda cupy: cupy.zeros(3, np.float32), "argument 2: the parameter points to f8; got an array of f4"),
        (0, lambda cupy: np.zeros(3, np.float32), "argument 1: the parameter points to f4; give an array"),
        (0, lambda cupy: None, "argument 1: the parameter points to f4; give an array"),
        (0, lambda cupy: np.uint64(8), "argument 1: the parameter points to f4; give an array"),
        (2, lambda cupy: np.int32(3), "argument 3: the parameter is a i8; got a i4"),
        (2, lambda cupy: 3, "argument 3: the parameter is a i8; give a NumPy scalar"),
        (2, lambda cupy: np.float64(3), "argument 3: the parameter is a i8; got a f8"),
        (3, lambda cupy: np.float64(3), "argument 4: the parameter is a f4; got a f8"),
        (3, lambda cupy: 3.0, "argument 4: the parameter is a f4; give a NumPy scalar"),
        (3, lambda cupy: None, "argument 4: the parameter is a f4; give a NumPy scalar"),
        (3, lambda cupy: cupy.zeros((), np.float32), "argument 4: the parameter is a f4; give a NumPy scalar"),
    ],
)
def test_wrong_arguments_are_caught(position, wrong, message):
    """An argument of another type or size than the kernel's parameter raises, where CuPy would misread memory."""
    with fake_cupy.install() as cupy:
        arguments = [cupy.zeros(3, np.float32), cupy.zeros(3), np.int64(3), np.float32(1)]
        kernel = cupy.RawModule(code=CALL).get_function("kernel")
        kernel((1,), (1,), tuple(arguments))
        arguments[position] = wrong(cupy)
        with pytest.raises(TypeError, match=f"kernel kernel, {message}"):
            kernel((1,), (1,), tuple(arguments))
        with pytest.raises(TypeError, match="takes 4 arguments; got 3"):
            kernel((1,), (1,), tuple(arguments[:3]))


@pytest.mark.parametrize(
    ("grid", "block", "error", "message"),
    [
        ((1,), (64,), fake_cupy.KernelError, "a block of 64 threads; at most 32 are allowed"),
        ((1, 65536), (32,), fake_cupy.KernelError, "a grid of"),
        ((1,), (1, 1, 65), fake_cupy.KernelError, "a block of"),
        (1, (32,), TypeError, "grid must be a tuple"),
        ((1,), 32, TypeError, "block must be a tuple"),
        ((1.0,), (32,), TypeError, "float"),
    ],
)
def test_impossible_launches_are_caught(grid, block, error, message):
    """A grid or a block that a device would refuse is refused, with the kernel's launch bounds."""
    code = 'extern "C" __global__ void __launch_bounds__(32) kernel() {}'
    with fake_cupy.install() as cupy, pytest.raises(error, match=message):
        cupy.RawModule(code=code).get_function("kernel")(grid, block, ())


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        ("#include <cmath>\n", fake_cupy.KernelError, "includes a header"),
        ("extern __shared__ float s[];", NotImplementedError, "given at the launch"),
        ('\n\nextern "C" __global__ void kernel(float* x) { *x = nothing; }', fake_cupy.KernelError, r"module\.cu:3:"),
        ('extern "C" __global__ void other(float* x) {}', fake_cupy.KernelError, "no kernel 'kernel'; it has other"),
    ],
)
def test_wrong_sources_are_caught(code, error, message):
    """A source that a device could not run, or that g++ refuses, raises with the reason and the line."""
    with fake_cupy.install() as cupy, pytest.raises(error, match=message):
        cupy.RawModule(code=code).get_function("kernel")((1,), (1,), (cupy.zeros(1, np.float32),))


@pytest.mark.parametrize("option", ["--use_fast_math", "--ftz=true", "--prec-div=false"])
def test_inexact_math_is_refused(option):
    """An option that makes math faster and less exact is an error."""
    with pytest.raises(ValueError, match="less exact"):
        fake_cupy.RawModule(code="", options=(option,))


def test_a_missing_compiler_is_told(monkeypatch, tmp_path):
    """Without g++ the error says what is missing, and who wants it."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with fake_cupy.install(folder=tmp_path) as cupy, pytest.raises(nvrtc.CompilerMissing, match=r"g\+\+ is missing"):
        cupy.RawModule(code=CALL).get_function("kernel")


def test_compiled_kernels_are_kept_in_the_folder(tmp_path, monkeypatch):
    """A kernel is compiled once per text into the folder that is given, which processes may share."""
    monkeypatch.setenv("FAKE_CUPY_FOLDER", str(tmp_path / "shared"))
    for folder in (tmp_path / "given", None):
        for _ in range(2):
            with fake_cupy.install(folder=folder) as cupy:
                cupy.RawModule(code=CALL).get_function("kernel").module.library("fibers")
    for folder in ("given", "shared"):
        assert sorted(file.suffix for file in (tmp_path / folder).iterdir()) == [".cpp", ".so"]


# --- arrays that stay on the device --------------------------------------------------------------------------------


def test_arrays_do_not_mix_with_numpy():
    """A device array converts to NumPy only when asked, and meets no NumPy array in arithmetic or indexing."""
    with fake_cupy.install() as cupy:
        x, host = cupy.asarray([0.0, 1.0, 2.0]), np.ones(3)
        for mistake in (
            lambda: np.asarray(x), lambda: np.exp(x), lambda: x + host, lambda: host + x,
            lambda: x[host > 0], lambda: x.__setitem__(0, host[0:1]), lambda: x.__iadd__(host),
        ):  # fmt: skip
            with pytest.raises(TypeError):
                mistake()
        assert type(x).__module__.startswith("cupy")
        assert type(x.get()) is type(cupy.asnumpy(x)) is np.ndarray


def test_arrays_behave_like_numpy_arrays():
    """Views share memory, copies do not, arithmetic and reductions give arrays of the same kind."""
    with fake_cupy.install() as cupy:
        host = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        x = cupy.asarray(host)
        assert (x.shape, x.dtype, x.ndim, x.size, x.strides, len(x)) == ((2, 3, 4), np.float32, 3, 24, (48, 16, 4), 2)
        assert x.flags.c_contiguous
        assert not x.T.flags.c_contiguous
        assert not hasattr(x.flags, "writeable")
        wide = cupy.broadcast_to(x, (2, 2, 3, 4))
        for view in (x.T, x[:, 1], x.reshape(6, 4), x.ravel(), cupy.moveaxis(x, 1, 2), wide):
            assert cupy.shares_memory(view, x)
        for copied in (x.copy(), x.astype(np.float64), x.T.ravel(), cupy.ascontiguousarray(x.T), cupy.array(x), x + 1):
            assert not cupy.may_share_memory(copied, x)
        assert cupy.asarray(x) is cupy.ascontiguousarray(x) is x
        assert cupy.asarray(x, np.float64).dtype == np.float64
        np.testing.assert_array_equal(cupy.moveaxis(x, 1, 2).get(), np.moveaxis(host, 1, 2))
        np.testing.assert_array_equal((2 * x - x / 4).get(), 2 * host - host / 4)
        np.testing.assert_array_equal((x > 3).get(), host > 3)
        assert isinstance(x.sum(), cupy.ndarray)
        assert x.sum().shape == ()
        assert float(x.sum()) == host.sum()
        x[0, 0] = 7
        x[1] = x[0]
        assert x.get()[1, 0].tolist() == [7, 7, 7, 7]
        assert cupy.get_array_module(x) is cupy
        assert cupy.get_array_module(host) is np


def test_fresh_memory_is_nan():
    """What empty and empty_like give is NaN, or -1, until it is written; zeros, ones and full are what they say."""
    with fake_cupy.install() as cupy:
        assert np.isnan(cupy.empty((2, 3), np.float16).get()).all()
        assert (cupy.empty_like(cupy.zeros(4, np.int64)).get() == -1).all()
        assert (cupy.zeros_like(cupy.empty(3)).get() == 0).all()
        assert (cupy.full((2, 2), 3, np.int32).get() == 3).all()
        assert cupy.empty(3, np.float64).data.ptr % 256 == 0
        assert cupy.empty(0).data.ptr == 0


def test_install_ends_as_it_began():
    """`import cupy` finds the stand-in inside the block only, with its submodules, and settings are restored."""
    before = sys.modules.get("cupy")
    with fake_cupy.install(compare_orders=False):
        import cupy
        import cupy.cuda.runtime

        assert cupy is fake_cupy
        assert cupy.cuda.runtime.getDeviceCount() == 1
        assert cupy.cuda.Device().id == 0
        assert not fake_cupy.settings.compare_orders
    assert sys.modules.get("cupy") is before
    assert fake_cupy.settings.compare_orders
