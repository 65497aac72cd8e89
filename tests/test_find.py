"""Names of losses in other libraries."""

import ast

import pytest

import lossbook
from lossbook.workshop.find import table


@pytest.mark.parametrize("one", [one for one in table() if one.call], ids=lambda one: f"{one.library}-{one.name}")
def test_a_call_is_one(one):
    """The call is Python; it names losses of the package, with arguments that they have."""
    tree = ast.parse(one.call, mode="eval")
    named = [attribute(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert one.loss in [loss for loss in named if loss is not None]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.keywords and ast.unparse(node.keywords[0]) != "axis=1":
            loss = one.loss if isinstance(node.func, ast.Call) else attribute(node.func)
            if loss is not None:
                loss.with_parameters(**{word.arg: ast.literal_eval(word.value) for word in node.keywords})


def attribute(node):
    """The object that `module.name` names in the package, or None."""
    module, _, name = ast.unparse(node).partition(".")
    return getattr(getattr(lossbook, module, None), name, None)


def test_names_are_found_however_they_are_written():
    """With modules, in another case, without underscores."""
    for name in ("BCEWithLogitsLoss", "torch.nn.BCEWithLogitsLoss", "bce_with_logits_loss", "BCEWithLogitsLoss()"):
        found = lossbook.find(name)
        assert found
        assert found.loss is lossbook.binary.cross_entropy_with_logits
        assert found.call == "binary.cross_entropy_with_logits(z, y)"
    assert [one.library for one in lossbook.find("monai.losses.DiceLoss")] == ["MONAI"]
    assert len(lossbook.find("DiceLoss")) > 1


def test_an_unknown_name_gives_the_nearest():
    """The answer is false, and says which names are like it."""
    found = lossbook.find("CrossEntropiLoss")
    assert not found
    assert found.loss is found.call is None
    assert found.nearest[0].name == "CrossEntropyLoss"
    assert "CrossEntropyLoss" in str(found)
    assert not lossbook.find("xyzzy").nearest
    with pytest.raises(TypeError, match="find: name must be text; got int"):
        lossbook.find(3)


def test_a_loss_that_is_not_here_is_known_as_such():
    """A name of another library for which there is no loss is found, without a call."""
    found = lossbook.find("CTCLoss")
    assert found
    assert found.call is None
    assert "no loss of this package" in str(found)


def test_the_flags_that_change_a_number_are_told():
    """What a call with another switch is here stands beside the call with the defaults."""
    flags = {
        ("PyTorch", "BCEWithLogitsLoss"): ["pos_weight="],
        ("PyTorch", "CrossEntropyLoss"): ["label_smoothing=", "weight="],
        ("Keras", "BinaryCrossentropy"): ["from_logits=True"],
        ("Keras", "BinaryFocalCrossentropy"): ["apply_class_balancing="],
        ("MONAI", "DiceLoss"): ["include_background=", "to_onehot_y=", "sigmoid=", "softmax="],
        ("MONAI", "TverskyLoss"): ["include_background=", "to_onehot_y="],
        ("MONAI", "DiceCELoss"): ["sigmoid=", "softmax="],
        ("MONAI", "HausdorffDTLoss"): ["include_background="],
        ("segmentation_models_pytorch", "DiceLoss"): ["'multilabel'", "'binary'", "'multiclass'"],
    }  # fmt: skip
    notes = {(one.library, one.name): one.note for one in table()}
    assert [(key, flag) for key, told in flags.items() for flag in told if flag not in notes[key]] == []
    calls = {one.name: one.call for one in table() if one.library == "torchvision"}
    assert all("reduction='none'" in call for call in calls.values()), "torchvision reduces nothing by default"


def test_every_library_is_there():
    """Those that the contract names."""
    wanted = {"PyTorch", "Keras", "optax", "MONAI", "torchvision", "scikit-learn", "kornia"}
    wanted.add("segmentation_models_pytorch")
    assert wanted <= {one.library for one in table()}
