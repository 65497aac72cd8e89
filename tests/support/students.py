"""Faulty implementations, as students write them: each with its loss and the kind that the audit must name."""

import math

import numpy as np

from lossbook import binary, detection, multiclass, multilabel, regression, segmentation

STUDENTS = []


def student(like, kind, severity="wrong", **parameters):
    """Enter a function: what it is meant to be, and what the audit must say of it."""

    def entered(function):
        STUDENTS.append((function, like, kind, severity, parameters))
        return function

    return entered


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z, axis=1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def picked(p, y):
    return p[np.arange(len(y)), y]


# --- binary ----------------------------------------------------------------------------------------------------------


@student(binary.cross_entropy, "sign", "convention")
def sign_forgotten(p, y):
    return np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


@student(binary.cross_entropy, "reduction", "convention")
def mean_forgotten(p, y):
    return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p))


@student(binary.cross_entropy, "one class only")
def second_term_forgotten(p, y):
    return -np.mean(y * np.log(p))


@student(binary.cross_entropy, "sign of a term")
def sign_on_one_term(p, y):
    return np.mean(-y * np.log(p) + (1 - y) * np.log(1 - p))


@student(binary.cross_entropy, "labels exchanged")
def p_for_one_minus_p(p, y):
    return -np.mean(y * np.log(1 - p) + (1 - y) * np.log(p))


@student(binary.cross_entropy, "factor 1 - y missing")
def factor_forgotten(p, y):
    return -np.mean(y * np.log(p) + np.log(1 - p))


@student(binary.cross_entropy, "not a number")
def log_of_zero(p, y):
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


@student(binary.cross_entropy, "zero gradient")
def clipped(p, y):
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


@student(binary.cross_entropy, "clamp", "convention")
def epsilon_added(p, y):
    return -np.mean(y * np.log(p + 1e-6) + (1 - y) * np.log(1 - p + 1e-6))


@student(binary.cross_entropy, "prediction rounded")
def counts_mistakes(p, y):
    return np.mean((p > 0.5) != y)


@student(binary.cross_entropy, "logarithm missing")
def no_logarithm(p, y):
    return -np.mean(y * p + (1 - y) * (1 - p))


@student(binary.cross_entropy, "another loss")
def squares_for_logarithms(p, y):
    return np.mean((y - p) ** 2)


@student(binary.cross_entropy_with_logits, "sigmoid twice")
def sigmoid_twice(z, y):
    p = sigmoid(sigmoid(z))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


@student(binary.cross_entropy_with_logits, "overflow")
def naive_logits(z, y):
    return np.mean(np.log(1 + np.exp(z)) - z * y)


@student(binary.focal_with_logits, "gamma on the wrong factor", gamma=2.0, alpha=0.25)
def gamma_on_p(z, y):
    p = sigmoid(z)
    return -np.mean(0.25 * y * p**2 * np.log(p) + 0.75 * (1 - y) * (1 - p) ** 2 * np.log(1 - p))


@student(binary.focal_with_logits, "parameter", gamma=2.0, alpha=0.25)
def alpha_on_negatives(z, y):
    p = sigmoid(z)
    return -np.mean(0.75 * y * (1 - p) ** 2 * np.log(p) + 0.25 * (1 - y) * p**2 * np.log(1 - p))


@student(binary.focal_with_logits, "alpha on the wrong class")
def alpha_on_negatives_unsaid(z, y):
    return alpha_on_negatives(z, y)


@student(binary.focal_with_logits, "1 - alpha missing")
def alpha_on_one_class(z, y, alpha=0.25, gamma=2.0):
    p = sigmoid(z)
    return -np.mean(alpha * y * (1 - p) ** gamma * np.log(p) + (1 - y) * p**gamma * np.log(1 - p))


@student(binary.focal_with_logits, "one factor for both labels", gamma=2.0, alpha=0.25)
def one_modulating_factor(z, y):
    p = sigmoid(z)
    return -np.mean((1 - p) ** 2 * (0.25 * y * np.log(p) + 0.75 * (1 - y) * np.log(1 - p)))


@student(binary.soft_margin, "target", "convention")
def labels_of_another_kind(z, y):
    return np.mean(np.logaddexp(0, z) - y * z)


@student(binary.cross_entropy, "log(1 + p)")
def one_plus_p(p, y):
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 + p))


@student(binary.cross_entropy, "not a number")
def whole_probabilities(p, y):
    p = p.astype(int)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


@student(binary.focal_with_logits, "gamma on the wrong factor")
def gamma_times(z, y, gamma=2.0, alpha=0.25):
    p = sigmoid(z)
    return -np.mean(gamma * (alpha * y * (1 - p) * np.log(p) + (1 - alpha) * (1 - y) * p * np.log(1 - p)))


# --- numbers ---------------------------------------------------------------------------------------------------------


@student(regression.squared_error, "not squared")
def errors_cancel(p, y):
    return np.mean(p - y)


@student(regression.squared_error, "another loss")
def absolute_for_squared(p, y):
    return np.mean(abs(p - y))


@student(regression.squared_error, "root")
def root_of_the_mean(p, y):
    return np.sqrt(np.mean((p - y) ** 2))


@student(regression.squared_error, "averaged first")
def square_of_the_mean(p, y):
    return np.mean(p - y) ** 2


@student(regression.squared_error, "integer division")
def whole_numbers(p, y):
    return np.sum((p - y) ** 2) // p.size


@student(regression.squared_error, "divisor")
def divided_twice(p, y):
    return np.mean((p - y) ** 2) / p.size


@student(regression.squared_error, "divisor")
def one_less(p, y):
    return np.sum((p - y) ** 2) / (p.size - 1)


@student(regression.squared_error, "factor", "convention")
def half(p, y):
    return 0.5 * np.mean((p - y) ** 2)


@student(regression.squared_error, "inputs modified")
def in_place(p, y):
    p -= y
    return np.mean(p**2)


@student(regression.squared_error, "broadcasting")
def pairs_of_all(p, y):
    return np.mean((p - y) ** 2)


@student(regression.huber, "jump at the bend", delta=1.0)
def line_without_constant(p, y):
    r = abs(p - y)
    return np.where(r <= 1, r**2 / 2, r).mean()


@student(regression.huber, "factor 1/2 missing", delta=2.0)
def parabola_not_halved(p, y):
    r = abs(p - y)
    return np.where(r <= 2, r**2, 2 * (r - 1)).mean()


@student(regression.huber, "absolute value missing", delta=1.0)
def sign_of_the_residual(p, y):
    r = p - y
    return np.where(r <= 1, r**2 / 2, abs(r) - 0.5).mean()


@student(regression.log_cosh, "overflow")
def naive_log_cosh(p, y):
    return np.log(np.cosh(p - y)).mean()


results = []


@student(regression.squared_error, "memory grows")
def keeps_everything(p, y):
    loss = (p - y) ** 2
    results.append(loss)
    return loss.mean()


# --- classes ---------------------------------------------------------------------------------------------------------


@student(multiclass.cross_entropy_with_logits, "softmax twice")
def softmax_twice(z, y):
    return -np.log(picked(softmax(softmax(z)), y)).mean()


@student(multiclass.cross_entropy_with_logits, "wrong axis")
def softmax_over_the_batch(z, y):
    return -np.log(picked(softmax(z, 0), y)).mean()


@student(multiclass.cross_entropy_with_logits, "normalizer missing")
def no_softmax(z, y):
    return -picked(z, y).mean()


@student(multiclass.cross_entropy_with_logits, "label off by one")
def labels_from_one(z, y):
    return -np.log(picked(softmax(z), y - 1)).mean()


@student(multiclass.cross_entropy_with_logits, "argmax")
def error_rate(z, y):
    return np.mean(z.argmax(axis=1) != y)


@student(multiclass.cross_entropy_with_logits, "not a number")
def no_shift(z, y):
    e = np.exp(z)
    return -np.log(picked(e / e.sum(axis=1, keepdims=True), y)).mean()


@student(multiclass.cross_entropy, "logarithm missing")
def mean_probability(p, y):
    return 1 - picked(p, y).mean()


@student(multiclass.cross_entropy, "wrong classes too")
def yes_or_no_for_each(p, y):
    hot = np.eye(p.shape[1])[y]
    return -(hot * np.log(p) + (1 - hot) * np.log(1 - p)).sum(axis=1).mean()


@student(multilabel.cross_entropy_with_logits, "softmax for sigmoid")
def softmax_of_labels(z, y):
    p = softmax(z, -1)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


@student(multiclass.cross_entropy_with_logits, "sign of the score")
def score_added(z, y):
    return (np.log(np.exp(z).sum(axis=1)) + picked(z, y)).mean()


@student(multiclass.cross_entropy_with_logits, "smoothing not shared", smoothing=0.1)
def smoothing_of_every_class(z, y):
    target = 0.9 * np.eye(z.shape[1])[y] + 0.1
    return -(target * np.log(softmax(z))).sum(axis=1).mean()


@student(multiclass.cross_entropy_with_logits, "classes not summed")
def summed_over_the_batch(z, y):
    return -(np.eye(z.shape[1])[y] * np.log(softmax(z))).sum(axis=0)


@student(multiclass.cross_entropy_with_logits, "class_weight", class_weight=[1.0, 4.0, 1.0])
def weights_forgotten(z, y):
    return np.mean(np.log(np.exp(z).sum(axis=1)) - picked(z, y))


@student(segmentation.dice, "class_weight", class_weight=[1.0, 4.0], smooth=1.0)
def weights_of_masks_forgotten(p, y):
    return np.mean(1 - (2 * (p * y).sum((2, 3)) + 1) / (p.sum((2, 3)) + y.sum((2, 3)) + 1))


@student(multiclass.kullback_leibler, "arguments exchanged")
def the_other_divergence(p, q):
    return (p * np.log(p / q)).sum(axis=1).mean()


# --- masks and boxes -------------------------------------------------------------------------------------------------


@student(segmentation.dice, "factor 2 missing", smooth=1.0)
def half_the_overlap(p, y):
    return 1 - ((p * y).sum((2, 3)) + 1) / (p.sum((2, 3)) + y.sum((2, 3)) + 1)


@student(segmentation.dice, "another loss")
def jaccard_for_dice(p, y):
    both = (p * y).sum((2, 3))
    return np.mean(1 - (both + 1) / (p.sum((2, 3)) + y.sum((2, 3)) - both + 1))


@student(segmentation.dice, "prediction rounded", smooth=1.0)
def threshold(p, y):
    p = (p > 0.5).astype(float)
    return np.mean(1 - (2 * (p * y).sum((2, 3)) + 1) / (p.sum((2, 3)) + y.sum((2, 3)) + 1))


@student(segmentation.dice, "sign", "convention")
def score(p, y):
    return np.mean((2 * (p * y).sum((2, 3)) + 1) / (p.sum((2, 3)) + y.sum((2, 3)) + 1))


@student(segmentation.jaccard, "overlap counted twice", smooth=0.0)
def union_of_both(p, y):
    return np.mean(1 - (p * y).sum((2, 3)) / (p.sum((2, 3)) + y.sum((2, 3))))


@student(segmentation.tversky, "parameter", alpha=0.9, beta=0.1, smooth=0.0)
def weights_exchanged(p, y):
    both, false, missed = ((part).sum((2, 3)) for part in (p * y, p * (1 - y), (1 - p) * y))
    return np.mean(1 - both / (both + 0.1 * false + 0.9 * missed))


@student(detection.iou, "overlap not clipped")
def overlap_of_boxes_apart(p, t):
    sides = np.minimum(p[:, 2:], t[:, 2:]) - np.maximum(p[:, :2], t[:, :2])
    both = sides.prod(axis=1)
    areas = (p[:, 2:] - p[:, :2]).prod(axis=1) + (t[:, 2:] - t[:, :2]).prod(axis=1)
    return np.mean(1 - both / (areas - both))


@student(detection.giou, "another loss")
def iou_for_giou(p, t):
    sides = np.maximum(np.minimum(p[:, 2:], t[:, 2:]) - np.maximum(p[:, :2], t[:, :2]), 0)
    both = sides.prod(axis=1)
    areas = (p[:, 2:] - p[:, :2]).prod(axis=1) + (t[:, 2:] - t[:, :2]).prod(axis=1)
    return np.mean(1 - both / (areas - both))


def one_number(p, y):
    return -math.log(p) if y == 1 else -math.log(1 - p)


student(binary.cross_entropy, "layout", "convention")(one_number)

# --- gradients: (value, gradient, loss, kind) ------------------------------------------------------------------------


def logistic(z, y):
    return np.mean(np.logaddexp(0, z) - z * y)


def squares(p, y):
    return np.mean((p - y) ** 2)


GRADIENTS = [
    (logistic, lambda z, y: (sigmoid(z) - y), binary.cross_entropy_with_logits, "which is the number of elements"),
    (logistic, lambda z, y: (y - sigmoid(z)) / y.size, binary.cross_entropy_with_logits, "wrong sign"),
    (logistic, lambda z, y: (sigmoid(z) - y) / (sigmoid(z) * (1 - sigmoid(z))) / y.size,
     binary.cross_entropy_with_logits, "derivative of the sigmoid, is missing"),
    (logistic, lambda z, y: (sigmoid(z) - y) * (sigmoid(z) * (1 - sigmoid(z))) / y.size,
     binary.cross_entropy_with_logits, "once too often"),
    (squares, lambda p, y: (p - y) / y.size, regression.squared_error, "0.5 times"),
    (squares, lambda p, y: np.zeros_like(p), regression.squared_error, "0 everywhere"),
    (squares, lambda p, y: 2 * (p - y + 1) / y.size, regression.squared_error, "not the derivative"),
]  # fmt: skip
