"""Losses of PyTorch's tensors: the graph, second derivatives, compilation, what is refused (`make test-frameworks`)."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from cases import EVERY_LOSS, LOSSES, example

from lossbook import DomainError, ShapeError, binary, detection, multiclass, regression, segmentation
from lossbook.errors import BackendError

torch = pytest.importorskip("torch")
# What PyTorch says of itself.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}")
    for text in (
        ".*torch.jit.*:FutureWarning",
        ".*torch.jit.*:DeprecationWarning",
        ".*complex modules.*:UserWarning",
        ".*should not be instantiated.*:DeprecationWarning",
    )
]

from lossbook.torch import Criterion  # noqa: E402

ON_LOGITS = [
    loss.on_logits(activation)
    for loss in LOSSES
    if loss.declaration.of_prediction.holds_probabilities and len(loss.declaration.predictions) == 1
    for activation in ("sigmoid", "softmax")
    if activation == "sigmoid" or loss.space.classes
]
BOXES = [loss for loss in EVERY_LOSS if loss.shape == "boxes"]
SUM = 0.3 * segmentation.dice.on_logits("softmax") + 0.7 * segmentation.cross_entropy_with_logits
every_text = pytest.mark.parametrize("loss", [*LOSSES, *ON_LOGITS, *BOXES, SUM], ids=lambda loss: loss.name)


def tensors(loss, dtype=np.float64):
    """A few elements, rows, images or boxes."""
    if loss.shape == "boxes":
        random = np.random.default_rng(0)
        low, sides = random.random((2, 3, 2)) * 3, random.random((2, 3, 2)) + 0.1
        arrays = np.concatenate([low, low + sides], axis=-1).astype(dtype)
    else:
        arrays = example(loss, dtype, (2, 3, 2) if loss.space.classes else (4,))
    prediction, *others = (torch.from_numpy(np.array(array)) for array in arrays)
    return prediction.requires_grad_(), *others


@every_text
def test_second_derivatives_are_those_of_the_gradient(loss):
    """By finite differences of the gradient, and the same by every way that PyTorch has."""
    z, *others = tensors(loss)

    def value(z):
        return loss(z, *others)

    assert torch.autograd.gradgradcheck(value, z, atol=1e-5, rtol=1e-3)
    wanted = torch.autograd.functional.hessian(value, z.detach())
    for transform in (torch.func.hessian, lambda f: torch.func.jacrev(torch.func.grad(f))):
        torch.testing.assert_close(transform(value)(z.detach()), wanted)


@every_text
def test_a_batch_is_mapped(loss):
    """torch.func.vmap gives what each call gives, as does the gradient of each."""
    z, *others = tensors(loss)
    batch = torch.stack([z.detach(), z.detach().flip(0)])
    for function in (lambda z: loss(z, *others), torch.func.grad(lambda z: loss(z, *others))):
        torch.testing.assert_close(torch.func.vmap(function)(batch), torch.stack([function(z) for z in batch]))


@pytest.mark.parametrize(
    "loss", [binary.focal_with_logits, multiclass.focal_with_logits, detection.ciou, regression.huber, SUM],
    ids=lambda loss: loss.name,
)  # fmt: skip
def test_a_whole_call_is_compiled(loss):
    """Without a break of the graph; options and parameters that the code holds are constants."""
    z, *others = tensors(loss)
    z = torch.cat([z.detach()] * 3)
    weight, three = torch.rand(len(z), dtype=z.dtype), 3.0
    options = {"gamma": three} if "gamma" in loss.declaration.defaults else {}

    def value(z, weight):
        return 2 * loss(z, *(torch.cat([other] * 3)[: len(z)] for other in others), weight=weight, **options)

    compiled = torch.compile(value, fullgraph=True)
    for count in (len(z), len(z) - 1):  # the last batch is smaller
        batch = z[:count].detach().requires_grad_(), weight[:count]
        results = [function(*batch) for function in (value, compiled)]
        (plain, fused) = (torch.autograd.grad(result, batch[0])[0] for result in results)
        torch.testing.assert_close(results[1], results[0])
        torch.testing.assert_close(fused, plain)


def test_the_first_call_may_be_compiled_and_need_no_gradient():
    """As that of a validation step."""
    code = (
        "import torch\nfrom lossbook import multiclass\n"
        "compiled = torch.compile(multiclass.cross_entropy_with_logits, fullgraph=True, backend='eager')\n"
        "print(round(compiled(torch.zeros(2, 3), torch.tensor([0, 1])).item(), 4))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout == "1.0986\n", done.stderr


@pytest.mark.parametrize("loss", EVERY_LOSS, ids=lambda loss: loss.name)
def test_first_derivatives_are_those_of_the_values(loss):
    """For each reduction, of losses of distances and of several predictions as well."""
    if loss.shape == "joined":
        pytest.skip("has a test of its own")
    z, *others = tensors(loss) if loss.shape != "distance" else (torch.rand(2, 3, 2, 2, dtype=torch.float64), None)
    if loss.shape == "distance":
        z, others = z.requires_grad_(), [torch.randint(0, 2, (2, 3, 2, 2)).double()]
    for reduction in ("none", "sum", "mean"):
        assert torch.autograd.gradcheck(lambda z, reduction=reduction: loss(z, *others, reduction=reduction), z)


def test_several_predictions_have_a_gradient_each():
    scores, boxes = torch.rand(4, 3).double().softmax(1).requires_grad_(), torch.rand(4, 4).double().requires_grad_()
    classes, targets = torch.tensor([0, 1, 2, 1]), torch.rand(4, 4).double()
    for reduction in ("none", "sum", "mean"):
        assert torch.autograd.gradcheck(
            lambda s, b, reduction=reduction: detection.detection(s, b, classes, targets, reduction=reduction),
            (scores, boxes),
        )
    with pytest.raises(TypeError, match="differentiated once"):
        torch.autograd.grad(detection.detection(scores, boxes, classes, targets), scores, create_graph=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_results_have_the_dtype_of_the_prediction_and_are_rounded_once(dtype):
    z, y = torch.randn(64, 5).to(dtype).requires_grad_(), torch.randint(0, 5, (64,))
    value = multiclass.cross_entropy_with_logits(z, y)
    value.backward()
    exact = z.detach().double().requires_grad_()
    wanted = multiclass.cross_entropy_with_logits(exact, y)
    wanted.backward()
    assert value.dtype == z.grad.dtype == dtype
    close = {"rtol": 4 * torch.finfo(dtype).eps, "atol": 0}
    torch.testing.assert_close((value, z.grad), (wanted.to(dtype), exact.grad.to(dtype)), **close)
    bits = multiclass.cross_entropy_with_logits.grad(z, y, out=torch.empty_like(z))
    assert torch.equal(bits, z.grad)


def test_a_half_probability_that_rounding_took_beyond_1_is_1():
    p = torch.tensor([1.0078125], dtype=torch.bfloat16)
    assert binary.cross_entropy(p, torch.ones(1)) == 0
    with pytest.raises(DomainError, match="p must be in"):
        binary.cross_entropy(p + 0.25, torch.ones(1))


def test_half_precision_under_autocast_gives_float32():
    z, y = torch.randn(8, 3, dtype=torch.bfloat16), torch.randint(0, 3, (8,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = multiclass.cross_entropy_with_logits(z, y)
    assert value.dtype == torch.float32
    assert value == multiclass.cross_entropy_with_logits(z.float(), y)


def test_the_memory_of_a_tensor_is_read_where_it_is_and_not_written():
    z, y = torch.randn(6, 4).t(), torch.randint(0, 6, (4,))  # not contiguous
    before = z.clone()
    value = multiclass.cross_entropy_with_logits(z, y)
    torch.testing.assert_close(value, torch.nn.functional.cross_entropy(z, y))
    assert torch.equal(z, before)


def test_numbers_may_be_tensors_without_axes():
    z, y = torch.randn(4), torch.rand(4)
    wanted = binary.focal_with_logits(z, y, gamma=3.0)
    assert binary.focal_with_logits(z, y, gamma=torch.tensor(3.0)) == wanted
    slope, value = torch.func.grad_and_value(lambda z: binary.focal_with_logits(z, y, gamma=torch.tensor(3.0)))(z)
    torch.testing.assert_close(value, wanted)
    torch.testing.assert_close(slope, binary.focal_with_logits.grad(z, y, gamma=3.0))


def test_a_target_is_not_rounded_before_the_difference():
    x, y = torch.ones(1), torch.tensor([1 + 2.0**-30], dtype=torch.float64)
    assert regression.absolute_error(x, y) == 2.0**-30
    assert torch.func.vmap(lambda x: regression.absolute_error(x, y))(x[None]) == 2.0**-30  # by the text


def test_what_never_gets_a_gradient_must_not_ask_for_one():
    z, y = torch.randn(3, requires_grad=True), torch.rand(3, requires_grad=True)
    with pytest.raises(DomainError, match=r"binary.cross_entropy_with_logits: y must not require a gradient"):
        binary.cross_entropy_with_logits(z, y)
    with pytest.raises(DomainError, match="weight must not require a gradient"):
        binary.cross_entropy_with_logits(z, y.detach(), weight=y)


def test_wrong_tensors_are_refused_by_name():
    z, y = torch.randn(3, 4), torch.tensor([0, 1, 7])
    loss = multiclass.cross_entropy_with_logits
    with pytest.raises(DomainError, match=r"y must be a class index in 0..3; got 7 at index 2"):
        loss(z, y)
    with pytest.raises(DomainError, match="z must be a dense tensor"):
        loss(z.to_sparse(), y)
    with pytest.raises(BackendError, match="z must be on a processor or a CUDA device"):
        loss.grad(z.to("meta"), y.to("meta"))
    assert loss(z.to("meta"), y.to("meta")).shape == ()  # as the text computes it, wherever the tensor is
    with pytest.raises(BackendError, match="arrays must all be on one device"):
        loss.grad(z.to("meta"), y)
    with pytest.raises(DomainError, match="float8"):
        loss(z.to(torch.float8_e4m3fn), y)
    with pytest.raises(ShapeError, match="out must have shape"):
        loss.grad(z, torch.tensor([0, 1, 2]), out=torch.empty(3))
    with pytest.raises(DomainError, match="out must not share memory with z"):
        loss.grad(z, torch.tensor([0, 1, 2]), out=z)


def test_a_criterion_has_no_state_and_prints_itself():
    criterion = Criterion(multiclass.cross_entropy_with_logits, smoothing=0.1, class_weight=[1.0, 2.0, 3.0])
    z, y = torch.randn(5, 3, requires_grad=True), torch.randint(0, 3, (5,))
    criterion(z, y).backward()
    wanted = torch.nn.functional.cross_entropy(z, y, torch.tensor([1.0, 2.0, 3.0]), label_smoothing=0.1)
    torch.testing.assert_close(criterion(z, y), wanted)
    assert not criterion.state_dict()
    assert "multiclass.cross_entropy_with_logits" in repr(criterion)
    assert "smoothing=0.1" in repr(criterion)
    for other in (copy.deepcopy(criterion), pickle.loads(pickle.dumps(criterion))):
        assert other(z, y) == criterion(z, y)
    with pytest.raises(TypeError, match="takes a loss"):
        Criterion(torch.nn.MSELoss())


@every_text
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_text_needs_nothing_of_the_package(loss, framework):
    """It runs by itself, and gives the value of the loss."""
    pytest.importorskip(framework)
    text = loss.source(framework)
    assert "import lossbook" not in text
    assert "from lossbook" not in text
    assert max(map(len, text.splitlines())) <= (128 if loss is SUM else 120)  # whose parts are indented
    names = {}
    exec(compile(text, loss.name, "exec"), names)
    function = next(value for name, value in reversed(names.items()) if callable(value))
    arrays = [array.detach() for array in tensors(loss, np.float32)]
    wanted = float(loss(*arrays))
    if framework == "jax":
        import jax

        arrays = [jax.numpy.asarray(array.numpy()) for array in arrays]
    np.testing.assert_allclose(float(function(*arrays)), wanted, rtol=3e-6)
