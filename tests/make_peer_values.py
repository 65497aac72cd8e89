"""Write tests/data/peer_values.json: what other libraries, published tables and hand calculation give for each loss.

Run it where PyTorch, Keras, JAX, optax, MONAI, scikit-learn and SciPy are installed; the tests read the file and need
none of them. For losses that are named, the rows of these alone are made anew, and no other library has to be there:

    python tests/make_peer_values.py
    python tests/make_peer_values.py regression.huber

A row is a loss, a name, the call that gives the number, the arrays and the loss's own keywords. The call is text: it is
evaluated here, and kept beside its result. In it the arrays are `prediction` and `target` (or have the `names` of the
row), the loss's keywords keep their names, and everything else is the peer's. Calls without a library are exact:
fractions, or mpmath.

    names       of the arrays, where a loss has several predictions; `predictions` tells how many of them come first
    gradient    how the slopes along the prediction are found: automatically (the default for libraries that
                differentiate; of the sum, if the result is an array), a text of its own, or None
    factor      the loss is this fraction times the peer's number; `why` gives the reason
    wrong       the peer's number is wrong: why, with the `truth` (and `true_gradient`) as an mpmath text
    convention  the peer's number is right for another definition: as `wrong`
    tolerance   relative; 1e-12 unless the peer computes in less than float64
    by          provenance, where no library is called; `published` is then the number, printed elsewhere
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import re
import sys
import warnings
from fractions import Fraction
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
warnings.simplefilter("ignore")

import mpmath  # noqa: E402
import numpy as np  # noqa: E402

mpmath.mp.dps = 60

FILE = Path(__file__).parent / "data" / "peer_values.json"
PEERS = {  # the first that a call names is the one that it asks
    "keras": "Keras",
    "monai": "MONAI",
    "optax": "optax",
    "sklearn": "scikit-learn",
    "scipy": "SciPy",
    "torch": "PyTorch",
}
PACKAGES = {"sklearn": "scikit-learn"}
NEEDED = {  # by a call that names a library
    "keras": ("keras", "torch"),
    "monai": ("monai.losses", "monai.metrics", "torch"),
    "optax": ("optax", "jax.numpy"),
    "sklearn": ("sklearn._loss.loss", "sklearn.metrics"),
    "scipy": ("scipy.spatial.distance", "scipy.special"),
    "torch": ("torch",),
}
WRITTEN_OUT = {
    "F.": "torch.nn.functional.",
    "Bernoulli(": "torch.distributions.Bernoulli(",
    "kl(": "torch.distributions.kl_divergence(",
}
HAND = "by hand, exact fractions"
NOTES = "by hand, completing the worked example of the notes (section 1.1.3)"
OWN = {
    "gradient", "factor", "why", "wrong", "convention", "truth", "true_gradient", "tolerance", "by", "published",
    "version", "names", "predictions",
}  # fmt: skip
ROWS = []


def row(loss, name, call, *arrays, **options):
    """Add a row: options of the row itself are named above, the rest are keywords of the loss."""
    own = {key: value for key, value in options.items() if key in OWN}
    ROWS.append((loss, name, call, arrays, {key: value for key, value in options.items() if key not in OWN}, own))


def a(*values, dtype=np.float64):
    """An array of the numbers, or of the rows."""
    return np.array(values, dtype)


# --- inputs ----------------------------------------------------------------------------------------------------------

P = a(0.03, 0.2, 0.35, 0.5, 0.62, 0.8, 0.91, 0.999)
HARD = a(0, 1, 0, 1, 1, 0, 1, 1)
INSIDE = a(0.05, 0.1, 0.3, 0.45, 0.9, 0.25, 0.96, 0.7)
SOFT = a(0.05, 0.1, 0.3, 0.5, 0.9, 0.25, 1, 0.7)
Z = a(-6.5, -2, -0.4, 0, 0.3, 1.7, 4.2, 9)
SIGN = 2 * HARD - 1
WEIGHT = a(1, 0.5, 2, 0, 3, 1, 0.25, 1.25)  # sums to 9
R = a(-3, -1.25, -0.5, -1e-3, 0.02, 0.75, 2, 40)  # residuals
OBSERVED = a(1, -2, 0.5, 3, 3.5, -1, 0.25, 10)
PREDICTED = OBSERVED + R
EDGE = (a(0, 0, 1, 0.25, 0.75, 0.5), a(0, 0.5, 1, 0, 1, 0.125))

SCORES = a([1, 2, 3], [0.5, -0.5, 0], [2, 0, -1], [-4, 5, 0.25])
CLASS = np.array([2, 0, 1, 1])
HOT = np.eye(3)[CLASS]
CLASS_WEIGHT = a(1, 2, 4)
SHARES = a([0.2, 0.3, 0.5], [0.7, 0.2, 0.1], [0.1, 0.85, 0.05], [0.02, 0.9, 0.08])
TRUE_SHARES = a([0.25, 0.25, 0.5], [1, 0, 0], [0.1, 0.8, 0.1], [0, 0.5, 0.5])
SCORES_3D = np.arange(12.0).reshape(2, 3, 2) ** 1.5 % 5 - 2
CLASS_3D = np.array([[0, 2], [1, 1]])
SCORES_4D = SCORES_3D.reshape(1, 3, 2, 2)
CLASS_4D = np.array([[[0, 255], [1, 2]]])
SCORES_5D = SCORES_3D.reshape(1, 2, 1, 2, 3)
CLASS_5D = np.array([[[[0, 1, 1], [1, 0, 0]]]])
LABELS = a([0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 0.25, 1])

MASKED = a([[[0.1, 0.8, 0.4], [0.9, 0.7, 0.05]], [[0.6, 0.25, 0.5], [0.02, 0.3, 0.95]]])  # (1, 2, 2, 3)
MASKED = np.concatenate([MASKED, 1 - 0.75 * MASKED[:, ::-1]])
MASK = a([[[0, 1, 1], [1, 1, 0]], [[1, 0, 0], [0, 0, 1]]])
MASK = np.concatenate([MASK, 1 - MASK[:, :, ::-1]])
SOFT_MASK = 0.9 * MASK + 0.05
PIXELS = np.concatenate([MASKED, 1.25 - MASKED], axis=1) / 2.5  # four classes, each pixel sums to 1
CHANNELS_LAST = np.moveaxis(PIXELS, 1, 3).copy(), np.moveaxis(SOFT_MASK, 1, 3)[..., [0, 0, 1, 1]].copy()
NOTES_P = a([0.01, 0.03, 0.02, 0.02], [0.05, 0.12, 0.09, 0.07], [0.89, 0.85, 0.88, 0.91], [0.99, 0.97, 0.95, 0.97])
NOTES_Y = a([0] * 4, [0] * 4, [1] * 4, [1] * 4)
NOTES_MASKS = NOTES_P[None, None], NOTES_Y[None, None]


def single(*values):
    """The numbers in float32."""
    return a(*values, dtype=np.float32)


def filled(value, *shape, dtype=np.float64):
    """A constant array."""
    return np.full(shape, value, dtype)


ULP = 2e-6  # tolerance of float32 rows: a few units in the last place
MEAN = 5e-7  # Keras takes the mean of doubles, too, in float32

# fmt: off

# --- divergence: each element is a Bernoulli distribution; the prediction is q, the target p -------------------------

BOTH = "F.binary_cross_entropy(prediction, target, reduction='none')"
YES_NO = "scipy.special.rel_entr({0}, {1}) + scipy.special.rel_entr(1 - {0}, 1 - {1})"
MIX = "Bernoulli((1 - alpha)*{0} + alpha*{1})"
SKEW = (
    f"kl(Bernoulli(target), {MIX.format('target', 'prediction')})",
    f"kl(Bernoulli(prediction), {MIX.format('prediction', 'target')})",
)

row("divergence.entropy", "none", "Bernoulli(prediction).entropy()", P, reduction="none")
row("divergence.entropy", "mean", "Bernoulli(prediction).entropy().mean()", P)
row("divergence.entropy", "edges", "scipy.special.entr(prediction) + scipy.special.entr(1 - prediction)",
    a(0, 1, 0.5, 0.25), reduction="none", tolerance=1e-15)
row("divergence.cross_entropy", "none", BOTH, P, SOFT, reduction="none")
row("divergence.cross_entropy", "sum", "F.binary_cross_entropy(prediction, target, reduction='sum')", P, SOFT,
    reduction="sum")
row("divergence.kullback_leibler", "none", "kl(Bernoulli(target), Bernoulli(prediction))", P, SOFT, reduction="none")
row("divergence.kullback_leibler", "mean", "kl(Bernoulli(target), Bernoulli(prediction)).mean()", P, SOFT)
row("divergence.kullback_leibler", "edges", YES_NO.format("target", "prediction"), *EDGE, reduction="none")
row("divergence.kullback_leibler", "two-classes", "keras.losses.kl_divergence(torch.stack([target, 1 - target], -1), "
    "torch.stack([prediction, 1 - prediction], -1))", P, INSIDE, reduction="none", gradient=None)
row("divergence.kullback_leibler", "nearly-equal", YES_NO.format("target", "prediction"),
    a(0.3 + 1e-9), a(0.3), reduction="none",
    wrong="the terms of yes and of no, about 1e-9 each, cancel to 1e-18",
    truth="[t*log(t/p) + (1 - t)*log((1 - t)/(1 - p)) for p, t in zip(prediction, target)]")
row("divergence.jeffreys", "none", "kl(Bernoulli(target), Bernoulli(prediction)) + "
    "kl(Bernoulli(prediction), Bernoulli(target))", P, INSIDE,
    reduction="none")
row("divergence.jensen_shannon", "none", "scipy.spatial.distance.jensenshannon([target, 1 - target], "
    "[prediction, 1 - prediction])**2", P, SOFT, reduction="none")
row("divergence.jensen_shannon", "edges", "scipy.spatial.distance.jensenshannon([target, 1 - target], "
    "[prediction, 1 - prediction])**2", a(0, 1, 0.25, 1), a(1, 0, 0, 0.5), reduction="none")
row("divergence.jensen_shannon", "root", "scipy.spatial.distance.jensenshannon([target, 1 - target], "
    "[prediction, 1 - prediction])", a(0.9), a(0.1), reduction="none",
    convention="SciPy returns the square root of the divergence, which is a metric",
    truth="[log(2)/2 + sum(a*log(a/(a + b)) + b*log(b/(a + b)) for a, b in ((p, t), (1 - p, 1 - t)))/2 + log(2)/2 "
    "for p, t in zip(prediction, target)]")
row("divergence.jensen_shannon", "halves", "(kl(Bernoulli(target), Bernoulli((target + prediction)/2)) + "
    "kl(Bernoulli(prediction), Bernoulli((target + prediction)/2)))/2", P,
    INSIDE, reduction="none")
row("divergence.alpha_kullback_leibler", "alpha-quarter", SKEW[0], P, SOFT, alpha=0.25, reduction="none")
row("divergence.alpha_kullback_leibler", "sure-against-sure",
    "scipy.special.rel_entr(target, (1 - alpha)*target + alpha*prediction) + "
    "scipy.special.rel_entr(1 - target, 1 - ((1 - alpha)*target + alpha*prediction))",
    a(0, 1, 0.5), a(1, 0, 1), alpha=0.75, reduction="none")
row("divergence.alpha_jensen_shannon", "alpha-quarter", f"({SKEW[0]} + {SKEW[1]})/2", P,
    INSIDE, alpha=0.25, reduction="none")
row("divergence.alpha_jensen_shannon", "alpha-half", "scipy.spatial.distance.jensenshannon([target, 1 - target], "
    "[prediction, 1 - prediction])**2", P, SOFT, alpha=0.5, reduction="none")

# --- binary ----------------------------------------------------------------------------------------------------------

row("binary.cross_entropy", "none", BOTH, P, HARD, reduction="none")
row("binary.cross_entropy", "soft", "F.binary_cross_entropy(prediction, target)", P, SOFT)
row("binary.cross_entropy", "weighted-sum", "F.binary_cross_entropy(prediction, target, weight=weight, "
    "reduction='sum')", P, SOFT, weight=WEIGHT, reduction="sum")
row("binary.cross_entropy", "weighted-mean", "F.binary_cross_entropy(prediction, target, weight=weight)", P, SOFT,
    weight=WEIGHT, factor="8/9",
    why="PyTorch divides the weighted sum by the number of elements, 8; lossbook by the sum of the weights, 9")
row("binary.cross_entropy", "weighted-mean", "sklearn.metrics.log_loss(target, prediction, sample_weight=weight)", P,
    HARD, weight=WEIGHT)
row("binary.cross_entropy", "pos-weight", "F.binary_cross_entropy(prediction, target, "
    "weight=1 + (pos_weight - 1)*target)", P, HARD, pos_weight=3.0)
row("binary.cross_entropy", "mean", "keras.losses.binary_crossentropy(target, prediction)", P, SOFT, tolerance=MEAN)
row("binary.cross_entropy", "smoothed", "keras.losses.binary_crossentropy(torch.round(target), prediction, "
    "label_smoothing=0.1)", P,
    0.9 * HARD + 0.05, tolerance=MEAN)
row("binary.cross_entropy", "notes-4x4-mean", "-fsum(log(p if y else 1 - p) for p, y in flat(prediction, target))/16",
    NOTES_P, NOTES_Y, by=NOTES)
row("binary.cross_entropy", "notes-4x4-sum", "-fsum(log(p if y else 1 - p) for p, y in flat(prediction, target))",
    NOTES_P, NOTES_Y, by=NOTES, reduction="sum")
row("binary.cross_entropy", "tiny", BOTH, a(1e-60, 1e-20, 0.5), a(1, 1, 1), reduction="none",
    wrong="PyTorch stops the logarithm at -100, and p*(1 - p) in the slope at 1e-12",
    truth="[-log(p) for p in prediction]", true_gradient="[-1/p for p in prediction]")
row("binary.cross_entropy", "sure-mistake", BOTH, a(0, 0.5), a(1, 1), reduction="none", gradient=None,
    wrong="PyTorch's cost of a sure mistake is 100, not infinite", truth="[inf, log(2)]")
row("binary.cross_entropy", "tiny", "keras.losses.binary_crossentropy(target[:, None], prediction[:, None])",
    a(1e-12, 0.5), a(1, 1), reduction="none", wrong="Keras clips p to [1e-7, 1 - 1e-7]: cost 16.1 and slope 0",
    truth="[-log(p) for p in prediction]", true_gradient="[-1/p for p in prediction]")

WITH_LOGITS = "F.binary_cross_entropy_with_logits(prediction, target, reduction=reduction)"
row("binary.cross_entropy_with_logits", "none", WITH_LOGITS, Z, HARD, reduction="none")
row("binary.cross_entropy_with_logits", "soft-mean", WITH_LOGITS, Z, SOFT, reduction="mean")
row("binary.cross_entropy_with_logits", "pos-weight", "F.binary_cross_entropy_with_logits(prediction, target, "
    "pos_weight=torch.tensor(pos_weight, dtype=torch.float64))", Z, SOFT, pos_weight=3.0)
row("binary.cross_entropy_with_logits", "weighted-mean", "F.binary_cross_entropy_with_logits(prediction, target, "
    "weight=weight)", Z, SOFT, weight=WEIGHT, factor="8/9",
    why="PyTorch divides the weighted sum by the number of elements, 8; lossbook by the sum of the weights, 9")
row("binary.cross_entropy_with_logits", "none", "optax.losses.sigmoid_binary_cross_entropy(prediction, target)", Z,
    SOFT, reduction="none")
row("binary.cross_entropy_with_logits", "far", "optax.losses.sigmoid_binary_cross_entropy(prediction, target)",
    a(-700, -40, 40, 1e4), a(1, 0, 1, 0), reduction="none")
row("binary.cross_entropy_with_logits", "mean", "keras.losses.binary_crossentropy(target, prediction, "
    "from_logits=True)", Z, SOFT, tolerance=MEAN)
row("binary.cross_entropy_with_logits", "none", "sklearn._loss.loss.HalfBinomialLoss().loss(target, prediction)", Z,
    HARD, gradient="sklearn._loss.loss.HalfBinomialLoss().gradient(target, prediction)", reduction="none",
    tolerance=1e-11)
row("binary.cross_entropy_with_logits", "right-and-sure", WITH_LOGITS, single(17, 0), single(1, 1), reduction="none",
    tolerance=ULP, wrong="PyTorch forms sigmoid(z) - 1, which is 0 in float32: the value is right, its slope is 0",
    truth="[log(1 + exp(-z)) for z in prediction]",
    true_gradient="[-1/(1 + exp(z)) for z in prediction]")
row("binary.cross_entropy_with_logits", "sigmoid-first", "F.binary_cross_entropy(torch.sigmoid(prediction), target, "
    "reduction=reduction)", single(17, -120), single(0, 1), reduction="none", tolerance=ULP,
    wrong="sigmoid(17) is 1 in float32 and the clamp of the logarithm makes the cost 100, with slope 0",
    truth="[log(1 + exp(z if t == 0 else -z)) for z, t in zip(prediction, target)]",
    true_gradient="[1/(1 + exp(-z)) - t for z, t in zip(prediction, target)]")
row("binary.cross_entropy_with_logits", "infinite", WITH_LOGITS, a(np.inf, -np.inf, 1), a(1, 0, 0), reduction="none",
    gradient=None, wrong="0*inf is NaN where a label of 0 meets an infinite cost",
    truth="[mpf(0), mpf(0), log(1 + exp(prediction[2]))]")
row("binary.cross_entropy_with_logits", "weight-0-on-NaN", "F.binary_cross_entropy_with_logits(prediction, target, "
    "weight=weight, reduction=reduction)", a(0.5, np.nan), a(1, 1), weight=a(2, 0), reduction="sum", gradient=None,
    convention="in PyTorch a weight of 0 keeps a NaN; in lossbook it removes the element, whatever stands there",
    truth="2*log(1 + exp(-prediction[0]))")
row("binary.cross_entropy_with_logits", "right-and-sure",
    "sklearn._loss.loss.HalfBinomialLoss().loss(target, prediction)", a(35), a(1), reduction="none", gradient=None,
    wrong="log1pexp(z) - y*z cancels to 0", truth="[log(1 + exp(-z)) for z in prediction]")

FOCAL_P = (
    "[-(alpha*t*(1 - p)**gamma*log(p) + (1 - alpha)*(1 - t)*p**gamma*log(1 - p)) for p, t in zip(prediction, target)]"
)
FOCAL_Z = (
    "[alpha*t*(1 + exp(z))**-gamma*log(1 + exp(-z)) + (1 - alpha)*(1 - t)*(1 + exp(-z))**-gamma*log(1 + exp(z)) "
    "for z, t in zip(prediction, target)]"
)
BALANCED = "apply_class_balancing=True, alpha=alpha, gamma=gamma)"
row("binary.focal", "mean", f"keras.losses.binary_focal_crossentropy(target, prediction, {BALANCED}", P, HARD,
    alpha=0.25, gamma=2.0, tolerance=MEAN)
row("binary.focal", "gamma-three", f"keras.losses.binary_focal_crossentropy(target, prediction, {BALANCED}", P, HARD,
    alpha=0.7, gamma=3.0, tolerance=MEAN)
row("binary.focal", "no-alpha", "keras.losses.binary_focal_crossentropy(target, prediction, gamma=gamma)", P, HARD,
    alpha=0.5, gamma=1.5, tolerance=MEAN, factor="1/2",
    why="without an alpha both labels weigh 1, in lossbook 1/2 each")
row("binary.focal", "nearly-right",
    f"keras.losses.binary_focal_crossentropy(target[:, None], prediction[:, None], {BALANCED}",
    a(1 - 2**-30, 0.5), a(1, 1), alpha=0.25, gamma=2.0, reduction="none", gradient=None,
    wrong="Keras clips p at 1 - 1e-7", truth=FOCAL_P)

OPTAX_FOCAL = "optax.losses.sigmoid_focal_loss(prediction, target, alpha=alpha, gamma=gamma)"
row("binary.focal_with_logits", "none", OPTAX_FOCAL, Z, HARD, alpha=0.25, gamma=2.0, reduction="none")
row("binary.focal_with_logits", "gamma-half", OPTAX_FOCAL, Z, HARD, alpha=0.7, gamma=0.5, reduction="none")
row("binary.focal_with_logits", "cross-entropy", WITH_LOGITS, Z, HARD, alpha=0.5, gamma=0.0, reduction="mean",
    factor="1/2", why="gamma 0 and alpha 1/2 are half the cross-entropy")
row("binary.focal_with_logits", "mean", "monai.losses.FocalLoss(gamma=gamma, alpha=alpha)(prediction[:, None], "
    "target[:, None])", Z[1:7], HARD[1:7], alpha=0.25, gamma=2.0, tolerance=ULP)
row("binary.focal_with_logits", "mean", f"keras.losses.binary_focal_crossentropy(target, prediction, from_logits=True, "
    f"{BALANCED}", Z, HARD, alpha=0.25, gamma=2.0, tolerance=MEAN)
row("binary.focal_with_logits", "two-logits",
    "torchvision.ops.sigmoid_focal_loss(prediction, target, reduction='mean')", a(0.5, -1.2), a(1, 0), alpha=0.25,
    gamma=2.0, by="torchvision", version="0.29.1", published=0.01374, tolerance=4e-4)
row("binary.focal_with_logits", "soft", OPTAX_FOCAL, a(0.5, -1), a(0.25, 0.5), alpha=0.25, gamma=2.0, reduction="none",
    gradient=None, truth=FOCAL_Z,
    convention="soft labels: optax multiplies three mixtures, of the weights, of the chances to be wrong and of the "
    "costs of the two answers; lossbook mixes the two products")
row("binary.focal_with_logits", "right-and-sure", f"keras.losses.binary_focal_crossentropy(target[:, None], "
    f"prediction[:, None], from_logits=True, {BALANCED}", a(20, 30), a(1, 1), alpha=0.25, gamma=2.0, reduction="none",
    wrong="Keras takes the sigmoid and clips it at 1 - 1e-7", truth=FOCAL_Z,
    true_gradient="[-alpha*(1 + exp(z))**-gamma*(gamma*log(1 + exp(-z))/(1 + exp(-z)) + 1/(1 + exp(z))) "
    "for z in prediction]")
row("binary.focal_with_logits", "right-and-sure",
    "monai.losses.FocalLoss(gamma=gamma, alpha=alpha, reduction=reduction)(prediction[:, None], target[:, None])[:, 0]",
    single(20, 1), single(1, 1), alpha=0.25, gamma=2.0, reduction="none", tolerance=1e-5,
    wrong="MONAI's value is right; z - z*y - log_sigmoid(z) has slope 0", truth=FOCAL_Z,
    true_gradient="[-alpha*(1 + exp(z))**-gamma*(gamma*log(1 + exp(-z))/(1 + exp(-z)) + 1/(1 + exp(z))) "
    "for z in prediction]")

SOFT_MARGIN = "F.soft_margin_loss(prediction, target, reduction=reduction)"
row("binary.soft_margin", "none", SOFT_MARGIN, Z, SIGN, reduction="none")
row("binary.soft_margin", "mean", SOFT_MARGIN, Z, SIGN, reduction="mean")
for dtype, z in ((np.float32, -100), (np.float64, -800)):
    row("binary.soft_margin", f"sure-mistake-{dtype.__name__}", SOFT_MARGIN, a(z, 1, dtype=dtype), a(1, 1, dtype=dtype),
        reduction="none", tolerance=ULP if dtype is np.float32 else 1e-12,
        wrong=f"PyTorch takes exp({-z}): the cost is infinite and its slope NaN",
        truth="[log(1 + exp(-z)) for z in prediction]",
        true_gradient="[-1/(1 + exp(z)) for z in prediction]")

# --- multiclass ------------------------------------------------------------------------------------------------------

LOGP = np.log(SHARES)
NLL = "F.nll_loss(prediction, target, weight=class_weight, reduction=reduction)"
row("multiclass.negative_log_likelihood", "mean", "F.nll_loss(prediction, target)", LOGP, CLASS)
for reduction in ("none", "sum", "mean"):
    row("multiclass.negative_log_likelihood", f"class-weight-{reduction}", NLL, LOGP, CLASS, class_weight=CLASS_WEIGHT,
        reduction=reduction)
row("multiclass.negative_log_likelihood", "4-D-ignored", "F.nll_loss(prediction, target, weight=class_weight, "
    "ignore_index=ignore_index)", -np.abs(SCORES_4D) - 0.1, CLASS_4D, class_weight=CLASS_WEIGHT,
    ignore_index=255)

LOG = "F.nll_loss(torch.log(prediction), target, "
row("multiclass.cross_entropy", "none", LOG + "reduction=reduction)", SHARES, CLASS, reduction="none")
row("multiclass.cross_entropy", "class-weight", LOG + "weight=class_weight)", SHARES, CLASS, class_weight=CLASS_WEIGHT)
row("multiclass.cross_entropy", "weighted-mean", "sklearn.metrics.log_loss(target, prediction, sample_weight=weight, "
    "labels=[0, 1, 2])", SHARES, CLASS, weight=a(1, 0, 2.5, 4))
row("multiclass.cross_entropy", "distribution", "keras.losses.categorical_crossentropy(target, prediction)", SHARES,
    TRUE_SHARES, reduction="none", gradient=None)
row("multiclass.cross_entropy", "distribution", "-(target*torch.log(prediction)).sum(1)", SHARES,
    np.where(TRUE_SHARES == 0, 0, TRUE_SHARES), reduction="none")
row("multiclass.cross_entropy", "not-normalized", "keras.losses.categorical_crossentropy(target, prediction)",
    2 * SHARES[:1] / 5, HOT[:1], reduction="none", gradient=None,
    convention="Keras divides each row by its sum first; lossbook takes the probabilities as they are",
    truth="[-log(prediction[0][2])]")
row("multiclass.cross_entropy", "tiny", "keras.losses.categorical_crossentropy(target, prediction)",
    a([1e-12, 1 - 1e-12]), a([1, 0]), reduction="none", gradient=None,
    wrong="Keras clips p to [1e-7, 1 - 1e-7]", truth="[-log(prediction[0][0])]")

CE = "F.cross_entropy(prediction, target, "
row("multiclass.cross_entropy_with_logits", "none", CE + "reduction=reduction)", SCORES, CLASS, reduction="none")
row("multiclass.cross_entropy_with_logits", "mean", "F.cross_entropy(prediction, target)", SCORES, CLASS)
for reduction in ("none", "sum", "mean"):
    row("multiclass.cross_entropy_with_logits", f"class-weight-{reduction}",
        CE + "weight=class_weight, reduction=reduction)", SCORES, CLASS, class_weight=CLASS_WEIGHT,
        reduction=reduction)
    row("multiclass.cross_entropy_with_logits", f"smoothing-class-weight-{reduction}",
        CE + "weight=class_weight, label_smoothing=smoothing, reduction=reduction)", SCORES, CLASS,
        class_weight=CLASS_WEIGHT, smoothing=0.1, reduction=reduction)
row("multiclass.cross_entropy_with_logits", "ignored", CE + "weight=class_weight, ignore_index=ignore_index, "
    "label_smoothing=smoothing)", SCORES, np.array([2, 0, -100, 1]), class_weight=CLASS_WEIGHT, ignore_index=-100,
    smoothing=0.1)
row("multiclass.cross_entropy_with_logits", "all-ignored", "F.cross_entropy(prediction, target)", SCORES,
    np.full(4, -100), ignore_index=-100)
row("multiclass.cross_entropy_with_logits", "all-ignored", "keras.losses.SparseCategoricalCrossentropy("
    "from_logits=True, ignore_class=ignore_index)(target, prediction)", SCORES, np.full(4, 2), ignore_index=2,
    gradient=None, convention="Keras's mean of nothing is 0; lossbook's is NaN, as PyTorch's", truth="nan")
row("multiclass.cross_entropy_with_logits", "3-D-smoothing", CE + "label_smoothing=smoothing)", SCORES_3D, CLASS_3D,
    smoothing=0.2)
row("multiclass.cross_entropy_with_logits", "4-D-ignored", CE + "weight=class_weight, ignore_index=ignore_index)",
    SCORES_4D, CLASS_4D, class_weight=CLASS_WEIGHT, ignore_index=255)
row("multiclass.cross_entropy_with_logits", "5-D", CE + "weight=class_weight, label_smoothing=smoothing)", SCORES_5D,
    CLASS_5D, class_weight=CLASS_WEIGHT[:2], smoothing=0.3)
row("multiclass.cross_entropy_with_logits", "distribution", CE + "reduction=reduction)", SCORES, TRUE_SHARES,
    reduction="none")
row("multiclass.cross_entropy_with_logits", "distribution-class-weight-sum", CE + "weight=class_weight, "
    "label_smoothing=smoothing, reduction=reduction)", SCORES, TRUE_SHARES, class_weight=CLASS_WEIGHT, smoothing=0.1,
    reduction="sum")
row("multiclass.cross_entropy_with_logits", "one-hot-class-weight-mean", CE + "weight=class_weight, "
    "label_smoothing=smoothing)", SCORES, HOT, class_weight=CLASS_WEIGHT, smoothing=0.1, factor="4/9",
    why="for a distribution PyTorch divides by the number of rows, 4; for class indices, as lossbook for both, by the "
    "sum of the weights of the targets, 4 + 1 + 2 + 2")
row("multiclass.cross_entropy_with_logits", "classes-last", "optax.losses.softmax_cross_entropy(prediction, target)",
    np.moveaxis(SCORES_3D, 1, 2).copy(), np.eye(3)[CLASS_3D], axis=-1, reduction="none")
row("multiclass.cross_entropy_with_logits", "none",
    "optax.losses.softmax_cross_entropy_with_integer_labels(prediction, target)", SCORES, CLASS, reduction="none")
row("multiclass.cross_entropy_with_logits", "smoothing", "keras.losses.categorical_crossentropy(target, prediction, "
    "from_logits=True, label_smoothing=smoothing)", SCORES, HOT, smoothing=0.1, reduction="none")
row("multiclass.cross_entropy_with_logits", "ignored", "keras.losses.sparse_categorical_crossentropy(target, "
    "prediction, from_logits=True, ignore_class=ignore_index)", SCORES, CLASS, ignore_index=2, reduction="none")
row("multiclass.cross_entropy_with_logits", "none", "sklearn._loss.loss.HalfMultinomialLoss(n_classes=3).loss("
    "target.astype(float), prediction)", SCORES, CLASS,
    gradient="sklearn._loss.loss.HalfMultinomialLoss(n_classes=3).gradient(target.astype(float), prediction)",
    reduction="none")
SURE = {
    "truth": "[log(1 + exp(z[1] - z[0])) for z in prediction]",
    "true_gradient": "[[-1/(1 + exp(z[0] - z[1])), 1/(1 + exp(z[0] - z[1]))] for z in prediction]",
}
for dtype, z in ((np.float32, 17), (np.float64, 40)):
    given = a([z, 0], [0, 1], dtype=dtype), np.array([0, 0])
    exact = {"tolerance": ULP if dtype is np.float32 else 1e-12, "reduction": "none"}
    row("multiclass.cross_entropy_with_logits", f"right-and-sure-{dtype.__name__}", CE + "reduction=reduction)", *given,
        wrong="log_softmax rounds to 0, so cost and slope of the labeled class are 0", **SURE, **exact)
    row("multiclass.cross_entropy_with_logits", f"right-and-sure-{dtype.__name__}",
        "optax.losses.softmax_cross_entropy_with_integer_labels(prediction, target)", *given,
        wrong="logsumexp(z) - z[y] cancels to 0", **SURE, **exact)
row("multiclass.cross_entropy_with_logits", "infinite", CE + "reduction=reduction)", a([np.inf, 0], [0, 1]),
    np.array([0, 0]), reduction="none", gradient=None, wrong="inf - inf is NaN", truth="[mpf(0), log(1 + exp(mpf(1)))]")
for call in (CE + "reduction=reduction)", "optax.losses.softmax_cross_entropy(prediction, target)"):
    row("multiclass.cross_entropy_with_logits", "masked-class", call, a([0, 1, -np.inf]), a([0.4, 0.6, 0]),
        reduction="none", wrong="a class of probability 0 and target 0 gives 0*inf",
        truth="[log(1 + exp(mpf(1))) - target[0][1]]",
        gradient=None)

row("multiclass.kullback_leibler", "sum", "F.kl_div(torch.log(prediction), target, reduction='sum')", SHARES,
    TRUE_SHARES, reduction="sum", gradient=None)
row("multiclass.kullback_leibler", "batchmean", "F.kl_div(torch.log(prediction), target, reduction='batchmean')",
    SHARES, TRUE_SHARES, gradient=None)
row("multiclass.kullback_leibler", "mean", "F.kl_div(torch.log(prediction), target, reduction='mean')", SHARES,
    TRUE_SHARES, factor="3", gradient=None,
    why="PyTorch's mean divides by rows times classes; the divergence of a row is the sum over its classes")
row("multiclass.kullback_leibler", "not-normalized", "scipy.special.kl_div(target, prediction).sum(1)", 1.1 * SHARES,
    TRUE_SHARES, reduction="none")
row("multiclass.kullback_leibler", "generalized", "optax.losses.generalized_kl_divergence(jnp.log(prediction), target)",
    0.75 * SHARES, a([0.25, 0.25, 0.5], [0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]), reduction="none")
row("multiclass.kullback_leibler", "mean", "keras.losses.kl_divergence(target, prediction)", SHARES,
    a([0.25, 0.25, 0.5], [0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]), reduction="none", gradient=None)
row("multiclass.kullback_leibler", "absent-class", "F.kl_div(torch.log(prediction), target, reduction='batchmean')",
    a([0, 0.25, 0.75]), a([0, 0.5, 0.5]), gradient=None, wrong="0*(log 0 - log 0) is NaN, its limit is 0",
    truth="fsum(t*log(t/p) for p, t in flat(prediction, target) if t)")

KERAS_FOCAL = "keras.losses.categorical_focal_crossentropy(target, prediction, alpha=alpha, gamma=gamma"
row("multiclass.focal", "distribution", KERAS_FOCAL + ")", SHARES, TRUE_SHARES, alpha=0.25, gamma=2.0, reduction="none",
    gradient=None)
row("multiclass.focal", "one-hot", KERAS_FOCAL + ")", SHARES, HOT, alpha=1.0, gamma=0.5, reduction="none",
    gradient=None)
row("multiclass.focal", "worked-row", "alpha*(1 - Fraction(1, 2))**2*log(2)", a([0.5, 0.25, 0.25]), np.array([0]),
    alpha=1.0, gamma=2.0, by="by hand, mpmath")
row("multiclass.focal_with_logits", "none", KERAS_FOCAL + ", from_logits=True)", SCORES, HOT, alpha=0.25, gamma=2.0,
    reduction="none")
row("multiclass.focal_with_logits", "distribution", KERAS_FOCAL + ", from_logits=True)", SCORES, TRUE_SHARES, alpha=1.0,
    gamma=3.0, reduction="none")
row("multiclass.focal_with_logits", "one-hot",
    "monai.losses.FocalLoss(use_softmax=True, gamma=gamma, reduction='none')(prediction, target).sum(1)", SCORES, HOT,
    alpha=1.0, gamma=2.0, reduction="none", tolerance=5e-5)
FOCAL_ROW = "[alpha*(1 + exp(z[0] - z[1]))**-gamma*log(1 + exp(z[1] - z[0])) for z in prediction]"
row("multiclass.focal_with_logits", "right-and-sure", "monai.losses.FocalLoss(use_softmax=True, gamma=gamma, "
    "reduction='none')(prediction, target).sum(1)", single([20, 0], [1, 0]), single([1, 0], [1, 0]), alpha=1.0,
    gamma=0.5, reduction="none", tolerance=1e-5,
    wrong="1 - p is 0 in float32: cost 0, and the slope of its root is NaN", truth=FOCAL_ROW)
row("multiclass.focal_with_logits", "right-and-sure", KERAS_FOCAL + ", from_logits=True)", a([20, 0], [30, 0]),
    a([1, 0], [1, 0]), alpha=0.25, gamma=2.0, reduction="none", gradient=None, wrong="Keras clips p at 1 - 1e-7",
    truth=FOCAL_ROW)

row("multiclass.perceptron", "none", "optax.losses.multiclass_perceptron_loss(prediction, target)", SCORES, CLASS,
    reduction="none")
row("multiclass.perceptron", "mean", "optax.losses.multiclass_perceptron_loss(prediction, target).mean()", SCORES,
    CLASS)

# --- multilabel ------------------------------------------------------------------------------------------------------

row("multilabel.cross_entropy_with_logits", "mean", WITH_LOGITS, SCORES, LABELS, reduction="mean")
row("multilabel.cross_entropy_with_logits", "none", "optax.losses.sigmoid_binary_cross_entropy(prediction, target)",
    SCORES, LABELS, reduction="none")
row("multilabel.soft_margin", "none", "F.multilabel_soft_margin_loss(prediction, target, reduction=reduction)", SCORES,
    LABELS, reduction="none")
row("multilabel.soft_margin", "mean", "F.multilabel_soft_margin_loss(prediction, target)", SCORES, LABELS)
row("multilabel.soft_margin", "mean", "keras.losses.binary_crossentropy(target, prediction, from_logits=True)", SCORES,
    LABELS, reduction="none", tolerance=MEAN)
row("multilabel.soft_margin", "far", "F.multilabel_soft_margin_loss(prediction, target)", a([-104, 3]), a([1, 0]))
row("multilabel.focal_with_logits", "none", OPTAX_FOCAL, SCORES, np.round(LABELS), alpha=0.25, gamma=2.0,
    reduction="none")
row("multilabel.focal_with_logits", "mean", "monai.losses.FocalLoss(gamma=gamma, alpha=alpha)(prediction, target)",
    SCORES, np.round(LABELS), alpha=0.6, gamma=3.0, tolerance=ULP)

# --- regression ------------------------------------------------------------------------------------------------------

REGRESSION = PREDICTED, OBSERVED
SUM_OF_WEIGHTS = (
    "PyTorch divides the weighted sum by the number of elements here, 8, though its weighted mean of squares divides "
    "by the sum of the weights, 9, as lossbook always does"
)
row("regression.squared_error", "none", "F.mse_loss(prediction, target, reduction=reduction)", *REGRESSION,
    reduction="none")
row("regression.squared_error", "weighted-mean", "F.mse_loss(prediction, target, weight=weight)", *REGRESSION,
    weight=WEIGHT)
row("regression.squared_error", "weighted-mean", "sklearn.metrics.mean_squared_error(target, prediction, "
    "sample_weight=weight)", *REGRESSION, weight=WEIGHT)
row("regression.squared_error", "half", "optax.losses.l2_loss(prediction, target)", *REGRESSION, reduction="none",
    factor="2", why="optax's l2_loss has a half in front")
row("regression.squared_error", "mean", "keras.losses.mean_squared_error(target, prediction)", *REGRESSION,
    tolerance=MEAN)
row("regression.absolute_error", "none", "F.l1_loss(prediction, target, reduction=reduction)", a(*PREDICTED, 2),
    a(*OBSERVED, 2), reduction="none")
row("regression.absolute_error", "weighted-mean", "sklearn.metrics.mean_absolute_error(target, prediction, "
    "sample_weight=weight)", *REGRESSION, weight=WEIGHT)
row("regression.huber", "none", "F.huber_loss(prediction, target, delta=delta, reduction=reduction)", *REGRESSION,
    delta=0.5, reduction="none")
row("regression.huber", "mean", "F.huber_loss(prediction, target)", *REGRESSION)
row("regression.huber", "weighted-mean", "F.huber_loss(prediction, target, weight=weight)", *REGRESSION, weight=WEIGHT,
    factor="8/9", why=SUM_OF_WEIGHTS)
row("regression.huber", "none", "optax.losses.huber_loss(prediction, target, delta=delta)", *REGRESSION, delta=1.5,
    reduction="none")
row("regression.huber", "mean", "keras.losses.huber(target, prediction, delta=delta)", *REGRESSION, delta=1.5,
    tolerance=MEAN)
row("regression.huber", "none", "scipy.special.huber(delta, prediction - target)", *REGRESSION, delta=0.5,
    reduction="none")
row("regression.smooth_l1", "none", "F.smooth_l1_loss(prediction, target, beta=beta, reduction=reduction)", *REGRESSION,
    beta=0.5, reduction="none")
row("regression.smooth_l1", "mean", "F.smooth_l1_loss(prediction, target)", *REGRESSION)
row("regression.smooth_l1", "of-huber", "F.huber_loss(prediction, target, delta=beta)", *REGRESSION, beta=0.25,
    factor="4", why="smooth L1 is the Huber loss divided by beta")
row("regression.log_cosh", "none", "optax.losses.log_cosh(prediction, target)", a(-3, -1.25, 0.75, 2, 400),
    filled(0, 5), reduction="none")
row("regression.log_cosh", "float32", "keras.losses.log_cosh(target[:, None], prediction[:, None])",
    single(-3, -1.25, 0.75, 2, 400), filled(0, 5, dtype=np.float32), reduction="none", tolerance=ULP)
COSH = {"truth": "[log(cosh(p)) for p in prediction]", "true_gradient": "[tanh(p) for p in prediction]"}
for dtype, r in ((np.float32, 1e-4), (np.float64, 1e-9)):
    small = a(r, 1, dtype=dtype), filled(0, 2, dtype=dtype)
    exact = {"tolerance": ULP if dtype is np.float32 else 1e-12, "reduction": "none"}
    for call in ("optax.losses.log_cosh(prediction, target)",
                 "keras.losses.log_cosh(target[:, None], prediction[:, None])"):
        row("regression.log_cosh", f"near-zero-{dtype.__name__}", call, *small, **COSH, **exact,
            wrong="r + softplus(-2*r) - log 2 cancels near 0; its logarithm of 2 is float32's in Keras"
            if "keras" in call and dtype is np.float64 else "r + softplus(-2*r) - log 2 cancels near 0")
row("regression.pseudo_huber", "none", "scipy.special.pseudo_huber(delta, prediction - target)", *REGRESSION, delta=2.5,
    reduction="none")
row("regression.pseudo_huber", "mean", "((torch.sqrt(1 + ((prediction - target)/delta)**2) - 1)*delta**2).mean()",
    a(1, -2, 30), a(0, 0.5, 1), delta=2.0)

# --- segmentation ----------------------------------------------------------------------------------------------------

INDEX = np.array([[[0, 3, 1], [2, 255, 0]], [[1, 1, 2], [3, 0, 255]]])
row("segmentation.cross_entropy", "ignored", LOG + "ignore_index=ignore_index)", PIXELS, INDEX, ignore_index=255)
row("segmentation.cross_entropy", "class-weight-sum", LOG + "weight=class_weight, ignore_index=ignore_index, "
    "reduction=reduction)", PIXELS, INDEX, class_weight=a(1, 0.5, 3, 2), ignore_index=255, reduction="sum")
row("segmentation.cross_entropy_with_logits", "ignored", CE + "weight=class_weight, ignore_index=ignore_index, "
    "label_smoothing=smoothing)", 4 * PIXELS, INDEX, class_weight=a(1, 0.5, 3, 2), ignore_index=255,
    smoothing=0.1)
row("segmentation.cross_entropy_with_logits", "distribution", "F.cross_entropy(prediction, target)", 4 * PIXELS,
    PIXELS[:, ::-1].copy())
row("segmentation.balanced_cross_entropy", "none", "F.binary_cross_entropy(prediction, target, "
    "weight=torch.where(target == 1, (1 - target).mean((2, 3), keepdim=True), target.mean((2, 3), keepdim=True)), "
    "reduction='none').mean((2, 3))", MASKED, MASK, reduction="none")
row("segmentation.balanced_cross_entropy", "one-positive-of-four", "(3*log(4) + 3*log(2))/16",
    a([[[0.25, 0.5], [0.5, 0.5]]]), a([[[1, 0], [0, 0]]]), by="by hand, mpmath")

DICE = "monai.losses.DiceLoss(smooth_nr=smooth, smooth_dr=smooth, reduction='none'{})(prediction, target).flatten(1)"
row("segmentation.dice", "smooth", DICE.format(""), MASKED, MASK, smooth=1.0, reduction="none")
row("segmentation.dice", "soft", DICE.format(""), MASKED, SOFT_MASK, smooth=0.5, reduction="none")
row("segmentation.dice", "squared", DICE.format(", squared_pred=True"), MASKED, SOFT_MASK, smooth=1.0, squared=True,
    reduction="none")
row("segmentation.dice", "class-weight",
    "monai.losses.DiceLoss(smooth_nr=smooth, smooth_dr=smooth, weight=class_weight)(prediction, target)", MASKED, MASK,
    smooth=1.0, class_weight=a(1, 3), factor="1/2",
    why="MONAI divides the weighted sum by the number of images and classes, 4; lossbook by their weights, 8")
row("segmentation.dice", "batch", "monai.losses.DiceLoss(smooth_nr=smooth, smooth_dr=smooth, batch=True)(prediction, "
    "target)", MASKED, MASK, smooth=1.0, batch=True)
row("segmentation.dice", "channels-last", "optax.losses.dice_loss(prediction, target, smooth=smooth/2, "
    "apply_softmax=False, reduction='none')", *CHANNELS_LAST, axis=-1, smooth=2.0, reduction="none", gradient=None)
row("segmentation.dice", "keras", "keras.losses.dice(target, prediction, axis=(2, 3))", MASKED, MASK, smooth=0.0,
    reduction="none", tolerance=1e-6)
row("segmentation.dice", "notes-4x4", "Fraction(100, 1582)", *NOTES_MASKS, smooth=0.0, by=NOTES,
    gradient="[[[[Fraction(148200, 1582**2)]*4]*2 + [[-Fraction(168200, 1582**2)]*4]*2]]")
row("segmentation.dice", "notes-4x4-smooth", "Fraction(100, 1682)", *NOTES_MASKS, smooth=1.0, by=NOTES)
row("segmentation.dice", "notes-4x4-squared", "Fraction(932, 149132)", *NOTES_MASKS, smooth=0.0, squared=True, by=NOTES)
row("segmentation.dice", "notes-4x4", DICE.format(""), *NOTES_MASKS, smooth=0.0, reduction="none")
row("segmentation.dice", "notes-4x4", "keras.losses.dice(target, prediction)", *NOTES_MASKS, smooth=0.0,
    tolerance=1e-6)

NOTHING = filled(0, 1, 1, 2, 3)
EVERYTHING = filled(1, 1, 1, 2, 3)
row("segmentation.dice", "empty-and-empty", DICE.format(""), NOTHING, NOTHING, smooth=1e-5, reduction="none",
    gradient=None)
row("segmentation.dice", "empty-and-empty-no-smooth", DICE.format(""), NOTHING, NOTHING, smooth=0.0, reduction="none",
    gradient=None, wrong="0/0 is NaN", truth="[[mpf(0)]]")
row("segmentation.dice", "empty-and-empty", "keras.losses.dice(target, prediction, axis=(2, 3))", NOTHING, NOTHING,
    smooth=0.0, reduction="none", gradient=None,
    wrong="Keras adds its epsilon below alone: the largest cost for a perfect answer", truth="[[mpf(0)]]")
row("segmentation.dice", "everything-on-empty", DICE.format(""), EVERYTHING, NOTHING, smooth=1.0, reduction="none",
    gradient=None)
row("segmentation.dice", "nearly-perfect", DICE.format(""), filled(1 - 3 * 2.0**-24, 1, 1, 10, 100, dtype=np.float32),
    filled(1, 1, 1, 10, 100, dtype=np.float32), smooth=0.0, reduction="none", gradient=None, tolerance=ULP,
    wrong="1 - ratio cancels", truth="[[mpf(3)/2**24/(2 - mpf(3)/2**24)]]")
row("segmentation.dice", "float16-256x256", DICE.format(""), filled(0.5, 1, 1, 256, 256, dtype=np.float16),
    filled(1, 1, 1, 256, 256, dtype=np.float16), smooth=0.0, reduction="none", gradient=None, tolerance=1e-3,
    wrong="the sums pass 65504, the largest float16", truth="[[mpf(1)/3]]")

JACCARD = DICE.format(", jaccard=True").replace("=smooth", "=2*smooth")
row("segmentation.jaccard", "smooth", JACCARD, MASKED, MASK, smooth=1.0, reduction="none")
row("segmentation.jaccard", "soft", JACCARD, MASKED, SOFT_MASK, smooth=0.25, reduction="none")
row("segmentation.jaccard", "notes-4x4", "Fraction(100, 841)", *NOTES_MASKS, smooth=0.0, by=NOTES)
row("segmentation.jaccard", "empty-and-empty", JACCARD, NOTHING, NOTHING, smooth=0.0, reduction="none", gradient=None,
    wrong="0/0 is NaN", truth="[[mpf(0)]]")

TVERSKY = (
    "monai.losses.TverskyLoss(alpha=alpha, beta=beta, smooth_nr=smooth, smooth_dr=smooth, reduction='none')("
    "prediction, target)"
)
row("segmentation.tversky", "smooth", TVERSKY + ".flatten(1)", MASKED, MASK, alpha=0.3, beta=0.7, smooth=1.0,
    reduction="none")
row("segmentation.tversky", "mean", TVERSKY + ".mean()", MASKED, SOFT_MASK, alpha=0.9, beta=0.4, smooth=0.5)
row("segmentation.tversky", "channels-last", "optax.losses.dice_loss(prediction, target, alpha=alpha, beta=beta, "
    "smooth=smooth, apply_softmax=False, reduction='none')", *CHANNELS_LAST, axis=-1, alpha=0.3, beta=0.7, smooth=1.0,
    reduction="none", gradient=None)
row("segmentation.tversky", "notes-4x4", "Fraction(3*41 + 7*59, 7410 + 3*41 + 7*59)", *NOTES_MASKS, alpha=0.3, beta=0.7,
    smooth=0.0, by=NOTES)
COUNTS = a([[[1, 0], [1, 1]]]), a([[[1, 1], [0, 0]]])  # 1 TP, 1 FN, 2 FP
row("segmentation.tversky", "swapped", "keras.losses.tversky(target, prediction, alpha=alpha, beta=beta)", *COUNTS,
    alpha=0.9, beta=0.1, smooth=0.0, tolerance=1e-6, gradient=None,
    wrong="alpha is documented as the weight of the false positives and weighs the false negatives",
    truth="mpf(19)/29")
row("segmentation.tversky", "swapped-back", "keras.losses.tversky(target, prediction, alpha=beta, beta=alpha)", *COUNTS,
    alpha=0.9, beta=0.1, smooth=0.0, tolerance=1e-6)
row("segmentation.tversky", "empty-and-empty", "keras.losses.tversky(target, prediction)", NOTHING, NOTHING, smooth=0.0,
    gradient=None, wrong="Keras adds its epsilon below alone: the largest cost for a perfect answer", truth="mpf(0)")

row("segmentation.focal_tversky", "none", "(" + TVERSKY + "**(1/gamma)).flatten(1)", MASKED, MASK, alpha=0.3, beta=0.7,
    gamma=4 / 3, smooth=1.0, reduction="none")
row("segmentation.focal_tversky", "mean", "(" + TVERSKY + "**(1/gamma)).mean()", MASKED, SOFT_MASK, alpha=0.2, beta=0.9,
    gamma=0.5, smooth=0.5)
row("segmentation.focal_tversky", "notes-4x4", "(mpf(536)/7946)**(mpf(3)/4)", *NOTES_MASKS, alpha=0.3, beta=0.7,
    gamma=4 / 3, smooth=0.0, by=NOTES)
row("segmentation.focal_tversky", "notes-4x4-steep", "(mpf(536)/7946)**(mpf(4)/3)", *NOTES_MASKS, alpha=0.3, beta=0.7,
    gamma=0.75, smooth=0.0, by=NOTES)

# Squares of the errors 0.25, 0.5 (foreground) and 0.5, 0, 0.25 (background).
BROSCH = a([[0.75, 0.5, 0.5, 0, 0.25]]), a([[1, 1, 0, 0, 0]])
row("segmentation.sensitivity_specificity", "five-pixels",
    "Fraction(1, 20)*(Fraction(1, 16) + Fraction(1, 4))/2 + Fraction(19, 20)*(Fraction(1, 4) + Fraction(1, 16))/3",
    *BROSCH, ratio=0.05, by=HAND,
    gradient="[[[-Fraction(1, 20)*Fraction(1, 4), -Fraction(1, 20)*Fraction(1, 2), Fraction(19, 20)*Fraction(1, 3), "
    "Fraction(0), Fraction(19, 20)*Fraction(1, 6)]]]")
SQUARES = "torch.sum({0}*(target - prediction)**2, (2, 3))/torch.sum({0}, (2, 3))"
row("segmentation.sensitivity_specificity", "none", "ratio*" + SQUARES.format("target") + " + (1 - ratio)*"
    + SQUARES.format("(1 - target)"), MASKED, MASK, ratio=0.1, reduction="none")

SHAPE = np.zeros((1, 1, 5, 6))
SHAPE[..., 1:4, 2:5] = 1
SHAPE[..., 0, 4] = 1
GUESS = 0.5 + 0.4 * np.cos(np.arange(30.0)).reshape(SHAPE.shape)
DISTANCE = "monai.metrics.compute_hausdorff_distance((prediction > 0.5).double(), target, include_background=True{})"
row("segmentation.hausdorff_distance", "masks", DISTANCE.format(""), GUESS, SHAPE, gradient=None, tolerance=ULP)
row("segmentation.hausdorff_distance", "percentile", DISTANCE.format(", percentile=percentile"), GUESS, SHAPE,
    percentile=80.0, gradient=None, tolerance=ULP)
row("segmentation.hausdorff_distance", "spacing", DISTANCE.format(", spacing=spacing"), GUESS, SHAPE,
    spacing=[0.5, 2.0], gradient=None, tolerance=ULP)
row("segmentation.hausdorff_distance", "thin-masks",
    "[[max(scipy.spatial.distance.directed_hausdorff(np.argwhere(a[0, 0]), "
    "np.argwhere(b[0, 0]))[0] for a, b in ((prediction, target), (target, prediction)))]]",
    a([[[1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]]]),
    a([[[0, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0]]]))
row("segmentation.hausdorff", "distance-transform", "monai.losses.HausdorffDTLoss(include_background=True)(prediction, "
    "target)", GUESS, SHAPE, tolerance=ULP)
row("segmentation.hausdorff", "alpha-one", "monai.losses.HausdorffDTLoss(include_background=True, alpha=alpha)("
    "prediction, target)", GUESS, SHAPE, alpha=1.0, tolerance=ULP)
row("segmentation.hausdorff", "nothing-for-everything", "monai.losses.HausdorffDTLoss()(prediction, target)", NOTHING,
    EVERYTHING, gradient=None, truth="mpf(2)*(2**2 + 3**2)",
    convention="a mask without a boundary is at distance 0 in MONAI, so that the worst answer costs nothing; in "
    "lossbook it is as far as the diagonal")
row("segmentation.boundary", "distance-map",
    "monai.losses.BoundaryLoss()(prediction, target) - (prediction*target).mean()", GUESS, SHAPE, tolerance=ULP)
row("segmentation.boundary", "four-pixels", "monai.losses.BoundaryLoss()(prediction, target)",
    a([[[0.5, 0.75, 0.25, 0.75]]]), a([[[0, 1, 1, 0]]]), gradient=None,
    truth="(prediction[0][0][0][0] - prediction[0][0][0][1] - prediction[0][0][0][2] + prediction[0][0][0][3])/4",
    convention="distances inside are smaller by 1 in MONAI: pixels along the boundary count 0 inside and 1 outside")
row("segmentation.boundary", "everything-on-empty", "monai.losses.BoundaryLoss()(prediction, target)", EVERYTHING,
    NOTHING, gradient=None, truth="sqrt(mpf(2**2 + 3**2))",
    convention="a class that is absent costs nothing in MONAI, whatever is predicted; in lossbook every pixel is as "
    "far from it as the diagonal")

# --- detection: boxes as corners (x1, y1, x2, y2) --------------------------------------------------------------------

TABLE = {"by": "torchvision", "version": "the published table of its test_ops.py", "reduction": "none"}
SQUARE, QUARTER, ABOVE, BESIDE = [-1, -1, 1, 1], [0, 0, 1, 1], [0, 1, 1, 2], [1, 1, 2, 2]
row("detection.giou", "published", "torchvision.ops.generalized_box_iou_loss(prediction, target)",
    a(SQUARE, SQUARE, QUARTER, QUARTER), a(SQUARE, QUARTER, ABOVE, BESIDE), published=[0, 0.75, 1, 1.5], **TABLE)
for name, call in (("diou", "distance_box_iou_loss"), ("ciou", "complete_box_iou_loss")):
    row(f"detection.{name}", "published", f"torchvision.ops.{call}(prediction, target)",
        a(SQUARE, SQUARE, SQUARE, SQUARE), a(SQUARE, QUARTER, ABOVE, BESIDE), published=[0, 0.8125, 1.1923, 1.25],
        tolerance=3e-5, **TABLE)
# Overlapping at a corner, crossing, apart, inside: IoU 3/7, 2/5, 0, 1/8. GIoU adds the share of the hull outside the
# union; DIoU the squared distance of the centers over the squared diagonal of the hull.
BOXES = (
    a([0, 0, 4, 2], [1, 1, 3, 5], [0, 0, 2, 2], [10, 0, 14, 8]),
    a([1, 0, 5, 3], [1, 2, 4, 4], [3, 3, 5, 7], [11, 1, 13, 3]),
)
DIOU = "[Fraction(4, 7) + Fraction(5, 136), Fraction(3, 5) + Fraction(1, 100), 1 + Fraction(25, 74), "
DIOU += "Fraction(7, 8) + Fraction(4, 80)]"
row("detection.iou", "four-pairs", "[Fraction(4, 7), Fraction(3, 5), 1, Fraction(7, 8)]", *BOXES, by=HAND,
    reduction="none")
row("detection.iou", "four-pairs-mean", "(Fraction(4, 7) + Fraction(3, 5) + 1 + Fraction(7, 8))/4", *BOXES, by=HAND)
row("detection.giou", "four-pairs", "[Fraction(4, 7) + Fraction(1, 15), Fraction(3, 5) + Fraction(2, 12), "
    "1 + Fraction(23, 35), Fraction(7, 8)]", *BOXES, by=HAND, reduction="none")
row("detection.giou", "four-pairs", "monai.losses.BoxGIoULoss(reduction='none')(prediction, target)", BOXES[0],
    a([1, -0.5, 5, 3], [0.5, 2, 4, 4], [3, 3, 5, 7], [11, 1, 13, 3]), reduction="none", tolerance=ULP)
row("detection.giou", "identical-without-area", "monai.losses.BoxGIoULoss(reduction='none')(prediction, target)",
    a([1, 1, 1, 1], [0, 2, 3, 2]), a([1, 1, 1, 1], [0, 2, 3, 2]), reduction="none", gradient=None,
    wrong="the same box twice is not 0: an area of 0 makes MONAI's IoU 0", truth="[mpf(0), mpf(0)]")
row("detection.diou", "four-pairs", DIOU, *BOXES, by=HAND, reduction="none")
row("detection.ciou", "four-pairs", "[mpf(d.numerator)/d.denominator + v**2/(1 - i + v) for d, i, v in zip("
    f"{DIOU}, [mpf(3)/7, mpf(2)/5, 0, mpf(1)/8], [4/pi**2*(atan((t[2] - t[0])/(t[3] - t[1])) - "
    "atan((p[2] - p[0])/(p[3] - p[1])))**2 for p, t in zip(prediction, target)])]", *BOXES, by="by hand, mpmath",
    reduction="none")

PROPOSALS = ("scores", "boxes", "classes", "targets")
SHIFTS = a([0.1, -0.5, 2, 0.3], [-2, 0.75, 0.05, -0.2], [1.5, 0.25, -0.4, 3], [0.6, -0.6, 1, 0.125])
TRUE_SHIFTS = a([0, -0.25, 0.5, 0.35], [0.5, 0.5, 0, -0.3], [1, 2, 3, 4], [-1, -0.5, 1.25, 0.25])
REGIONS = np.array([2, 0, 1, 1])
BOX = "F.smooth_l1_loss(boxes[{0}], targets[{0}], beta=beta, reduction='sum')"
for name, scores, of_class in (("detection", SHARES, "F.nll_loss(torch.log(scores), classes)"),
                               ("detection_with_logits", SCORES, "F.cross_entropy(scores, classes)")):
    row(f"detection.{name}", "sum-of-two", f"alpha*{of_class} + (1 - alpha)*{BOX.format('classes > 0')}/len(classes)",
        scores, SHIFTS, REGIONS, TRUE_SHIFTS, names=PROPOSALS, predictions=2, alpha=0.25, beta=0.5)
ANCHORS = np.array([1, 0, -1, 1])
SAMPLED = "(scores[labels >= 0], labels[labels >= 0].double(), reduction='sum')"
for name, scores, of_class in (("faster_rcnn", SHARES[:, 0], "F.binary_cross_entropy" + SAMPLED),
                               ("faster_rcnn_with_logits", SCORES[:, 0],
                                "F.binary_cross_entropy_with_logits" + SAMPLED)):
    given = scores.copy(), SHIFTS, ANCHORS, TRUE_SHIFTS
    named = {"names": ("scores", "boxes", "labels", "targets"), "predictions": 2}
    row(f"detection.{name}", "paper", f"{of_class}/cls_norm + box_weight/box_norm*{BOX.format('labels == 1')}", *given,
        box_weight=10.0, cls_norm=256.0, box_norm=2400.0, beta=1.0, **named)
    row(f"detection.{name}", "counted", f"({of_class} + {BOX.format('labels == 1')})/(labels >= 0).sum()", *given,
        box_weight=1.0, cls_norm=None, box_norm=None, beta=1 / 9, **named)
GRIDS = np.concatenate([MASKED, 0.5 * MASKED]).reshape(4, 3, 2, 2)
TRUE_GRIDS = a([[1, 0], [1, 1]], [[0, 0], [1, 0]], [[0.5, 1], [0, 0.25]], [[1, 1], [1, 1]])
MASKS = "F.binary_cross_entropy{}(masks[range(4), classes][classes > 0], true_masks[classes > 0], reduction='sum')"
for name, scores, masks, of_class, of_mask in (
    ("mask_rcnn", SHARES, GRIDS, "F.nll_loss(torch.log(scores), classes)", ""),
    ("mask_rcnn_with_logits", SCORES, 8 * GRIDS - 4, "F.cross_entropy(scores, classes)", "_with_logits"),
):
    row(f"detection.{name}", "sum-of-three",
        f"{of_class} + ({BOX.format('classes > 0')} + {MASKS.format(of_mask)}/4)/4", scores,
        SHIFTS, masks, REGIONS, TRUE_SHIFTS, TRUE_GRIDS, predictions=3, beta=1.0,
        names=("scores", "boxes", "masks", "classes", "targets", "true_masks"))

# --- adversarial: what a discriminator says of real and of made data --------------------------------------------------

GAME = {"names": ("real", "fake"), "predictions": 2}
for name, cost, said in (("", "F.binary_cross_entropy", P), ("_with_logits", "F.binary_cross_entropy_with_logits", Z)):
    row(f"adversarial.minimax{name}", "mean", f"{cost}(real, torch.ones_like(real)) + {cost}(fake, "
        "torch.zeros_like(fake))", said[:6].copy(), said[2:7, None].copy(), **GAME)
    row(f"adversarial.generator{name}", "mean", f"{cost}(prediction, torch.ones_like(prediction))", said)
    row(f"adversarial.saturating_generator{name}", "none", f"-{cost}(prediction, torch.zeros_like(prediction), "
        "reduction=reduction)", said, reduction="none")
row("adversarial.minimax", "optimal-discriminator", "2*log(2)", a(0.5, 0.5), a(0.5), by="by hand, mpmath", **GAME)

# fmt: on

# --- writing ---------------------------------------------------------------------------------------------------------


def flat(*arrays):
    """The elements of nested lists of the same shape, side by side."""
    if not isinstance(arrays[0], list):
        return [arrays]
    return [item for parts in zip(*arrays, strict=True) for item in flat(*parts)]


def map_nested(function, value):
    """function of every number of nested lists."""
    return [map_nested(function, item) for item in value] if isinstance(value, (list, tuple)) else function(value)


EXACT = vars(mpmath) | {"Fraction": Fraction, "flat": flat}


def exactly(text, names):
    """The value of an exact text: arrays are nested lists of mpmath numbers."""
    exact = {}
    for name, value in names.items():
        number = isinstance(value, (np.ndarray, float))
        exact[name] = map_nested(lambda x: mpmath.mpf(float(x)), np.asarray(value).tolist()) if number else value
    return eval(text, EXACT | exact)


def plain(value):
    """A result as JSON: nested lists of floats, with what is not finite as text."""

    def number(x):
        x = float(mpmath.mpf(x.numerator) / x.denominator) if isinstance(x, Fraction) else float(x)
        return x if np.isfinite(x) else str(x)

    if hasattr(value, "detach"):  # a tensor
        value = value.detach().numpy()
    return map_nested(number, np.asarray(value).tolist() if hasattr(value, "shape") else value)


def digits(value):
    """Exact numbers as decimal strings."""
    return map_nested(lambda x: mpmath.nstr(mpmath.mpf(x), 30), value)


def array(value):
    """An array as JSON; a large constant as its shape and number."""
    entry = {"dtype": value.dtype.name}
    if value.size > 100 and np.all(value == value.flat[0]):
        return entry | {"shape": list(value.shape), "fill": value.flat[0].item()}
    return entry | {"values": map_nested(lambda x: x if np.isfinite(x) else str(x), value.tolist())}


def write_out(call):
    """The call with full names."""
    for short, long in WRITTEN_OUT.items():
        call = re.sub(r"(?<![\w.])" + re.escape(short), long, call)
    return call


def modules_of(peer):
    """What a call of a library may name."""
    found = {"np": np}
    for name in NEEDED[peer]:
        importlib.import_module(name)
        package = name.partition(".")[0]
        found[package] = sys.modules[package]
    if "jax" in found:
        found["jax"].config.update("jax_enable_x64", True)
        found["jnp"] = found["jax"].numpy
    if "torch" in found:
        torch = found["torch"]
        found |= {"F": torch.nn.functional, "Bernoulli": torch.distributions.Bernoulli}
        found["kl"] = torch.distributions.kl_divergence
    return found


def run(call, names, predictions, gradient):
    """(library, version, value, gradients) of a call of a library; no gradients where there are none to be had."""
    peer = next((peer for peer in PEERS if re.search(rf"\b{peer}\.", write_out(call))), None)
    modules = modules_of(peer)
    jax, torch = modules.get("jax"), modules.get("torch")
    version = importlib.metadata.version(PACKAGES.get(peer, peer)).partition("+")[0]
    if peer == "keras":
        version += f" on PyTorch {torch.__version__.partition('+')[0]}"
    slopes = []
    if peer == "optax":
        names = {key: jax.numpy.asarray(x) if isinstance(x, np.ndarray) else x for key, x in names.items()}

        def result(prediction):
            return eval(call, modules | names | {"prediction": prediction})

        value = result(names["prediction"])
        if gradient:
            slopes = [jax.grad(lambda prediction: jax.numpy.sum(result(prediction)))(names["prediction"])]
    elif peer in ("torch", "keras", "monai"):
        names = {key: torch.tensor(x) if isinstance(x, np.ndarray) else x for key, x in names.items()}
        value = eval(call, modules | names | {name: names[name].requires_grad_() for name in predictions})
        if gradient:
            value.sum().backward()
            slopes = [names[name].grad for name in predictions]
    else:
        value = eval(call, modules | names)
        if isinstance(gradient, str):
            slopes = [eval(gradient, modules | names)]
    return PEERS[peer], version, value, slopes


def entry(loss, name, call, arrays, keywords, own):
    """One row as JSON."""
    labels = own.get("names", ("prediction", "target"))
    names = dict(zip(labels, arrays, strict=False)) | keywords
    predictions = labels[: own.get("predictions", 1)]
    if "by" not in own:
        library, version, value, slopes = run(call, names, predictions, own.get("gradient", True))
    else:
        library, version = own["by"], own.get("version")
        value = own["published"] if "published" in own else exactly(call, names)
        slopes = [exactly(own["gradient"], names)] if "gradient" in own else []
    result = {
        "id": f"{loss}-{library.partition(',')[0].replace(' ', '-')}-{name}",
        "loss": loss,
        "arguments": [array(value) for value in arrays],
        "keywords": {key: array(value) if isinstance(value, np.ndarray) else value for key, value in keywords.items()},
        "library": library,
        "version": version,
        "call": write_out(call),
        "value": plain(value),
        "gradients": [plain(slope) for slope in slopes],
        "tolerance": own.get("tolerance", 1e-12),
    }
    result |= {key: own[key] for key in ("factor", "why", "wrong", "convention") if key in own}
    for key in ("truth", "true_gradient"):
        if key in own:
            result |= {key: digits(exactly(own[key], names)), f"{key}_formula": own[key]}
    return {key: value for key, value in result.items() if value not in (None, [])}


def main():
    """Write the file, one row after the other, each array on one line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("losses", nargs="*", help="whose rows are made anew; without any, all rows are")
    chosen = parser.parse_args().losses
    if unknown := {*chosen} - {loss for loss, *_ in ROWS}:
        raise SystemExit(f"no row is for {', '.join(sorted(unknown))}")
    known = json.loads(FILE.read_text(encoding="utf-8")) if chosen else []
    kept = {loss: iter([row for row in known if row["loss"] == loss]) for loss, *_ in ROWS}
    rows = [next(kept[row[0]]) if chosen and row[0] not in chosen else entry(*row) for row in ROWS]
    if len({row["id"] for row in rows}) < len(rows):
        raise SystemExit("two rows have the same name")
    lines = (",\n  ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in row.items()) for row in rows)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text("[\n " + ",\n ".join(f"{{\n  {line}\n }}" for line in lines) + "\n]\n")
    print(f"{len(rows)} rows for {len({row['loss'] for row in rows})} losses")


if __name__ == "__main__":
    main()
