"""Every loss of a classifier or a mask descends on real data: scikit-learn's digits, scikit-image's coins."""

import itertools

import numpy as np
import pytest
from cases import LOSSES
from scipy import ndimage

sklearn_datasets = pytest.importorskip("sklearn.datasets")
skimage = pytest.importorskip("skimage")

CLASSIFIERS = [
    loss for loss in LOSSES if loss.name.partition(".")[0] in ("binary", "divergence", "multiclass", "multilabel")
]
MASKS = [loss for loss in LOSSES if loss.name.partition(".")[0] == "segmentation"]


def on_scores(loss):
    """The loss as a function of scores."""
    kind = loss.declaration.of_prediction.name
    if kind == "Probability":
        return loss.on_logits("softmax" if loss.shape == "rows" else "sigmoid")
    return loss


def descend(loss, features, targets, scores, steps=25):
    """Losses along gradient descent of a linear model, its step halved as often as it takes to go down."""
    # Not from zero, where all scores tie and the perceptron is content.
    weights, rate = np.random.default_rng(0).normal(scale=0.1, size=(features.shape[-1], scores)), 1.0

    def at(weights):
        return loss.value_and_grad(np.moveaxis(features @ weights, -1, 1), *targets)

    value, slope = at(weights)
    passed = [value]
    for _ in range(steps):
        along = np.tensordot(features, np.moveaxis(slope, 1, -1), (range(features.ndim - 1),) * 2)
        while rate > 1e-9:
            moved, steep = at(weights - rate * along)
            if moved < value:
                break
            rate /= 2
        else:
            break
        weights, value, slope, rate = weights - rate * along, moved, steep, 2 * rate
        passed.append(value)
    return passed


@pytest.mark.parametrize("loss", CLASSIFIERS, ids=lambda loss: loss.name)
def test_every_loss_of_a_classifier_descends_on_the_digits(loss):
    """A linear model of the digits learns: the loss falls at every step, and by a fifth or more in all."""
    data = sklearn_datasets.load_digits()
    features = np.hstack([data.data / 16, np.ones((len(data.data), 1))])[::3]
    labels = data.target[::3]
    if loss.declaration.target is None:
        pytest.skip("has no target")
    # Jeffreys' divergence from a sure label is infinite.
    targets = [labels if loss.declaration.by_class else 0.02 + 0.96 * np.eye(10)[labels]]
    if loss.declaration.of_target.values:
        targets = [2 * np.eye(10)[labels] - 1]
    if loss.declaration.of_prediction.name == "LogProbability":
        pytest.skip("takes log-probabilities, which are no scores; cross_entropy_with_logits is the same descent")
    passed = descend(on_scores(loss), features, targets, 10)
    assert np.all(np.isfinite(passed))
    assert all(after < before for before, after in itertools.pairwise(passed))
    assert passed[-1] < 0.8 * passed[0]


def coins():
    """Features of the pixels of a crop of the coins, and the mask that a watershed makes of it."""
    picture = skimage.data.coins()[150:278, 20:196] / 255
    edges = skimage.filters.sobel(picture)
    seeds = np.zeros(picture.shape, int)
    seeds[picture < 30 / 255] = 1
    seeds[picture > 150 / 255] = 2
    mask = ndimage.binary_fill_holes(skimage.segmentation.watershed(edges, seeds) == 2)
    smooth = [ndimage.gaussian_filter(picture, sigma) for sigma in (1, 3, 6)]
    features = np.stack([picture, edges, *smooth, *(s**2 for s in smooth), np.ones_like(picture)], axis=-1)
    return features[None], mask[None].astype(int)


@pytest.mark.parametrize("loss", MASKS, ids=lambda loss: loss.name)
def test_every_loss_of_a_mask_descends_on_the_coins(loss):
    """A pixel classifier of the coins learns, with a channel for the background and one for the coins."""
    features, mask = coins()
    assert 0.1 < mask.mean() < 0.9
    kind = loss.declaration.of_prediction.name
    scored = loss if kind == "Logit" else loss.on_logits("softmax" if loss.shape == "rows" else "sigmoid")
    target = mask if loss.declaration.by_class else np.stack([1 - mask, mask], axis=1).astype(float)
    passed = descend(scored, features, [target], 2, steps=12)
    assert all(after < before for before, after in itertools.pairwise(passed))
    assert passed[-1] < 0.95 * passed[0]
