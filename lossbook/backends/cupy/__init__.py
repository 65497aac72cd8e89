"""CuPy: CUDA C++ in one pass over the data, compiled by NVRTC, for CuPy arrays.

    print(source(plan, np.float32))      the kernel that runs, readable from top to bottom

A kernel is functions that are printed here, of which `element` is the formula, and behind them those files of loops/
that fit its shape, as they are. In front of both stand the words, words.cuh.

Each CUDA block writes its own partial sums and nothing is added atomically, so a result has the same bits on
every device and in every run. The sums are few and are finished on the host.
"""

import re
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from lossbook.arrays import as_indices
from lossbook.backends import host, imported
from lossbook.backends.call import Call
from lossbook.backends.spelling import COLUMNS, Spelling, broken, literal
from lossbook.errors import BackendError
from lossbook.plan.ir import Plan
from lossbook.spaces import BOXES, ELEMENTS, ROWS, SETS
from lossbook.words import SPELLED

BLOCK = 4096  # elements whose sum one CUDA block makes
THREADS = 256
WIDE = 128  # from this many classes on, a whole CUDA block works on one contiguous row


def __getattr__(name: str) -> Any:
    """`xp`, the array module, once it is wanted."""
    if name == "xp":
        import cupy

        return cupy
    raise AttributeError(name)


def require(loss: str) -> None:
    """Raise the BackendError that says what is missing: the package, or the device."""
    cupy = imported("cupy", loss, "'cupy' needs the package cupy (cupy-cuda12x or cupy-cuda13x)", "backend")
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        raise BackendError(loss, "backend", f"'cupy' needs a CUDA device and driver; CUDA says: {error}") from error
    if not count:
        raise BackendError(loss, "backend", "'cupy' needs a CUDA device; none was found")


# --- the text of a kernel --------------------------------------------------------------------------------------------


@cache
def _read(*path):
    """The text of a CUDA file of this folder, wherever Python finds it: in a folder or an archive."""
    return files(__name__).joinpath(*path).read_text(encoding="utf-8")


def parts(plan: Plan) -> list[str]:
    """The names of the files that a kernel is made of, each of which uses what stands in those before it."""
    if plan.space.corners:
        return ["shared", "rows", "boxes"]
    if not plan.space.rows_of_classes:
        under_softmax = ["sums", "pulls", "log_odds", "targets", "softmax_pixels"]
        elements = ["elements_per_class"] if plan.per_class else ["targets", "elements"]
        return ["shared", *(under_softmax if plan.row else elements)]
    kind = ["sums", "entry"] if plan.row == "entry" else ["sums", "pulls", plan.row, "competing"]
    # `wide` checks no predictions.
    wide = ["wide"] if plan.hard and plan.row == "log_odds" and not plan.checks_prediction else []
    return ["shared", *kind, "rows", "classes", "hard" if plan.hard else "soft", *wide]


def _function(comment, returned, name, arguments, lines):
    """A function of C++ as text."""
    begin = f"__device__ __forceinline__ {returned} {name}("
    head = [f"{begin}{', '.join(arguments)}) {{"]
    if len(head[0]) > COLUMNS:
        head = [begin, *broken(f"    {', '.join(arguments)}", 4), ") {"]
    body = [part for line in lines for part in broken(f"    {line}", 8)]
    return "\n".join([f"// {comment}", *head, *body, "}", ""])


def _truth(value):
    return "true" if value else "false"


# What the loops of a shape ask for: constants, the arguments of `step`, and what these are to `element`.


def _for_elements(plan, integer):
    prediction, *target = plan.arrays
    slopes = [title for title, _ in plan.slopes]
    labeled = "" if plan.per_class else f"LABELED = {_truth(integer)}, "
    constants = [
        f"constexpr bool {labeled}TARGETED = {_truth(target)};",
        f"constexpr int TERMS = {len(plan.terms)};  // what an element adds to the totals",
        f"constexpr int FACTORS = {len(slopes) or 1};  // of its slope: {', '.join(slopes) or 'one for all elements'}",
        f"using Factor = {'real' if slopes else 'double'};",
    ]
    if plan.row:  # under a softmax
        arguments = ["real u", "real probability", "real complement", "real y"]
        known = {name: name for name in ("u", "probability", "complement")}
    else:
        if not plan.per_class:
            constants.append(f"constexpr bool POINTWISE = {_truth(not slopes)};")
        constants.append(f"constexpr long long BLOCK = {BLOCK};  // elements whose sum one block of threads makes")
        arguments, known = ["real z", "real y"], {prediction: "z"}
    arguments += ["const Parameters& parameters", "const Factor (&factors)[FACTORS]", "real (&terms)[TERMS]"]
    known |= dict.fromkeys(target, "y")
    known |= {name: f"factors[{j}]" for j, name in enumerate(slopes)}
    known |= {title: f"terms[{j}]" for j, (title, _) in enumerate(plan.terms)} | {plan.gradient: "slope"}
    return constants, [*arguments, "real& slope"], known


def _for_rows(plan, integer):
    y = plan.arrays[1]
    constants = [f"constexpr bool PREDICTION_CHECKED = {_truth(plan.checks_prediction)};"]
    if not plan.hard:
        constants.append(f"constexpr bool LABELED = {_truth(integer)};")
        constants.append(f"#define OF_ROW {int(bool(plan.of_row))}  // whether something is added once per row")
    arguments = ["real u", "real y", "long long classes", "const Parameters& parameters", "real& value", "real& slope"]
    ((term, _),) = plan.terms
    return constants, arguments, {"u": "u", y: "y", "C": "real(classes)", term: "value", plan.gradient: "slope"}


def _for_boxes(plan, integer):
    corners = len(plan.gradients)
    arguments = ["const real (&box)[CORNERS]", "const real (&target)[CORNERS]", "const Parameters& parameters"]
    ((term, _),) = plan.terms
    known = {name: f"box[{k}]" for k, name in enumerate(plan.inputs[:corners])}
    known |= {name: f"target[{k}]" for k, name in enumerate(plan.inputs[corners:])}
    known |= {term: "value"} | {name: f"slopes[{k}]" for k, name in enumerate(plan.gradients)}
    return [f"constexpr int CORNERS = {corners};"], [*arguments, "real& value", "real (&slopes)[CORNERS]"], known


FOR = {ELEMENTS: _for_elements, SETS: _for_elements, ROWS: _for_rows, BOXES: _for_boxes}


def _rule(role, name, domain):
    """The function by which loops ask whether a prediction or a target obeys the rule of its domain, if that is one."""
    if domain is None:
        return _function(f"No {role} breaks a rule.", "bool", f"{role}_holds", [f"real {name}"], ["return true;"])
    names = [f"{name}_{component}" for component in domain.components] or [name]
    rule = domain.condition(name, lambda value: f"real({value!r})", "&&", "||")
    arguments = [f"real {name}" for name in names]
    return _function(f"Whether a {role} obeys its rule.", "bool", f"{role}_holds", arguments, [f"return {rule};"])


def _set(lines, outputs):
    """Statements that set the outputs of a function, and constants on the way to them."""
    return [f"{'' if title in outputs else 'const real '}{title} = {text};" for title, text in lines]


def _of_row(plan, spell):
    """The function of a row's logsumexp that is added once per row, and its slope."""
    read = {symbol.name for _, value in plan.of_row for symbol in value.free_symbols}
    lines = ["const real C = real(classes);"] if "C" in read else []
    lines += [f"const real {name} = parameters.{name};" for name in plan.parameters if name in read]
    (_, value), (_, slope) = plan.of_row
    lines += _set(spell.lines([("value", value), ("slope", slope)]), ("value", "slope"))
    arguments = ["real logsumexp", "long long classes", "const Parameters& parameters", "real& value", "real& slope"]
    comment = "What is added once per row, and its slope along the logsumexp."
    return _function(comment, "void", "of_row", arguments, lines)


def source(plan: Plan, real: Any = np.float32, integer: bool = False) -> str:
    """The CUDA C++ of a plan for a working type; `integer` if the target holds class indices."""
    plan = plan.avoiding(reserved())
    spell = Spelling(lambda number: f"real({literal(number)})", lambda name: f"words::{name}", SPELLED)
    constants, arguments, known = FOR[plan.space](plan, integer)
    known |= {name: f"parameters.{name}" for name in plan.parameters}
    read = {symbol.name for _, value in plan.lines for symbol in value.free_symbols}
    outputs, outside = [*(title for title, _ in plan.terms), *plan.gradients], [title for title, _ in plan.slopes]
    inputs = [name for name in known if name in read and name not in (*outputs, *outside)]
    inputs += [name for name in outside if name in read]
    slopes = "slopes" if plan.space.corners else "slope"
    functions = [
        _function(
            f"The loss of one {plan.space.element} and its {slopes}, step by step.",
            "void", "element",
            [*(f"real {name}" for name in inputs), *(f"real& {name}" for name in outputs)],
            [*(f"{name} = words::absolute({name});" for name in plan.unsigned),  # -0.0 is 0
             *_set(spell.lines(plan.lines), outputs)],
        ),
        _function(
            "The same, as the loops call it.", "void", "step", arguments,
            [f"element({', '.join(known[name] for name in (*inputs, *outputs))});"],
        ),
    ]  # fmt: skip
    loops = "\n".join(_read("loops", f"{name}.cuh") for name in parts(plan))
    checks = dict(plan.checks)
    if "prediction_holds" in loops:
        functions.append(_rule("prediction", plan.prediction, checks.get(plan.prediction)))
    if "target_holds" in loops:
        y = plan.arrays[1] if len(plan.arrays) > 1 else "y"
        functions.append(_rule("target", y, None if integer else checks.get(y)))
    if plan.of_row:
        functions.append(_of_row(plan, spell))
    if plan.per_class:
        each = ", ".join(f"all[{k} * classes + of_class]" for k in range(len(plan.parameters)))
        given = ["const real* all", "long long classes", "long long of_class"]
        functions.append(
            _function("The parameters of a class.", "Parameters", "parameters_of", given, [f"return {{{each}}};"])
        )
    members = f" real {', '.join(plan.parameters)}; " if plan.parameters else ""
    head = [
        f"// {plan.name} in CUDA C++, {np.dtype(real).name}.",
        "// Written by lossbook from the formula: change that, not this text. The words (namespace words) stand in",
        "// lossbook/backends/cupy/words.cuh, which is compiled in front of this.",
        "",
        f"struct Parameters {{{members}}};",
        f"using Target = {'long long' if integer else 'real'};{'  // class indices' if integer else ''}",
        *constants,
    ]
    return "\n".join([*head, "", *functions, loops])


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
def reserved() -> frozenset[str]:
    """The names that kernels use themselves; those within the namespace of words never meet the names of a formula."""
    loops = [file.read_text(encoding="utf-8") for file in files(__name__).joinpath("loops").iterdir()]
    found = re.findall(r"[A-Za-z_]\w*", re.sub(r"//.*", "", "".join(loops)))
    return frozenset({*found, "words", "WORDS_LIBRARY", "REAL_IS_FLOAT", "element"}) | CPP


@cache
def text(plan: Plan, real: Any, integer: bool) -> str:
    """All that NVRTC compiles: the working type, the words, the kernel."""
    is_float = real is np.float32
    constants = "#ifndef INFINITY\n#define INFINITY __int_as_float(0x7f800000)\n#endif\n"
    return (
        f"typedef {'float' if is_float else 'double'} real;\n#define REAL_IS_FLOAT {int(is_float)}\n{constants}"
        f"{_read('words.cuh')}\n{source(plan, real, integer)}"
    )


@cache
def load(plan: Plan, real: Any, integer: bool, name: str, device: int) -> Any:
    """The compiled function `name` of a plan, one per device; CuPy keeps the binary on disk."""
    import cupy

    return cupy.RawModule(code=text(plan, real, integer), options=("--std=c++17",)).get_function(name)


def run(plan: Plan, call: Call) -> np.ndarray:
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
    parameters = np.zeros((), "V1")  # the size of a struct without members
    if call.parameters and not plan.per_class:
        parameters = np.array(call.parameters, [(name, real) for name in plan.parameters])
    target = as_indices(call.y, cupy) if call.integer else ready(call.y)
    inputs = (ready(call.z), target, ready(call.weight))
    sizes = (np.int64(classes), np.int64(inner))
    device = cupy.cuda.Device().id
    if call.rows:
        rows = outer * inner
        is_wide = "wide" in parts(plan) and inner == 1 and classes >= WIDE
        blocks = rows if is_wide else -(-rows // THREADS)
        kernel = load(plan, real, call.integer, "wide" if is_wide else "loops", device)
        columns, count = 3, np.int64(rows)
        of_class = ready(call.class_weight, np.float64)
        middle = (of_class, *ignore, parameters, np.float64(call.scale), values, gradient)
    else:
        tiles = -(-inner // (THREADS if plan.row else BLOCK))
        blocks = outer * tiles if plan.row else outer * classes * tiles
        kernel = load(plan, real, call.integer, "loops", device)
        columns, count = len(plan.terms) + 1, np.int64(blocks)
        weight_classes = np.int64(classes if call.weight is not None and call.weight.size == call.z.size else 1)
        slopes = ready(call.slopes_or_scale(cupy), real if call.overlap else np.float64)
        middle = (weight_classes, *ignore, parameters, slopes, values, gradient)
        if plan.per_class:
            _, classes, stride = call.of_classes.three
            every = np.array([np.broadcast_to(numbers, classes) for numbers in call.parameters])
            middle = (cupy.asarray(every), slopes, values, gradient)
            sizes = (np.int64(classes), np.int64(stride), np.int64(inner))
    if not blocks:
        return np.zeros(columns) if plan.finish is None else np.zeros((outer, classes, columns))
    sums = cupy.empty((outer * classes * tiles if call.overlap else blocks, columns), dtype=np.float64)
    kernel((min(blocks, 65535),), (THREADS,), (*inputs, *middle, sums, *sizes, count))
    of_elements = inputs[: 1 if call.y is None else 2]
    for is_slope, (array, buffer) in enumerate(((call.values, values), (call.gradient, gradient))):
        if array is not None and buffer is not array:
            weight = None if call.weight is None else inputs[2]
            array[...] = call.narrow(buffer, array.dtype, of_elements, weight, bool(is_slope))
    sums = cupy.asnumpy(sums)
    if plan.finish is None:
        return host.fold(sums)
    return host.fold(np.moveaxis(sums.reshape(outer, classes, tiles, columns), 2, 0))
