"""What a user sees of a loss: signatures, source, `help`, `?` and `??` of IPython, completion."""

import inspect
import pickle
import pydoc
import re

import numpy as np
import pytest
from cases import LOSSES
from IPython.core.completer import IPCompleter, provisionalcompleter
from IPython.core.oinspect import Inspector

import lossbook
from lossbook import Expression, Label, Loss, Positive, Probability, binary, detection, segmentation
from lossbook.words import log

COMPOSED = [
    segmentation.dice + segmentation.jaccard, segmentation.dice.on_logits("softmax"),
    segmentation.hausdorff.on_logits("sigmoid"), detection.mask_rcnn, segmentation.boundary,
    binary.focal.with_parameters(gamma=3.0, reduction="sum"),
]  # fmt: skip
MODULES = [item for name in lossbook.__all__ if inspect.ismodule(item := getattr(lossbook, name))]

every_loss = pytest.mark.parametrize("loss", [*LOSSES, *COMPOSED], ids=lambda loss: loss.name)


@lossbook.loss
def surprise(p: Probability, y: Label, *, unit: Positive = 1.0) -> Expression:
    """The surprise at a yes, in units."""
    return -y * log(p) / unit


# --- signatures ------------------------------------------------------------------------------------------------------


@every_loss
def test_methods_have_the_signature_of_the_loss(loss):
    """grad and value_and_grad take what the loss takes, and out; partial takes no reduction. The defaults are equal."""
    own = dict(inspect.signature(loss).parameters)
    out = inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None)
    for method in (loss.grad, loss.value_and_grad):
        assert dict(inspect.signature(method).parameters) == own | {"out": out}
    assert dict(inspect.signature(loss.partial).parameters) == {n: p for n, p in own.items() if n != "reduction"}


def test_methods_bind_what_they_are_called_with():
    """The signatures are in order, as `bind` needs them, and a method is called in the same way."""
    p, y = np.array([0.5, 0.2]), np.array([1.0, 0.0])
    bound = inspect.signature(binary.focal.grad).bind(p, y, gamma=1.0, out=np.empty(2))
    assert list(bound.arguments) == ["p", "y", "out", "gamma"]
    assert binary.focal.grad(*bound.args, **bound.kwargs) is bound.arguments["out"]
    with pytest.raises(TypeError, match="gama"):
        inspect.signature(binary.focal.grad).bind(p, y, gama=1.0)


def test_methods_are_those_of_their_loss():
    """A method names its loss, documents it, pickles with it, and belongs to a loss with other defaults as well."""
    other = binary.focal.with_parameters(gamma=3.0)
    method = other.grad
    assert inspect.signature(method).parameters["gamma"].default == 3.0
    assert inspect.signature(binary.focal.grad).parameters["gamma"].default == 2.0
    assert (method.__name__, method.__self__, repr(method)) == ("grad", other, f"<grad of {other!r}>")
    text = inspect.getdoc(method)
    assert text.startswith("The gradient")
    assert text.endswith(inspect.getdoc(other))
    assert pickle.loads(pickle.dumps(method)) == method == other.grad
    assert hash(method) == hash(other.grad)
    assert method not in (binary.focal.grad, other.value_and_grad)
    assert inspect.isfunction(Loss.grad)
    assert next(iter(inspect.signature(Loss.grad).parameters)) == "self"


# --- source and help -------------------------------------------------------------------------------------------------


@every_loss
def test_the_source_of_a_loss_is_its_declaration(loss):
    """`inspect.getsource` shows the decorated function, of losses with several predictions the class."""
    if isinstance(loss, type(COMPOSED[0])):  # a sum is declared nowhere
        with pytest.raises(TypeError):
            inspect.getsource(loss)
        return
    name = getattr(loss, "part", loss).__name__
    text = inspect.getsource(loss)
    if loss.shape == "joined":
        assert text.startswith(f"class {type(loss).__name__}(")
    else:
        assert text.startswith("@")
        assert f"\ndef {name}(" in text


def test_the_source_of_the_class_is_the_class():
    """Only losses lead to a function; the class itself stays what it is, and so do its methods."""
    assert inspect.getsource(Loss).startswith("class Loss(SecondDerivatives):")
    assert "def grad(" in inspect.getsource(binary.focal.grad)
    assert inspect.getsource(surprise).splitlines()[1].startswith("def surprise(")


def shown(value, detail):
    """The fields that IPython shows for value? (0) and value?? (1)."""
    text = Inspector(theme_name="nocolor")._get_info(value, "it", detail_level=detail)["text/plain"]
    return " ".join(text.split())


@pytest.mark.parametrize("loss", [binary.focal, surprise, segmentation.hausdorff, detection.detection, *COMPOSED[:2]])
def test_ipython_shows_signature_docstring_and_source(loss):
    """`loss?` and `loss.grad?` show arrays, parameters and the docstring; `loss??` shows the declaration."""
    names = [str(parameter) for parameter in loss.signature.parameters.values()]
    for value in (loss, loss.grad):
        text = shown(value, 0)
        signature, _, rest = text.partition("Call signature:")
        assert all(re.search(rf"[( ]{re.escape(name)}[,)]", signature) for name in names)
        assert " ".join(inspect.getdoc(loss).split()) in rest
    if loss is not COMPOSED[0]:
        assert " ".join(inspect.getsource(loss).split()) in shown(loss, 1)


def test_help_shows_the_docstring():
    """`help(loss)` and `help(loss.grad)` show what the loss says of its arguments."""
    for value in (surprise, surprise.grad):
        assert "A positive number; 1.0 if left out." in pydoc.plain(pydoc.render_doc(value))


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [lossbook, *MODULES], ids=lambda module: module.__name__)
def test_dir_offers_the_public_names(module):
    """`dir` of the package and of its modules gives the names in `__all__`, and not what the module has imported."""
    assert len(module.__all__) > 1
    assert sorted(name for name in dir(module) if not name.startswith("_")) == sorted(module.__all__)
    assert "__doc__" in dir(module)


@pytest.mark.parametrize("use_jedi", [False, True])
def test_completion_offers_the_public_names(use_jedi):
    """`binary.<TAB>` in IPython offers losses and nothing else, and `binary.focal(..., ga<TAB>` its parameters."""
    completer = IPCompleter(shell=None, namespace={"binary": binary, "lossbook": lossbook}, use_jedi=use_jedi)

    def offered(text):
        with provisionalcompleter():
            return {one.text.rpartition(".")[2] for one in completer.completions(text, len(text))}

    for module, text in ((binary, "binary."), (lossbook, "lossbook.")):
        assert {name for name in offered(text) if not name.startswith("_")} == set(module.__all__)
    assert "gamma=" in offered("binary.focal.grad(p, y, ga")
