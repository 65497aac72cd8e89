"""What one value of a loss belongs to: an element, a row of classes, an image and class, a box.

The space of a loss follows from its formula. It says where the arrays have their classes, what a value and a weight
belong to, and which options a call has beside those of every loss.
"""

from dataclasses import dataclass

__all__ = ["BOXES", "DISTANCES", "ELEMENTS", "JOINED", "MIXED", "ROWS", "SETS", "Space"]


@dataclass(frozen=True)
class Space:
    """One of the spaces below; there are no others."""

    name: str  # as `loss.shape` gives it
    value_of: str  # what one value belongs to
    element: str  # what the function of a kernel computes the loss of
    weight_of: str  # what one weight belongs to, where it does not belong to a whole item
    arrays: str  # the shape of a prediction
    axis: int | None = None  # where a prediction has its classes or its corners, unless a call says otherwise
    options: tuple[str, ...] = ()
    classes: bool = False  # a prediction has an axis of classes
    by_row: bool = False  # all along that axis have one value
    totals: bool = False  # a value is a function of sums over the pixels of an image
    corners: bool = False  # that axis holds the corners of boxes
    maps: bool = False  # a value depends on the mask around it

    @property
    def usual_axis(self) -> int | None:
        """Where classes or corners are, unless a call says otherwise; of elements, where an option asks for classes."""
        return 1 if self is ELEMENTS else self.axis

    @property
    def rows_of_classes(self) -> bool:
        """Whether a value belongs to a row of classes."""
        return self.classes and self.by_row

    def __repr__(self) -> str:
        return f"<space {self.name}>"


ELEMENTS = Space(
    "pointwise", "element", "element", "element", "any shape", options=("class_weight", "axis", "accuracy")
)  # fmt: skip
ROWS = Space("rows", "row", "class", "row", "(N, C, ...)", axis=1, options=("axis",), classes=True, by_row=True)
SETS = Space(
    "overlap",
    "image and class",
    "element",
    "pixel",
    "(N, C, ...)",
    axis=1,
    options=("axis", "batch"),
    classes=True,
    totals=True,
)
BOXES = Space(
    "boxes", "box", "box", "box", "(..., 4)", axis=-1, options=("axis", "format"), by_row=True, corners=True
)  # fmt: skip
DISTANCES = Space(
    "distance",
    "pixel and class",
    "element",
    "pixel",
    "(N, C, *space)",
    axis=1,
    options=("axis",),
    classes=True,
    maps=True,
)
MIXED = Space(
    "mixed", "part of each loss", "element", "pixel", "(N, C, ...)", axis=1, classes=True
)  # a sum over several spaces
JOINED = Space("joined", "item", "element", "item", "several shapes")  # several predictions
