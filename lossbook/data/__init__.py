"""The data of the book: pictures, measurements and stored results, which come with the package and need no other.

    pixels, digit = data.digits()               1797 handwritten digits
    measured, progress = data.diabetes()        442 patients
    measured, benign = data.breast_cancer()     569 tumors
    picture, instance = data.coins()            a photograph of 24 coins, and where they are

A file is read when its function is called; every call returns arrays of its own. `tools/package_data.py` makes the
files from the copies in scikit-learn and scikit-image, and from the results that the benchmarks and the tests keep.
"""

import gzip
import json
from importlib.resources import files
from typing import Any

import numpy as np

__all__ = [
    "breast_cancer", "coins", "diabetes", "digits", "exhaustive_errors", "floors", "peer_values", "timings",
]  # fmt: skip


def _arrays(name: str) -> tuple[Any, Any]:
    """Both arrays of a file, as they are stored."""
    with files("lossbook.data").joinpath(f"{name}.npz").open("rb") as file, np.load(file) as stored:
        return stored["first"], stored["second"]


def _record(name: str) -> Any:
    """The content of a compressed file of JSON."""
    return json.loads(gzip.decompress(files("lossbook.data").joinpath(f"{name}.json.gz").read_bytes()))


def digits() -> tuple[Any, Any]:
    """Load 1797 handwritten digits of 13 writers.

    Returns
    -------
    pixels : float64 array of shape (1797, 64)
        The ink of 8 x 8 pixels, row by row, each a whole number from 0 to 16.
    digit : intp array of shape (1797,)
        What each picture shows, 0 to 9.

    Notes
    -----
    The test set of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (1998), from the UCI
    Machine Learning Repository, doi:10.24432/C50P49, licence CC BY 4.0; the same values in the same order as
    `sklearn.datasets.load_digits`.

    Examples
    --------
    >>> from lossbook import data
    >>> pixels, digit = data.digits()
    >>> pixels.shape, digit[:5].tolist()
    ((1797, 64), [0, 1, 2, 3, 4])
    """
    pixels, digit = _arrays("digits")
    return pixels.astype(np.float64), digit.astype(np.intp)


def diabetes() -> tuple[Any, Any]:
    """Load 442 patients with diabetes: ten measurements, and the progression of the disease a year later.

    Returns
    -------
    measured : float64 array of shape (442, 10)
        Age in years, sex (1 or 2), body mass index, mean blood pressure, and six values of blood serum: total
        cholesterol, low-density and high-density lipoproteins, total over high-density cholesterol, the logarithm of
        the triglycerides, and blood sugar.
    progress : float64 array of shape (442,)
        A measure of the progression, 25 to 346.

    Notes
    -----
    From B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, "Least angle regression", Annals of Statistics 32 (2004),
    doi:10.1214/009053604000000067, whose authors published the table without naming a licence; the same values in the
    same order as `sklearn.datasets.load_diabetes(scaled=False)`.

    Examples
    --------
    >>> from lossbook import data
    >>> measured, progress = data.diabetes()
    >>> measured.shape, progress[:3].tolist()
    ((442, 10), [151.0, 75.0, 141.0])
    """
    return _arrays("diabetes")


def breast_cancer() -> tuple[Any, Any]:
    """Load 569 breast tumors: thirty measurements of their cells, and whether they are benign.

    Returns
    -------
    measured : float64 array of shape (569, 30)
        Ten properties of the nuclei of cells: radius, texture, perimeter, area, smoothness, compactness, concavity,
        concave points, symmetry and fractal dimension; their means, then standard errors, then largest values.
    benign : intp array of shape (569,)
        1 for 357 benign tumors, 0 for 212 malignant ones.

    Notes
    -----
    "Breast Cancer Wisconsin (Diagnostic)" by W. Wolberg, O. Mangasarian, N. Street and W. Street (1995), from the UCI
    Machine Learning Repository, doi:10.24432/C5DW2B, licence CC BY 4.0; the same values in the same order as
    `sklearn.datasets.load_breast_cancer`.

    Examples
    --------
    >>> from lossbook import data
    >>> measured, benign = data.breast_cancer()
    >>> measured.shape, int(benign.sum())
    ((569, 30), 357)
    """
    measured, benign = _arrays("breast_cancer")
    return measured, benign.astype(np.intp)


def coins() -> tuple[Any, Any]:
    """Load a photograph of 24 coins, and which pixel belongs to which coin.

    Returns
    -------
    picture : uint8 array of shape (300, 384)
        Shades of gray.
    instance : int32 array of shape (300, 384)
        0 on the table, 1 to 24 on the coins.

    Notes
    -----
    Greek coins from Pompeii, a photograph of the Brooklyn Museum without known copyright restrictions; the first 300
    rows of `skimage.data.coins`. The coins were outlined by a watershed of the edges, which begins at what is surely
    table and surely coin; holes were filled, and what is thinner than two pixels was removed (`tools/package_data.py`).

    Examples
    --------
    >>> from lossbook import data
    >>> picture, instance = data.coins()
    >>> picture.shape, int(instance.max())
    ((300, 384), 24)
    """
    picture, instance = _arrays("coins")
    return picture, instance.astype(np.int32)


def exhaustive_errors() -> Any:
    """Load the errors of every pointwise loss over all float32 predictions: `benchmarks/exhaustive.json`.

    Returns
    -------
    dict
        As `make exhaustive` has written it: `losses`, by name and case, `sampled`, and the `machine`.

    Examples
    --------
    >>> from lossbook import data
    >>> "binary.focal_with_logits" in data.exhaustive_errors()["losses"]
    True
    """
    return _record("exhaustive")


def timings() -> Any:
    """Load the times of the losses and their peers: `benchmarks/results.json`.

    Returns
    -------
    dict
        As `make bench` has written it: the `machine`, and the `tasks` with their medians.

    Examples
    --------
    >>> from lossbook import data
    >>> len(data.timings()["tasks"]) > 9
    True
    """
    return _record("results")


def peer_values() -> Any:
    """Load what other libraries, published tables and hand calculation give: `tests/data/peer_values.json`.

    Returns
    -------
    list of dict
        Of each number its `id`, the `library` and its `version`, the `call`, what went in, and the `value`.

    Examples
    --------
    >>> from lossbook import data
    >>> sorted({row["library"] for row in data.peer_values()})[:2]
    ['Keras', 'MONAI']
    """
    return _record("peer_values")


def floors() -> list[list[str]]:
    """Load the order of the package's modules: each imports only from floors below its own, which a test holds.

    Returns
    -------
    list of list of str
        The floors from the ground up, with the names of their modules.

    Examples
    --------
    >>> from lossbook import data
    >>> data.floors()[-1]
    ['', '__main__']
    """
    return json.loads(files("lossbook.data").joinpath("floors.json").read_text(encoding="utf-8"))
