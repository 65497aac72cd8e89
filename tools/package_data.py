"""Write the files of lossbook/data: the data sets of the book, and copies of stored results.

    python tools/package_data.py

Run it after `make bench`, `make exhaustive` or tests/make_peer_values.py have written a new file. The data sets do not
change: they are made from the copies in scikit-learn and scikit-image, as the book used them from the start.
"""

import gzip
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "lossbook" / "data"
RECORDS = [
    ROOT / "benchmarks" / "exhaustive.json",
    ROOT / "benchmarks" / "results.json",
    ROOT / "tests" / "data" / "peer_values.json",
]


def outlined() -> tuple[np.ndarray, np.ndarray]:
    """The photograph, and the number of the coin at each pixel."""
    from scipy import ndimage
    from skimage.data import coins
    from skimage.filters import sobel
    from skimage.segmentation import watershed

    picture = coins()[:300]
    sure = np.select([picture < 30, picture > 150], [1, 2])  # table, coin
    coin = watershed(sobel(picture), sure) == 2
    coin = ndimage.binary_opening(ndimage.binary_fill_holes(coin))
    return picture, ndimage.label(coin)[0]


def data_sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The arrays that the functions of lossbook.data return."""
    from sklearn import datasets

    return {
        "digits": datasets.load_digits(return_X_y=True),
        "diabetes": datasets.load_diabetes(return_X_y=True, scaled=False),
        "breast_cancer": datasets.load_breast_cancer(return_X_y=True),
        "coins": outlined(),
    }


# Types that hold the numbers in less room; the functions of lossbook.data give back those of data_sets().
STORED_AS = {"digits": ("uint8", "uint8"), "breast_cancer": ("float64", "uint8"), "coins": ("uint8", "uint8")}


def main() -> int:
    for name, arrays in data_sets().items():
        kinds = STORED_AS.get(name, ("float64", "float64"))
        first, second = (array.astype(kind) for array, kind in zip(arrays, kinds, strict=True))
        np.savez_compressed(DATA / f"{name}.npz", first=first, second=second)
    for path in RECORDS:
        (DATA / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
