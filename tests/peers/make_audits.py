"""Write tests/peers/audits.json: what the audit says of the losses of other libraries, with their versions.

Run it where they are installed; a library that is missing keeps the rows that are stored:

    python tests/peers/make_audits.py
    python tests/peers/make_audits.py optax.huber_loss keras.Dice

A row of PEERS is a name, how the function is made, the loss that it is meant to be, and the parameters that it was
told. What is made is called by the audit alone.
"""

import argparse
import contextlib
import importlib
import importlib.metadata
import json
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
warnings.simplefilter("ignore")

import lossbook  # noqa: E402
from lossbook import binary, detection, multiclass, multilabel, regression, segmentation  # noqa: E402

FILE = Path(__file__).parent / "audits.json"
PACKAGES = {
    "torch": "torch", "keras": "keras", "optax": "optax", "monai": "monai", "torchvision": "torchvision",
    "smp": "segmentation-models-pytorch", "kornia": "kornia", "fvcore": "fvcore",
}  # fmt: skip
MODULES = {
    "torch": "torch.nn", "keras": "keras.losses", "optax": "optax.losses", "monai": "monai.losses",
    "torchvision": "torchvision.ops", "smp": "segmentation_models_pytorch.losses", "kornia": "kornia.losses",
    "fvcore": "fvcore.nn",
}  # fmt: skip


def import_torchvision():
    """Let torchvision be imported beside a PyTorch for which its kernels were not built; its losses need none."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401

    return library  # which ends with the last that holds it


def made(**options):
    """A class of a library, made with options."""
    return lambda item: item(**options)


def with_options(**options):
    """A function of a library, called with options."""
    return lambda item: lambda *arrays: item(*arrays, **options)


def itself(item):
    """A function of a library."""
    return item


F = "functional."
CE, MULTI = multiclass.cross_entropy_with_logits, segmentation.cross_entropy_with_logits
FOCAL, DICE, TVERSKY = binary.focal_with_logits, segmentation.dice, segmentation.tversky
PEERS = [  # (library, name, how, loss, parameters)
    ("torch", "BCEWithLogitsLoss", made(), binary.cross_entropy_with_logits, {}),
    ("torch", "BCEWithLogitsLoss", made(reduction="sum"), binary.cross_entropy_with_logits, {}),
    ("torch", F + "binary_cross_entropy_with_logits", itself, binary.cross_entropy_with_logits, {}),
    ("torch", "BCELoss", made(), binary.cross_entropy, {}),
    ("torch", "SoftMarginLoss", made(), binary.soft_margin, {}),
    ("torch", "CrossEntropyLoss", made(), CE, {}),
    ("torch", "CrossEntropyLoss", made(label_smoothing=0.1), CE, {}),
    ("torch", "CrossEntropyLoss", made(ignore_index=255, reduction="sum"), CE, {}),
    ("torch", F + "cross_entropy", itself, CE, {}),
    ("torch", F + "huber_loss", itself, regression.huber, {}),
    ("torch", "NLLLoss", made(), multiclass.negative_log_likelihood, {}),
    ("torch", "KLDivLoss", made(reduction="batchmean"), multiclass.kullback_leibler, {}),
    ("torch", "KLDivLoss", made(), multiclass.kullback_leibler, {}),
    ("torch", "MultiLabelSoftMarginLoss", made(), multilabel.soft_margin, {}),
    ("torch", "MSELoss", made(), regression.squared_error, {}),
    ("torch", F + "mse_loss", itself, regression.squared_error, {}),
    ("torch", "L1Loss", made(), regression.absolute_error, {}),
    ("torch", "SmoothL1Loss", made(beta=0.5), regression.smooth_l1, {}),
    ("torch", "HuberLoss", made(delta=0.5), regression.huber, {}),
    ("torchvision", "sigmoid_focal_loss", itself, FOCAL, {}),
    ("torchvision", "generalized_box_iou_loss", itself, detection.giou, {}),
    ("torchvision", "distance_box_iou_loss", itself, detection.diou, {}),
    ("torchvision", "complete_box_iou_loss", itself, detection.ciou, {}),
    ("fvcore", "sigmoid_focal_loss", itself, FOCAL, {}),
    ("fvcore", "sigmoid_focal_loss", with_options(alpha=0.25, reduction="mean"), FOCAL, {}),
    ("fvcore", "smooth_l1_loss", with_options(beta=0.5), regression.smooth_l1, {}),
    ("fvcore", "giou_loss", itself, detection.giou, {}),
    ("keras", "BinaryCrossentropy", made(), binary.cross_entropy, {}),
    ("keras", "BinaryCrossentropy", made(from_logits=True), binary.cross_entropy_with_logits, {}),
    ("keras", "BinaryFocalCrossentropy", made(), binary.focal, {}),
    ("keras", "BinaryFocalCrossentropy", made(apply_class_balancing=True), binary.focal, {}),
    ("keras", "BinaryFocalCrossentropy", made(from_logits=True), FOCAL, {}),
    ("keras", "binary_focal_crossentropy", itself, binary.focal, {}),
    ("keras", "CategoricalCrossentropy", made(), multiclass.cross_entropy, {}),
    ("keras", "CategoricalCrossentropy", made(from_logits=True, label_smoothing=0.1), CE, {}),
    ("keras", "SparseCategoricalCrossentropy", made(from_logits=True, ignore_class=-1), CE, {}),
    ("keras", "CategoricalFocalCrossentropy", made(), multiclass.focal, {}),
    ("keras", "KLDivergence", made(), multiclass.kullback_leibler, {}),
    ("keras", "MeanSquaredError", made(), regression.squared_error, {}),
    ("keras", "mean_squared_error", itself, regression.squared_error, {}),
    ("keras", "MeanAbsoluteError", made(), regression.absolute_error, {}),
    ("keras", "Huber", made(delta=0.5), regression.huber, {}),
    ("keras", "LogCosh", made(), regression.log_cosh, {}),
    ("keras", "log_cosh", itself, regression.log_cosh, {}),
    ("keras", "Dice", made(), DICE, {}),
    ("keras", "Tversky", made(alpha=0.9, beta=0.1), TVERSKY, {"alpha": 0.9, "beta": 0.1}),
    ("optax", "sigmoid_binary_cross_entropy", itself, binary.cross_entropy_with_logits, {}),
    ("optax", "sigmoid_focal_loss", itself, FOCAL, {}),
    ("optax", "softmax_cross_entropy", itself, CE, {}),
    ("optax", "softmax_cross_entropy_with_integer_labels", itself, CE, {}),
    ("optax", "kl_divergence", itself, multiclass.kullback_leibler, {}),
    ("optax", "multiclass_perceptron_loss", itself, multiclass.perceptron, {}),
    ("optax", "squared_error", itself, regression.squared_error, {}),
    ("optax", "l2_loss", itself, regression.squared_error, {}),
    ("optax", "huber_loss", itself, regression.huber, {}),
    ("optax", "log_cosh", itself, regression.log_cosh, {}),
    ("optax", "dice_loss", itself, DICE, {}),
    ("monai", "DiceLoss", made(), DICE, {}),
    ("monai", "DiceLoss", made(sigmoid=True, batch=True), DICE, {}),
    ("monai", "DiceLoss", made(softmax=True, to_onehot_y=True), DICE, {}),
    ("monai", "DiceLoss", made(jaccard=True), segmentation.jaccard, {}),
    ("monai", "DiceLoss", made(squared_pred=True), DICE, {}),
    ("monai", "TverskyLoss", made(alpha=0.3, beta=0.7), TVERSKY, {"alpha": 0.3, "beta": 0.7}),
    ("monai", "FocalLoss", made(), FOCAL, {}),
    ("monai", "FocalLoss", made(alpha=0.25, reduction="sum"), FOCAL, {"alpha": 0.25}),
    ("monai", "FocalLoss", made(use_softmax=True, to_onehot_y=True), multiclass.focal_with_logits, {}),
    ("smp", "DiceLoss", made(mode="multilabel"), DICE, {}),
    ("smp", "DiceLoss", made(mode="multilabel", from_logits=False, smooth=1.0), DICE, {}),
    ("smp", "JaccardLoss", made(mode="multilabel", from_logits=False), segmentation.jaccard, {}),
    ("smp", "TverskyLoss", made(mode="multilabel", from_logits=False, alpha=0.3, beta=0.7), TVERSKY,
     {"alpha": 0.3, "beta": 0.7}),
    ("smp", "FocalLoss", made(mode="binary"), FOCAL, {}),
    ("smp", "FocalLoss", made(mode="multiclass"), multiclass.focal_with_logits, {}),
    ("smp", "SoftBCEWithLogitsLoss", made(), binary.cross_entropy_with_logits, {}),
    ("smp", "SoftCrossEntropyLoss", made(smooth_factor=0.1), CE, {}),
    ("smp", "SoftCrossEntropyLoss", made(), CE, {}),
    ("kornia", "DiceLoss", made(), DICE, {}),
    ("kornia", "TverskyLoss", made(alpha=0.3, beta=0.7), TVERSKY, {"alpha": 0.3, "beta": 0.7}),
    ("kornia", "FocalLoss", made(alpha=None, reduction="mean"), multiclass.focal_with_logits, {}),
    ("kornia", "FocalLoss", made(alpha=0.25, reduction="mean"), multiclass.focal_with_logits, {}),
    ("kornia", "BinaryFocalLossWithLogits", made(alpha=0.25, reduction="mean"), FOCAL, {}),
    ("kornia", "charbonnier_loss", itself, regression.pseudo_huber, {}),
]  # fmt: skip


def function_of(library, name, how):
    """What the audit is given."""
    item = importlib.import_module(MODULES[library])
    for part in name.split("."):
        item = getattr(item, part)
    return how(item)


def key_of(library, name, how):
    """The row's name, with the options that it was made with."""
    cells = how.__closure__ or ()
    options = cells[0].cell_contents if cells else {}
    inside = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return f"{library}.{name}({inside})" if cells else f"{library}.{name}"


def row(library, name, how, like, parameters):
    """What the audit says, as data."""
    report = lossbook.audit(function_of(library, name, how), like=like, **parameters)
    return {
        "name": key_of(library, name, how),
        "version": importlib.metadata.version(PACKAGES[library]),
        "like": like.name,
        "parameters": parameters,
        "equals": report.equals,
        "findings": [[finding.severity, finding.kind, finding.text] for finding in report.findings],
    }


def main():
    """Write the file, a row for each peer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="what is audited anew, as library or library.name; else all is")
    chosen = parser.parse_args().names
    known = {one["name"]: one for one in json.loads(FILE.read_text("utf-8"))} if FILE.exists() else {}
    held = []
    with contextlib.suppress(ImportError):
        try:
            importlib.import_module("torchvision")
        except RuntimeError:
            held.append(import_torchvision())
    for library, name, how, like, parameters in PEERS:
        key = key_of(library, name, how)
        wanted = not chosen or any(key == one or key.startswith((one + ".", one + "(")) for one in chosen)
        try:
            importlib.import_module(MODULES[library])
        except ImportError as error:
            print(f"{key}: {error}; what is stored stays", file=sys.stderr)
            wanted = False
        if wanted:
            known[key] = row(library, name, how, like, parameters)
            print(key, "->", known[key]["equals"], flush=True)
            write(known)


def write(known):
    """Store what is known, in the order of PEERS."""
    rows = [known[key] for key in (key_of(*peer[:3]) for peer in PEERS) if key in known]
    FILE.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
