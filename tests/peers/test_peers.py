"""What the audit says of losses of other libraries, as make_audits.py stores it: none of them has to be installed."""

import json
from pathlib import Path

import pytest

import lossbook

ROWS = {row["name"]: row for row in json.loads((Path(__file__).parent / "audits.json").read_text("utf-8"))}

# Losses that no single call of this package equals, and what the audit says instead.
OTHERWISE = {
    "smp.FocalLoss(mode='multiclass')": ("wrong", "sigmoid for softmax"),
    "smp.SoftCrossEntropyLoss()": ("wrong", "call"),  # its default smooth_factor=None raises an error
    "kornia.FocalLoss(alpha=0.25, reduction='mean')": ("convention", "alpha by class"),
    "keras.Tversky(alpha=0.9, beta=0.1)": ("wrong", "parameter"),  # which it exchanges
}
# Faults of the libraries that are known: (a name, or how names begin), the kind, and a part of the sentence.
FAULTS = [
    ("torch.BCEWithLogitsLoss()", "digits of the slope", "prediction 17, target 1 is 0"),
    ("torch.BCELoss()", "clamp", "stops the logarithm"),
    ("torch.SoftMarginLoss()", "overflow", "inf"),
    ("torch.CrossEntropyLoss()", "digits of the value", "all its digits"),
    ("torch.CrossEntropyLoss()", "digits of the slope", "all its digits"),
    ("torch.CrossEntropyLoss()", "all ignored", "nan"),
    ("torch.MSELoss()", "broadcasting", "no more than a warning"),
    ("torch.functional.mse_loss", "weights", "sum of the weights"),
    ("torch.functional.huber_loss", "weights", "number of elements"),
    ("torch.functional.binary_cross_entropy_with_logits", "targets unchecked", "a target of 2"),
    ("torchvision.sigmoid_focal_loss", "digits of the value", "all its digits"),
    ("torchvision.sigmoid_focal_loss", "targets unchecked", "a target of 2"),
    ("torchvision.complete_box_iou_loss", "not a number", "nan"),
    ("torchvision.complete_box_iou_loss", "alpha held fixed", "not that of the value"),
    ("torchvision.generalized_box_iou_loss", "targets unchecked", "x1 > x2"),
    ("keras.BinaryCrossentropy()", "zero gradient", "slope is 0"),
    ("keras.BinaryCrossentropy()", "clamp", "1e-07"),
    ("keras.BinaryFocalCrossentropy(from_logits=True)", "zero gradient", "slope is 0"),
    ("keras.Dice()", "empty mask", "gives 1, where this package gives 0"),
    ("keras.LogCosh()", "digits of the value", "all its digits"),
    ("keras.log_cosh", "negative value", "-1.90465e-09"),
    ("keras.MeanSquaredError()", "broadcasting", "pair by pair"),
    ("keras.SparseCategoricalCrossentropy", "all ignored", "is 0"),
    ("keras.Tversky", "parameter", "Alpha and beta are exchanged"),
    ("keras.binary_focal_crossentropy", "parameter", "alpha changes nothing"),
    ("optax.log_cosh", "digits of the value", "all its digits"),
    ("optax.huber_loss", "broadcasting", "(4, 4)"),
    ("optax.sigmoid_binary_cross_entropy", "broadcasting", "(4, 4)"),
    ("optax.softmax_cross_entropy_with_integer_labels", "targets unchecked", "NaN"),
    ("optax.dice_loss", "parameter", "smooth=1 is smooth=2 here"),
    ("monai.FocalLoss(alpha=0.25, reduction='sum')", "reduction", "/z.shape[2]/z.shape[3]"),
    ("monai.FocalLoss()", "factor", "2 times"),
    ("monai.DiceLoss()", "float16", "nan"),
    ("smp.DiceLoss(mode='multilabel')", "empty mask", "gives 0"),
    ("smp.DiceLoss(mode='multilabel')", "float16", "nan"),
    ("smp.FocalLoss(mode='binary')", "digits of the value", "all its digits"),
    ("smp.SoftCrossEntropyLoss()", "call", "TypeError"),
    ("smp.FocalLoss(mode='multiclass')", "sigmoid for softmax", "yes-or-no"),
]
# What is called wrong, and nothing else is: a convention is not.
WRONG = {"broadcasting", "overflow", "not a number", "zero gradient", "parameter", "sigmoid for softmax", "call"}

every_row = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


@every_row
def test_a_loss_is_identified(row):
    """By its call; where there is none, the audit says what it is."""
    if row["name"] in OTHERWISE:
        assert row["equals"] is None
        assert OTHERWISE[row["name"]] in [(severity, kind) for severity, kind, _ in row["findings"]]
    else:
        module = row["like"].split(".")[0]
        assert row["equals"] is not None
        assert f"{module}." in row["equals"]


@pytest.mark.parametrize(("name", "kind", "part"), FAULTS)
def test_a_known_fault_is_found(name, kind, part):
    """Each under its kind, with its numbers."""
    rows = [row for key, row in ROWS.items() if key == name or key.startswith(name + "(")]
    assert rows
    for row in rows:
        assert any(found == kind and part in text for _, found, text in row["findings"]), row["findings"]


@every_row
def test_no_convention_is_called_wrong(row):
    """What is wrong has one of the kinds that are mistakes."""
    assert {kind for severity, kind, _ in row["findings"] if severity == "wrong"} <= WRONG


@every_row
def test_find_knows_the_name_and_the_call(row):
    """For what is made with the library's defaults, the call that the audit finds is the one that find tells."""
    bare, _, options = row["name"].partition("(")
    found = lossbook.find(bare)
    assert found
    if options in ("", ")") and row["equals"]:
        told = {one.call.replace(", ignore_index=-100", "").replace("axis=-1", "axis=1") for one in found}
        assert row["equals"] in told


@pytest.mark.parametrize("name", ["torch.BCEWithLogitsLoss()", "torch.functional.mse_loss"])
def test_what_is_stored_is_what_is_found(name):
    """Where PyTorch is installed, in the version of the file, an audit says the same today."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; stored audits are tested without it")
    import make_audits

    if torch.__version__.partition("+")[0] != ROWS[name]["version"].partition("+")[0]:
        pytest.skip(f"the audit was stored for PyTorch {ROWS[name]['version']}")
    (peer,) = [peer for peer in make_audits.PEERS if make_audits.key_of(*peer[:3]) == name]
    assert make_audits.row(*peer) == ROWS[name]
