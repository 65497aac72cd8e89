"""Draw the picture of the README, book/_static/focal.png, from the formula of the focal loss."""

from pathlib import Path

from lossbook import binary, figures

figure = figures.curves(binary.focal_with_logits, vary={"gamma": [0, 1, 2, 5]}, target=1, alpha=0.5)
figure.savefig(Path(__file__).parents[1] / "book" / "_static" / "focal.png", dpi=110, metadata={"Software": None})
