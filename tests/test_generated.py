"""What the generator writes: golden sources, NVRTC's verdict, clean gradients, and mutants that must be noticed."""

import ast
import builtins
import difflib
import dis
import itertools
import re
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import fake_cupy
import numpy as np
import nvrtc
import oracle
import pytest
import sympy
from cases import BACKENDS, EVERY_LOSS, LOSSES, Backend, example, settings, shown
from mpmath import mpf

from lossbook import (
    Classes,
    Logit,
    backends,
    binary,
    detection,
    divergence,
    kernels,
    loss,
    multiclass,
    multilabel,
    regression,
    segmentation,
    spaces,
    words,
)
from lossbook.backends import loops
from lossbook.backends.spelling import COLUMNS, bracketed
from lossbook.words import SPELLED

GOLDEN = Path(__file__).with_name("golden")

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)

# Losses of several predictions have the kernels of their parts; a loss of distances has those of its factors.
SHOWN = [loss for loss in EVERY_LOSS if loss.shape != "joined"]
KERNELS = [part for loss in SHOWN for part in getattr(loss, "_factors", (loss,)) if part is not None]


@loss
def over_the_others(z: Logit, y: Classes):
    """How far the truth is from being a unit ahead of all others."""
    return words.sum_classes(y * words.maximum(1 - words.minus_largest_of_others(z), 0))


# --- golden sources ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", SHOWN, ids=lambda loss: loss.name)
@pytest.mark.parametrize("backend", BACKENDS)
def test_sources_are_golden(loss, backend, update):
    """The generated source of a loss changes only together with its golden file."""
    file, new = GOLDEN / f"{loss.name}_{backend}.txt", loss.source(backend)
    old = file.read_text() if file.exists() else ""
    if update and old != new:
        file.parent.mkdir(exist_ok=True)
        file.write_text(new)
        return
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), f"golden/{file.name}", "now", lineterm="")
    difference = "\n".join(lines)
    assert old == new, f"{difference}\n\nIf this is meant: pytest tests/test_generated.py --update"


@pytest.mark.parametrize("backend", ["numpy"])
def test_lines_of_kernels_are_short(backend):
    """No line of a kernel is longer than one of the package, so that kernels can be read."""
    files = sorted(GOLDEN.glob(f"*_{backend}.txt"))
    lines = [(file.name, line) for file in files for line in file.read_text().splitlines()]
    assert lines
    assert [(name, line) for name, line in lines if len(line) > COLUMNS] == []


def test_long_lines_are_broken_outside_brackets():
    """A long line is broken before a sign where it can be, else in brackets, and nowhere in a product."""
    name = 20 * "a"
    assert bracketed("x = ", f"f({name}, b)", 4) == f"    x = f({name}, b)\n"
    term = f"f({name} + {name}, {name})"
    assert bracketed("x = ", f"{term} - {term}", 4) == f"    x = (\n        {term}\n        - {term}\n    )\n"
    many = ", ".join([name] * 5)
    assert bracketed("x = ", f"f({many}, {name})") == f"x = (\n    f({many},\n    {name})\n)\n"
    product = "*".join([name] * 6)
    assert bracketed("x = ", product) == f"x = (\n    {product}\n)\n"


def misplaced(text):
    """The lines of a CUDA kernel that are too long, or not indented by the brackets and statements that are open."""
    depth, before, is_open = 0, 0, False
    for line in text.splitlines():
        code = line.partition("//")[0].strip()
        indent = len(line) - len(line.lstrip())
        fresh = 4 * (depth - code.startswith("}"))
        if code and code[0] != "#":
            places = (before - 4,) if code[0] == ")" else (before, before + 4) if is_open else (fresh,)
            if indent not in places:
                yield line
            depth += code.count("{") - code.count("}")
            before, is_open = indent, code[-1] not in ";{}"
        if len(line) > 120 or line != line.rstrip() or (line and not code and indent not in (fresh, before + 4)):
            yield line


@pytest.mark.parametrize("loss", SHOWN, ids=lambda loss: loss.name)
def test_cuda_is_laid_out_to_be_read(loss):
    """No line of a CUDA kernel is longer than 120 columns, and each stands where what is open before it puts it."""
    assert list(misplaced(loss.source("cupy"))) == []


def test_misplaced_lines_are_found():
    """The check above sees what it is for."""
    right = "void f(\n    int x\n) {\n    // all\n    if (x)\n        g(x,\n            x);\n    h();\n}\n"
    assert list(misplaced(right)) == []
    wrong = {"    h": "        h", "    // all": "// all", "h();": f"{'h' * 120}();", "    int": "int", "{\n": "{ \n"}
    for part, changed in wrong.items():
        assert len(list(misplaced(right.replace(part, changed)))) == 1, changed


def test_no_golden_file_is_stale(update):
    """Each golden file belongs to a loss and a backend."""
    known = {f"{loss.name}_{backend}.txt" for loss in SHOWN for backend in BACKENDS}
    stale = [file for file in GOLDEN.glob("*") if file.name not in known]
    for file in stale if update else ():
        file.unlink()
    assert update or not stale, f"no loss has {stale}; pytest tests/test_generated.py --update removes them"


@pytest.mark.parametrize("loss", KERNELS, ids=lambda loss: loss.name)
def test_numba_kernels_read_well(loss):
    """No line is longer than 120 columns, `element` takes nothing that it does not use, and no function of a kernel
    has the name of a word, or one that a formula may use.
    """
    numba = backends.get("numba")
    for plan, integer in variants(loss):
        text = numba.source(plan, np.float32, integer)
        assert max(map(len, text.splitlines())) <= 120
        functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
        assert not {*functions} & {*SPELLED}
        assert {*functions} <= numba.reserved()
        element = functions["element"]
        used = {node.id for node in ast.walk(element) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        assert {argument.arg for argument in element.args.args} <= used


@pytest.mark.parametrize("loss", KERNELS, ids=lambda loss: loss.name)
def test_no_call_is_written_twice(loss):
    """What occurs again in the formula, its slopes or its totals has one name in the kernel, which is used again; and
    `element` takes nothing that it does not use.
    """
    printed = {"element", "finish"}
    for function in ast.parse(loss.source("numpy")).body:
        if isinstance(function, ast.FunctionDef) and function.name in printed:
            body = ast.Module(function.body, [])
            used = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
            assert function.name == "finish" or {argument.arg for argument in function.args.args} <= used
            calls = [ast.unparse(node) for node in ast.walk(function) if isinstance(node, ast.Call)]
            of_names = [call for call in calls if re.search(r"\(.*[a-z]", call)]  # not square(3.14)
            assert len(of_names) == len(set(of_names)), of_names


def test_loops_of_numba_stand_in_kernels_as_they_are():
    """A kernel ends in its files of loops, to the letter, and every file of loops is part of some kernel."""
    numba = backends.get("numba")
    folder, seen = Path(numba.__file__).with_name("loops"), set()
    rows = [(spaces.ROWS, row) for row in ("entry", *(word.__name__ for word in words.OF_CLASS))]
    for space, row in [(spaces.ELEMENTS, ""), (spaces.BOXES, ""), (spaces.SETS, ""), (spaces.SETS, "log_odds"), *rows]:
        for hard in (False, True):
            for per_class in (False, True):
                seen |= {*numba.parts(SimpleNamespace(space=space, row=row, hard=hard, per_class=per_class))}
    assert seen == {file.stem for file in folder.glob("*.py")}
    for one in (regression.huber, detection.iou, multiclass.cross_entropy_with_logits, multiclass.kullback_leibler):
        plan = one.plan()
        texts = [(folder / f"{name}.py").read_text().split(loops.BEGINS)[1] for name in numba.parts(plan)]
        below = "".join(text.partition("\n")[2] for text in texts)
        assert numba.source(plan, np.float32, one.space.rows_of_classes).endswith(below)


def unknown(module):
    """The global names that functions of a module ask for and that it has not."""
    codes, found = [compile(Path(module.__file__).read_text(encoding="utf-8"), "kernel", "exec")], set()
    for code in codes:  # grows
        codes += [part for part in code.co_consts if isinstance(part, types.CodeType)]
        asked = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
        found |= asked - {*vars(module), *vars(builtins)}
    return found


def test_loops_of_numpy_stand_in_kernels_as_they_are(tmp_path, monkeypatch, unchanged):
    """Below the rule a kernel is its files of loops, to the letter, which hide no word and miss no name; every file is
    part of some kernel.
    """
    monkeypatch.setenv("LOSSBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kernels, "_directory", None)
    monkeypatch.setattr(kernels, "_modules", {})
    numpy, seen = backends.get("numpy"), set()
    folder = Path(numpy.__file__).with_name("loops")
    of_softmax = segmentation.dice.on_logits(activation="softmax")
    for one in (*KERNELS, of_softmax, over_the_others):
        for plan, _ in variants(one):
            text, names = numpy.source(plan), numpy.parts(plan)
            below = text.partition(numpy.BELOW)[2]
            files = [(folder / f"{name}.py").read_text(encoding="utf-8") for name in names]
            assert below == "".join(file.partition(loops.BEGINS)[2].partition("\n")[2] for file in files)
            made = [part for part in ast.parse(below).body if isinstance(part, (ast.FunctionDef, ast.ClassDef))]
            assert not {part.name for part in made} & {*SPELLED}
            assert not unknown(kernels.load("loops", text))
            seen |= {*names}
    assert seen == {file.stem for file in folder.glob("*.py")}


def test_loops_of_cuda_stand_in_kernels_as_they_are():
    """A kernel ends in its files of loops, to the letter, and every file of loops is part of some kernel."""
    cupy, seen = backends.get("cupy"), set()
    folder = Path(cupy.__file__).with_name("loops")
    for one in (*KERNELS, segmentation.dice.on_logits(activation="softmax"), over_the_others):
        for plan, integer in variants(one):
            names = cupy.parts(plan)
            files = [(folder / f"{name}.cuh").read_text(encoding="utf-8") for name in names]
            assert cupy.source(plan, np.float32, integer).endswith("\n" + "\n".join(files))
            seen |= {*names}
    assert seen == {file.stem for file in folder.glob("*.cuh")}


# --- NVRTC ---------------------------------------------------------------------------------------------------------


def variants(loss):
    """(plan, integer) of every kernel that a loss can need: each setting of its flags, soft or integer targets."""
    found = {}
    for setting in settings(loss):
        flags, parameters = loss.settings(setting)
        for integer in (False, True) if loss.declaration.by_class else (False,):
            plan = loss.evaluation.plan(flags, parameters, integer)
            found[(plan, integer)] = None
    for name in getattr(loss, "per_class", ()):
        for numbers in ((0.5, 1.0), (0.5, 3.0 if loss.declaration.arguments[name].high > 1 else 1.0)):
            found[(loss.plan(**{name: numbers}), False)] = None
    return list(found)


ARCHITECTURES = {np.float32: (70, 80, 90, 100, 120), np.float64: (80, 120)}
# One loss of each kind is compiled for every generation, the others for the oldest and the newest.
FIRST = set({(loss.shape, loss.plan().row): loss.name for loss in KERNELS[::-1]}.values())


@pytest.mark.parametrize("loss", KERNELS, ids=lambda loss: loss.name)
@pytest.mark.skipif(sys.platform == "darwin", reason="NVIDIA has no compiler for macOS")
@pytest.mark.parametrize("real", ARCHITECTURES, ids=lambda real: real.__name__)
def test_nvrtc_compiles_every_kernel(loss, real):
    """The CUDA compiler accepts every kernel of a loss, for old and new devices, and makes its functions."""
    every = ARCHITECTURES[real]
    for plan, integer in variants(loss):
        text = backends.get("cupy").text(plan, real, integer)
        functions = re.findall(r"__global__ void (\w+)\(", text)
        for architecture in every if loss.name in FIRST else (every[0], every[-1]):
            code = nvrtc.nvrtc_compile(text, f"sm_{architecture}", ("--std=c++17",))
            assert all(name.encode() in code for name in functions)
        assert functions == (["loops", "wide"] if plan.hard and plan.row == "log_odds" else ["loops"])


@pytest.mark.parametrize("loss", [loss for loss in KERNELS if loss.name in FIRST], ids=lambda loss: loss.name)
def test_gcc_finds_nothing_to_warn_of(loss):
    """A second compiler, asked for its warnings, has none about the loops of each kind."""
    for plan, integer in variants(loss):
        fake_cupy.RawModule(code=backends.get("cupy").text(plan, np.float32, integer)).lint()


def test_variants_are_complete():
    """The kernels above include those for soft targets, for class indices alone, and for a flag's two settings."""
    kinds = {loss.name: [(plan.hard, integer) for plan, integer in variants(loss)] for loss in LOSSES}
    assert sorted(kinds["multiclass.cross_entropy_with_logits"]) == [(False, False), (False, True), (True, True)]
    assert sorted(kinds["multiclass.kullback_leibler"]) == [(False, False), (False, True)]
    assert kinds["multilabel.soft_margin"] == [(False, False)]
    assert sorted(kinds["segmentation.dice"]) == [(False, False)] * 2 + [(False, True)] * 2
    assert kinds["regression.huber"] == [(False, False)]


@every_loss
def test_source_is_what_runs_on_the_device(loss, monkeypatch):
    """The text that CUDA's compiler gets ends in what `source` shows."""
    texts = []
    made = fake_cupy.RawModule.__init__

    def record(self, **given):
        texts.append(given["code"])
        made(self, **given)

    monkeypatch.setattr(fake_cupy.RawModule, "__init__", record)
    backend = backends.get("cupy")
    backend.load.cache_clear()
    with Backend("cupy").ready() as ready:
        ready.call(loss, *shown(loss))
    backend.load.cache_clear()
    assert len(texts) == 1
    assert texts[0].endswith("\n" + loss.source("cupy"))


# --- gradients -----------------------------------------------------------------------------------------------------

# What a slope may do with the prediction, by its domain. The slope of the logarithm of a probability is a quotient: a
# sure mistake is infinitely wrong. Slopes of entropies and of powers times logarithms keep the logarithm; where two
# probabilities nearly agree, the word log_ratio keeps its digits. A quotient of totals is 0 for an empty image.
ALLOWED = {"Probability": {"division", "logarithm"}}


def suspicious(expression, prediction):
    """What in an expression may overflow or lose digits: a bare exp, a logarithm or a division of the prediction."""
    found = set()
    for part in sympy.preorder_traversal(expression):
        if not part.has(prediction):
            continue
        if isinstance(part, sympy.exp):
            found.add("exp")
        if isinstance(part, (sympy.log, words.log1p, words.log_ratio)):
            found.add("logarithm")
        if isinstance(part, words.reciprocal) or (part.is_Pow and part.exp.could_extract_minus_sign()):
            found.add("division")
    return found


@every_loss
def test_gradients_are_made_of_stable_words(loss):
    """Differentiated, no formula has a bare exp; it divides or takes a logarithm only where the list above says."""
    for setting in settings(loss):
        form = loss.formula_at(**loss.settings(setting)[0])
        found = suspicious(sympy.diff(form.formula, form.prediction), form.prediction)
        assert found <= ALLOWED.get(form.domains[form.prediction].name, set())


def test_suspicious_parts_are_found():
    """The check above sees what it is for."""
    z = sympy.Symbol("z", real=True)
    assert suspicious(sympy.exp(z) + sympy.log(2) + 1 / sympy.pi, z) == {"exp"}
    assert suspicious(words.log1p(-z) + z**2, z) == {"logarithm"}
    assert suspicious(z / (1 + words.sigmoid(z)), z) == {"division"}
    assert suspicious(words.sigmoid(z) * words.softplus(-z), z) == set()


# --- mutants -------------------------------------------------------------------------------------------------------

# The word of the same arity that is most easily taken for another.
TAKEN_FOR = {
    "softplus": "sigmoid", "sigmoid": "tanh", "log": "log1p", "log1p": "expm1", "exp": "expm1", "expm1": "exp",
    "absolute": "square", "square": "absolute", "sign": "tanh", "tanh": "sign", "sqrt": "square",
    "log_cosh": "absolute", "reciprocal": "sign", "maximum": "minimum", "minimum": "maximum", "less": "minimum",
    "share": "less", "weighted": "share", "power": "power_slope", "power_slope": "power", "sigmoid_power": "power",
    "log_ratio": "kl_div", "kl_div": "log_ratio", "lerp": "log_ratio",
    "step": "less", "difference": "lerp", "determinant": "shared", "arctan2": "share",
    "shared": "gap", "gap": "shared", "shared_slope": "gap_slope", "gap_slope": "shared_slope",
    "quotient": "minimum", "hypot_minus": "over_hypot",
    "over_hypot": "hypot_minus", "arctan": "tanh",
    "power1p": "power", "power1p_slope": "power1p", "charbonnier": "hypot_minus", "damped": "over_hypot",
    "skew_entropy": "skew_log", "skew_log": "skew_pull", "skew_pull": "skew_log", "xlogy": "power",
    "residual_of_logit": "xlogy",
    "kl_div_of_logit": "kl_div",
    "weighted_quotient": "lerp",
    "weighted_softplus": "weighted_sigmoid", "weighted_sigmoid": "weighted_softplus",
    "weighted_sigmoid_power": "weighted_quotient",
}  # fmt: skip
METHOD_TAKEN_FOR = {"softplus": "sigmoid", "sigmoid": "softplus"}
EVEN = ("absolute", "square", "log_cosh")  # hypot_minus is even in the first of its two arguments, which stay

LINE = re.compile(r"( +(?:const real )?)(\w+) = ([^;]+?)(;?)$")  # an assignment in C++ or in Python


def negative(node):
    return ast.UnaryOp(ast.USub(), node)


def changes(node):
    """(what, another node) for each way to get a node of an expression wrong."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield "sign", ast.BinOp(node.left, other, node.right)
        yield "term", node.left
        yield "term", node.right if isinstance(node.op, ast.Add) else negative(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield "factor", node.left
        yield "factor", node.right
    if isinstance(node, ast.UnaryOp):
        yield "sign", node.operand
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TAKEN_FOR:
        yield "word", ast.Call(ast.Name(TAKEN_FOR[node.func.id]), node.args, [])
        if len(node.args) == 1 and node.func.id not in EVEN and not isinstance(node.args[0], ast.UnaryOp):
            yield "sign", ast.Call(node.func, [negative(node.args[0])], [])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):  # of NumPy's Logistic
        if other := METHOD_TAKEN_FOR.get(node.func.attr):
            yield "word", ast.Call(ast.Attribute(node.func.value, other), node.args, [])
        if isinstance(node.args[0], ast.Constant):
            yield "sign", ast.Call(node.func, [negative(node.args[0]), *node.args[1:]], [])


class Replace(ast.NodeTransformer):
    """Puts another node in the place of one."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)


def wrong_expressions(text):
    """(what, text) of every expression that is one mistake away. C++ and Python spell what is needed alike."""
    text = text.replace("words::", "")
    if not text.startswith("Logistic("):  # NumPy's object for all logistic words of one argument
        yield "sign", f"-({text})"
    for index in range(len(list(ast.walk(ast.parse(text, mode="eval"))))):
        for choice in itertools.count():
            tree = ast.parse(text, mode="eval")
            node = list(ast.walk(tree))[index]
            made = list(changes(node))
            if choice >= len(made):
                break
            what, new = made[choice]
            yield what, ast.unparse(ast.fix_missing_locations(Replace(node, new).visit(tree)))


def unbroken(text):
    """The lines of a kernel, with what stands in brackets on one of them."""
    lines, depth = [], 0
    for line in text.splitlines():
        if depth:
            lines[-1] += line.strip() if lines[-1].endswith("(") else f" {line.strip()}"
        else:
            lines.append(line)
        depth += sum(line.count(sign) for sign in "([") - sum(line.count(sign) for sign in ")]")
    return lines


def mutants(text):
    """(what, text) of every kernel that is one mistake in an arithmetic line of `element` or `finish` away."""
    in_c = "__device__" in text
    if in_c:  # a statement of `element` on one line
        before, element, after = re.split(r"(void element\(.*?\n}\n)", text, maxsplit=1, flags=re.DOTALL)
        text = before + element.replace("\n        ", " ") + after
    inside, lines = False, text.splitlines() if in_c else unbroken(text)
    for number, line in enumerate(lines):
        if re.match(r"(def|__device__ \S+ void) (element|finish)\(", line):
            inside = True
        elif line and line[0] not in " )":
            inside = False
        elif inside and (found := LINE.match(line)):
            start, name, expression, end = found.groups()
            for what, wrong in wrong_expressions(expression):
                spelled = re.sub(rf"\b({'|'.join(SPELLED)})\(", r"words::\1(", wrong) if in_c else wrong
                mutant = [*lines[:number], f"{start}{name} = {spelled}{end}", *lines[number + 1 :]]
                yield f"{what}: {name} = {wrong}", "\n".join(mutant) + "\n"


def test_the_mutator_makes_each_kind_of_mistake():
    """A flipped sign, a dropped term, a dropped factor and a swapped word, once for each place."""
    wrong = [text for _, text in wrong_expressions("words::softplus(-z) + 2*y")]
    assert wrong == [
        "-(softplus(-z) + 2*y)", "softplus(-z) - 2 * y", "softplus(-z)", "2 * y", "sigmoid(-z) + 2 * y",
        "softplus(-z) + 2", "softplus(-z) + y", "softplus(z) + 2 * y",
    ]  # fmt: skip
    assert set(SPELLED) <= set(TAKEN_FOR), "say what a new word is easily taken for"
    lines = ["def element(x, y):", "    value = (", "        x", "        + 2*y", "    )", "    return value"]
    assert [what for what, _ in mutants("\n".join(lines))].count("sign: value = x - 2 * y") == 1


class Case:
    """A loss under a setting, with a handful of points and the exact values and slopes there."""

    def __init__(self, loss, setting, *arrays, integer=False):
        self.loss, self.setting, self.arrays = loss, setting, arrays
        self.flags, self.parameters = loss.settings(setting)
        self.plan = loss.evaluation.plan(self.flags, self.parameters, integer)
        self.integer = integer

    def __repr__(self):
        return f"{self.loss.name}{'-hard' if self.plan.hard else ''}"

    def call(self, backend, arrays=None):
        """Values and slopes on a backend."""
        with Backend(backend).ready() as ready, np.errstate(all="ignore"):
            return ready.call(self.loss.value_and_grad, *(arrays or self.arrays), reduction="none", **self.setting)

    def exact(self):
        """Values and slopes from the formula alone."""
        form = self.loss.formula_at(**self.flags)
        fixed = {symbol: oracle.exact(self.parameters[symbol.name]) for symbol in form.parameters}
        prediction, target = self.arrays[0], self.arrays[-1]
        values, slopes = [], np.empty(prediction.shape)
        if self.plan.shape == "pointwise":
            for i, pair in enumerate(zip(*self.arrays, strict=True)):
                symbols = fixed | dict(zip(form.arrays, map(oracle.exact, pair), strict=True))
                values.append(float(oracle.value(form.formula, symbols)))
                slopes[i] = oracle.slope(form.formula, symbols, form.prediction)
            return np.array(values), slopes
        if self.integer:
            target = np.moveaxis(np.eye(prediction.shape[1])[target], -1, 1)
        groups = [(n,) for n in range(len(prediction))]
        if self.plan.shape == "overlap":
            groups = list(np.ndindex(prediction.shape[:2]))
        for group in groups:
            symbols = {words.classes: mpf(prediction.shape[1]), **fixed}
            for symbol, array in zip(form.arrays, (prediction, target), strict=True):
                symbols[symbol] = [oracle.exact(x) for x in array[group]]
            values.append(float(oracle.value(form.formula, symbols)))
            for i in range(prediction[group].size):
                slopes[(*group, i)] = oracle.slope(form.formula, symbols, form.prediction, i)
        return np.reshape(values, prediction.shape[: len(groups[0])]), slopes

    def random(self):
        """Many random points of the same kind."""
        shape = {"pointwise": (1000,), "rows": (300, 4), "overlap": (20, 3, 9)}[self.plan.shape]
        return example(self.loss, np.float64, shape, seed=1, integer=self.integer)


def pairs(predictions, targets):
    return np.array(list(itertools.product(predictions, targets)), float).T.copy()


LOGITS, LABELS = (-2.3, -0.4, 0.7, 3.1), (0, 0.3, 1)
RESIDUALS = pairs(LOGITS, (-3.5, 0.3, 2))
ROWS = np.array([[0.3, -1.2, 2.1], [1.4, 0.2, -0.5], [-3.0, 2.5, 0.1]])
PARTS = np.array([[0.2, 0.3, 0.5], [0.6, 0.15, 0.25], [0.1, 0.85, 0.05]])
SHARES = np.array([[0.2, 0.3, 0.5], [0, 1, 0], [0.9, 0.1, 0]])
INDICES = np.array([2, 2, 0])
PIXELS = np.random.default_rng(8).uniform(0.1, 0.9, (2, 2, 4))
MASK = (np.arange(16).reshape(2, 2, 4) % 3 == 0).astype(float)
COVER = PIXELS[::-1] * [[[0], [0.3]], [[-0.3], [0]]] + [[[0], [0]], [[1], [1]]]  # nothing, little, much, all

CASES = [
    Case(binary.cross_entropy_with_logits, {"pos_weight": 0.4}, *pairs(LOGITS, LABELS)),
    Case(binary.focal_with_logits, {"gamma": 1.5, "alpha": 0.3}, *pairs(LOGITS, LABELS)),
    Case(binary.focal, {"gamma": 1.5, "alpha": 0.3}, *pairs((0.2, 0.6, 0.85), LABELS)),
    Case(binary.soft_margin, {}, *pairs(LOGITS, (-1, 1))),
    Case(regression.squared_error, {}, *RESIDUALS),
    Case(regression.absolute_error, {}, *RESIDUALS),
    Case(regression.huber, {"delta": 1.7}, *RESIDUALS),
    Case(regression.log_cosh, {}, *RESIDUALS),
    Case(regression.pseudo_huber, {"delta": 1.7}, *RESIDUALS),
    Case(divergence.entropy, {}, np.array([0.04, 0.4, 0.93])),
    Case(divergence.jensen_shannon, {}, *pairs((0.04, 0.4, 0.93), (0.06, 0.4 + 1e-9, 0.9))),
    Case(divergence.alpha_kullback_leibler, {"alpha": 0.8}, *pairs((0.04, 0.4, 0.93), (0.06, 0.5, 0.9))),
    Case(multiclass.cross_entropy_with_logits, {}, ROWS, INDICES, integer=True),
    Case(multiclass.cross_entropy_with_logits, {"smoothing": 0.2}, ROWS, SHARES),
    Case(multiclass.cross_entropy_with_logits, {"smoothing": 0.2}, ROWS, INDICES, integer=True),
    Case(multiclass.perceptron, {}, ROWS, INDICES, integer=True),
    Case(multiclass.perceptron, {}, ROWS, SHARES),
    Case(multiclass.focal, {"gamma": 1.5, "alpha": 0.3}, PARTS, INDICES, integer=True),
    Case(multiclass.kullback_leibler, {}, PARTS, SHARES),
    Case(multiclass.kullback_leibler, {}, PARTS, INDICES, integer=True),
    Case(multilabel.soft_margin, {}, ROWS, SHARES),
    Case(segmentation.dice, {"smooth": 0.7}, PIXELS, MASK),
    Case(segmentation.dice, {"smooth": 0.7, "squared": True}, PIXELS, MASK[:, 0].astype(int), integer=True),
    Case(segmentation.focal_tversky, {"gamma": 1.5, "smooth": 0.7}, PIXELS, MASK),
    Case(segmentation.balanced_cross_entropy, {"floor": 0.4}, PIXELS, COVER),
    Case(segmentation.sensitivity_specificity, {"ratio": 0.3}, PIXELS, COVER),
]  # fmt: skip


def kinds(plan, integer):
    """What decides which loops a kernel has: its shape, what a row is made of, its target; and the words it calls."""
    numpy = backends.get("numpy")
    text = numpy.source(plan).partition(numpy.BELOW)[0]
    called = {word for word in SPELLED if re.search(rf"[ (*/-]{word}\(", text.replace("weighted=weighted", ""))}
    return {(plan.shape, plan.row, plan.hard, integer, len(plan.arrays)), *called}


def test_every_kind_of_kernel_has_a_case():
    """Each shape of kernel, each kind of row with each kind of target, and each word that a loss uses is in a case."""
    used = set().union(*(kinds(plan, integer) for loss in LOSSES for plan, integer in variants(loss)))
    missing = used.difference(*(kinds(case.plan, case.integer) for case in CASES))
    assert not missing


def near(results, wanted):
    """Whether values and slopes agree."""
    return all(np.allclose(a, b, rtol=1e-9, atol=1e-30) for a, b in zip(results, wanted, strict=True))


class Runner:
    """Runs a case with other text in place of the generated one, through the public interface."""

    def __init__(self, backend, monkeypatch, folder):
        self.backend, self.module, self.patch = backend, backends.get(backend), monkeypatch
        monkeypatch.setenv("LOSSBOOK_CACHE", str(folder / "cache"))
        monkeypatch.setattr(kernels, "_directory", None)
        monkeypatch.setattr(kernels, "_modules", {})

    def forget(self):
        """Clear what was kept of earlier texts."""
        for module in (self.module, backends.get("numpy")):
            for kept in vars(module).values():
                if callable(kept) and hasattr(kept, "cache_clear"):
                    kept.cache_clear()

    def source(self, case):
        return self.module.source(case.plan) if self.backend == "numpy" else self.module.source(
            case.plan, np.float64, case.integer
        )  # fmt: skip

    def install(self, case, texts):
        """Prepare for texts; returns a function that puts the k-th in place."""
        if self.backend == "cupy":
            return self.install_together(case, texts)

        def put(k):
            self.forget()
            words_used = r"(from lossbook\.backends\.[\w.]+ import) (\([^)]*\)|.*)"
            text = re.sub(words_used, r"\1 *\n\1 \2", texts[k])  # a swapped word may be new
            self.patch.setattr(self.module, "source", lambda *_: text)

        return put

    def install_together(self, case, texts):
        """For g++ the texts go into one source, each in a namespace of its own, and are compiled at once."""
        whole = self.module.text(case.plan, np.float64, case.integer)
        parts = [whole.removesuffix(self.module.source(case.plan, np.float64, case.integer))]
        for k, text in enumerate(texts):
            named = re.sub(r"(__global__ void \w+)\(", rf"\1_{k}(", text)
            functions = re.findall(r"__global__ void (\w+)\(", named)
            parts.append(f"namespace mutant_{k} {{\n{named}\n}}\n")
            parts.extend(f"using mutant_{k}::{function};\n" for function in functions)
        self.patch.setattr(fake_cupy, "FLAGS", tuple(flag for flag in fake_cupy.FLAGS if flag != "-O2"))
        compiled = fake_cupy.RawModule(code="".join(parts), options=("--std=c++17",))

        def put(k):
            load = lambda plan, real, integer, name, device: compiled.get_function(f"{name}_{k}")  # noqa: E731
            self.patch.setattr(self.module, "load", load)

        return put


@pytest.fixture
def unchanged():
    """After the test no module of a mutant remains, and no kept kernel."""
    begun = {name: module for name, module in sys.modules.items() if name.startswith("lossbook.kernels.")}
    yield
    for name in [name for name in sys.modules if name.startswith("lossbook.kernels.")]:
        del sys.modules[name]
    sys.modules.update(begun)


def one_each(found):
    """The first mutant of each kind in each line."""
    return list({what.partition(" = ")[0]: (what, text) for what, text in reversed(found)}.values())


def hunt(case, runner, choose=list):
    """How many mutants were killed, and which were none; fails for one that the accuracy check does not notice.

    A mutant that passes is called equivalent only if it computes the same function: both are piecewise analytic, and
    agree at a thousand random points. One that leaves a bare number where an array is needed does not run, and is none
    either.
    """
    original = runner.source(case)
    found = choose(list(mutants(original)))
    put = runner.install(case, [original, *(text for _, text in found)])
    wanted = case.exact()
    put(0)
    assert near(case.call(runner.backend), wanted)
    many = case.random()
    true = case.call(runner.backend, many)
    killed, equivalent = 0, []
    for k, (what, text) in enumerate(found, 1):
        assert text != original, what
        put(k)
        try:
            results = case.call(runner.backend)
        except (AttributeError, TypeError) as error:
            if not re.search(r"has no (attribute '(dtype|astype)'|len\(\))$", str(error)):
                raise
            continue
        if not near(results, wanted):
            killed += 1
        elif near(case.call(runner.backend, many), true):
            equivalent.append(what)
        else:
            raise AssertionError(f"{case!r} on {runner.backend}: the accuracy check does not notice {what}")
    runner.forget()
    return killed, equivalent


def is_short(case):
    """Whether a case has not hundreds of mutants: those run on NumPy alone, where they cost little."""
    return sum(1 for _ in mutants(backends.get("cupy").source(case.plan, np.float64, case.integer))) < 100


@pytest.mark.parametrize(
    ("backend", "case"),
    [("numpy", case) for case in CASES] + [("cupy", case) for case in CASES if is_short(case)],
    ids=str,
)
def test_every_mutant_is_noticed(case, backend, monkeypatch, tmp_path, unchanged):
    """A flipped sign, a dropped term or factor and a swapped word in a kernel make a few exact numbers disagree."""
    killed, equivalent = hunt(case, Runner(backend, monkeypatch, tmp_path))
    print(f"{case!r} on {backend}: {killed} killed, {len(equivalent)} equivalent {equivalent}")
    assert killed >= 4
    assert len(equivalent) <= killed / 4


@pytest.mark.parametrize("case", [CASES[3], CASES[4]], ids=repr)
def test_every_mutant_is_noticed_on_numba(case, monkeypatch, tmp_path, unchanged):
    """The same for compiled kernels, of losses that compile quickly: one mistake of each kind in each line."""
    killed, equivalent = hunt(case, Runner("numba", monkeypatch, tmp_path), one_each)
    print(f"{case!r} on numba: {killed} killed, {len(equivalent)} equivalent {equivalent}")
    assert killed >= 4
    assert not equivalent
