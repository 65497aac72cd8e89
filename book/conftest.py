"""nbval compares every output of a notebook but its pictures: these are compared here, by their pixels."""

from base64 import b64decode
from io import BytesIO

import numpy as np
from nbval.plugin import IPyNbCell
from PIL import Image

VISIBLE = 32  # of 255 shades of gray; smoother edges differ by less from machine to machine
FEW = 0.001  # the part of the pixels that may differ: a curve in another place changes more
ROUNDING = 0.1  # the same where a cell, tagged "rounding", draws errors of NumPy's functions: processors round apart


def pictures(outputs):
    """The pictures among the outputs of a cell, as shades of gray."""
    coded = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [np.asarray(Image.open(BytesIO(b64decode(text))).convert("L"), float) for text in coded]


def difference(drawn, stored, few=FEW):
    """In what the pictures of two runs differ, in words; "" if they look the same."""
    if [picture.shape for picture in drawn] != [picture.shape for picture in stored]:
        return f"{len(drawn)} pictures of other sizes than the {len(stored)} that are stored"
    for number, (one, other) in enumerate(zip(drawn, stored, strict=True)):
        part = np.mean(abs(one - other) > VISIBLE)
        if part > few:
            return f"picture {number} is another in {part:.2%} of its pixels"
    return ""


compare_texts = IPyNbCell.compare_outputs


def compare_outputs(self, test, ref, skip_compare=None):
    """Whether the outputs of a cell are those that are stored, pictures included."""
    if not compare_texts(self, test, ref, skip_compare):
        return False
    few = ROUNDING if "rounding" in self.cell.metadata.get("tags", ()) else FEW
    found = difference(pictures(test), pictures(ref), few)
    if found:
        self.comparison_traceback.append(found)
    return not found


IPyNbCell.compare_outputs = compare_outputs
