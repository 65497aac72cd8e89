"""Errors carry fields, from which their sentence is made once; nothing parses it."""

import ast
import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import lossbook
from lossbook import BackendError, DomainError, ShapeError, adversarial, binary, detection, segmentation
from lossbook.errors import shown

KINDS = [(ShapeError, ValueError), (DomainError, ValueError), (BackendError, ImportError)]


@pytest.mark.parametrize(("kind", "base"), KINDS)
def test_the_sentence_is_made_of_the_fields(kind, base):
    error = kind("binary.focal", "y", "must be in [0, 1]", 2.0, (3, 7), hint="clip it")
    assert str(error) == "binary.focal: y must be in [0, 1]; got 2.0 at index (3, 7) (clip it)"
    assert isinstance(error, base)
    assert (error.loss, error.argument, error.rule) == ("binary.focal", "y", "must be in [0, 1]")
    assert (error.found, error.index, error.hint) == (2.0, (3, 7), "clip it")
    assert str(error.renamed("mine", "z")) == "mine: z must be in [0, 1]; got 2.0 at index (3, 7) (clip it)"
    assert str(error.shifted((10, 20))) == str(error).replace("(3, 7)", "(13, 27)")
    assert error.shifted((np.nan, 0)).index == ()
    assert str(kind("here", None, "needs SciPy")) == "here: needs SciPy"
    assert str(kind("here", "out", "must be an array", None)) == "here: out must be an array; got None"


@pytest.mark.parametrize(("kind", "base"), KINDS)
def test_an_error_of_users_is_their_text(kind, base):
    error = kind("plain text")
    assert str(error) == "plain text"
    assert error.rule is None
    assert str(kind()) == ""
    assert error.renamed("other", "z") is error
    assert error.shifted((1, 2)) is error
    for made in (error, kind("loss", "y", "must be 1", 2, (5,))):
        for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
            assert type(again) is kind
            assert str(again) == str(made)
            assert vars(again) == vars(made)


def test_what_came_is_shown_in_one_line():
    assert shown(np.zeros((450, 2))) == "an array of shape (450, 2)"
    assert shown(np.float32(1.5)) == shown(np.array(1.5)) == "1.5"
    assert shown(10**5000) == "an integer of 16610 bits"
    assert shown([np.ones(5), np.ones(6)]) == "[an array of shape (5,), an array of shape (6,)]"
    assert shown(np.dtype("i8")) == "dtype int64"

    class Silent:
        def __repr__(self):
            raise RuntimeError

        shape = None

    for value in ("x" * 1000, list(range(1000)), dict.fromkeys(range(99), "y" * 99), Silent(), lambda: 0, {1, 2}):
        assert len(shown(value)) < 400
        assert "\n" not in shown(value)
        pickle.loads(pickle.dumps(DomainError("loss", "y", "must be a number", value)))


def test_errors_of_parts_speak_of_the_loss_that_was_called():
    calls = {
        ("segmentation.dice.on_logits('softmax')", "z"): lambda: segmentation.dice.on_logits("softmax")([1], [0]),
        ("detection.mask_rcnn", "target of masks"): lambda: detection.mask_rcnn(
            [[0.5, 0.5]], np.zeros((1, 4)), [[[[0.5]], [[0.5]]]], [1], np.zeros((1, 4)), [[[2.0]]]
        ),
        ("adversarial.minimax", "fake"): lambda: adversarial.minimax([0.5], [2.0]),
        ("adversarial.minimax", "weight of real"): lambda: adversarial.minimax([0.5], [0.5], weight=([-1.0], [1.0])),
        ("binary.focal", "gamma"): lambda: binary.focal([0.5], [1.0], gamma=np.ones(450)),
    }
    for (loss, argument), call in calls.items():
        with pytest.raises(ValueError) as caught:
            call()
        assert (caught.value.loss, caught.value.argument) == (loss, argument)
        assert str(caught.value).startswith(f"{loss}: {argument} must ")


def test_every_error_has_fields():
    """Wherever the package raises one of its errors, it gives loss, argument and rule, and not a finished sentence."""
    found, kinds = 0, ("BackendError", "DomainError", "ShapeError")
    for file in sorted(Path(lossbook.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in kinds:
                assert len(node.args) >= 3, f"{file.name}:{node.lineno}"
                found += 1
    assert found > 50
