"""The pictures of the atlas: what a loss says along one way through its predictions."""

from base64 import b64decode
from functools import cache
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import cards
import numpy as np
from docutils import nodes
from PIL import Image

from lossbook import figures
from lossbook.figures.axes import axis_limits
from lossbook.figures.style import load_matplotlib, new_figure, rc_parameters

WIDTH, HEIGHT, MARGIN = 120, 72, 4
Curve = tuple[str, np.ndarray, np.ndarray]


def targets_of(loss: Any) -> list[float] | None:
    """The usual targets of a pointwise loss; of one that is infinite for every sure target, some that are not sure."""
    if loss.name == "divergence.jeffreys":
        return [0.9, 0.1]
    kind = loss.declaration.of_target.name if loss.declaration.target else ""
    return {"Label": [1.0, 0.0], "Sign": [1.0, -1.0], "Outcome": [0.0]}.get(kind)


def pointwise(loss: Any, count: int) -> tuple[str, list[Curve]]:
    """Over the prediction."""
    first = loss.declaration.of_prediction
    high = 1.0 if first.bounded else 6.0 if first.holds_logits else 3.0
    x = np.linspace(0.0 if first.bounded else -high, high, count)
    found = []
    for target in targets_of(loss) or [None]:
        arrays = [x] if target is None else [x, np.full_like(x, target)]
        name = loss.name if target is None else f"{loss.declaration.target} = {target:g}"
        found.append((name, x, loss(*arrays, reduction="none")))
    return f"{loss.declaration.arrays[0]}", found


def rows(loss: Any, count: int) -> tuple[str, list[Curve]]:
    """Over the score of the true class; the two others stay alike."""
    first, zeros = loss.declaration.of_prediction, np.zeros(count)
    if first.holds_logits:
        x = np.linspace(-6, 6, count)
        z, along = np.stack([x, zeros, zeros], axis=1), "score of the true class (the two others are 0)"
    else:
        x = np.linspace(0.001, 0.999, count)
        z, along = np.stack([x, (1 - x) / 2, (1 - x) / 2], axis=1), "probability of the true class"
        z = np.log(z) if first.name == "LogProbability" else z
    y = np.zeros((count, 3))
    y[:, 0] = 1
    return along, [(loss.name, x, loss(z, y, reduction="none"))]


def discs(loss: Any, count: int) -> tuple[str, list[Curve]]:
    """Over the shift of a disc from the true one; of probability 0.98 where a sure one would cost infinitely much."""
    shifts = np.unique(np.linspace(-24, 24, min(count, 49)).round())
    row, column = np.mgrid[-14:15, -40:41]
    true = (row**2 + column**2 <= 64).astype(float)
    found = np.stack([(row**2 + (column - shift) ** 2 <= 64).astype(float) for shift in shifts])
    p = (np.clip(found, 0.02, 0.98) if loss.name == "segmentation.balanced_cross_entropy" else found)[:, None]
    value = loss(p, np.broadcast_to(true, p.shape).copy(), reduction="none")
    return "shift of a disc of radius 8 from the true one (pixels)", [
        (loss.name, shifts, value.reshape(len(shifts), -1).mean(axis=1))
    ]


def boxes(loss: Any, count: int) -> tuple[str, list[Curve]]:
    """Over the shift of a box from its target, for a box of its size and for a wider one."""
    x, true = np.linspace(-12, 12, count), np.array([-2.0, -2.0, 2.0, 2.0])
    lines = []
    for name, box in (("the same size", true), ("twice as wide", true * np.array([2, 1, 2, 1]))):
        p = box + np.stack([x, 0 * x, x, 0 * x], axis=1)
        lines.append((name, x, loss(p, np.broadcast_to(true, p.shape).copy(), reduction="none")))
    return "shift from a true box with sides of 4", lines


def joined(loss: Any, count: int) -> tuple[str, list[Curve]]:
    """Over what is said of the truth, for a box in its place and for one that is off by 1 in each coordinate."""
    is_logit = loss.declaration.of_prediction.holds_logits
    x = np.linspace(-6, 6, count) if is_logit else np.linspace(0.001, 0.999, count)
    word = "score" if is_logit else "probability"
    if "adversarial" in loss.name:
        real, fake = loss(x, x, reduction="none")
        return f"{word} that both real and made data get", [(loss.name, x, real + fake)]
    score = np.stack([0 * x if is_logit else 1 - x, x], axis=1)
    label = np.ones(count, dtype=int)
    lines = []
    for name, off in (("the box in its place", 0.0), ("each coordinate off by 1", 1.0)):
        if "faster" in loss.name:
            arrays = [x, np.full((count, 4), off), label, np.zeros((count, 4))]
        else:
            masks = np.full((count, 2, 2, 2), 4.0 if is_logit else 0.98)
            arrays = [score, np.full((count, 4), off), *([masks] if "mask" in loss.name else []), label]
            arrays += [np.zeros((count, 4)), *([np.ones((count, 2, 2))] if "mask" in loss.name else [])]
        lines.append((name, x, loss(*arrays, reduction="none")))
    return f"{word} of the true class", lines


WAYS = {
    "pointwise": pointwise, "rows": rows, "overlap": discs, "distance": discs, "boxes": boxes, "joined": joined,
}  # fmt: skip


@cache
def way(name: str, count: int = 49) -> tuple[str, list[Curve]]:
    """(what is along, the curves) of a loss."""
    loss = cards.every_loss()[name]
    with np.errstate(all="ignore"):
        return WAYS[loss.shape](loss, count)


def turns(curves: list[Curve]) -> str:
    """The curves in words: both ends, and where a curve is lowest and highest between them."""
    said = []
    for name, x, values in curves:
        places = sorted({0, int(np.nanargmin(values)), int(np.nanargmax(values)), len(x) - 1})
        text = ", ".join(f"{values[at] + 0.0:.3g} at {x[at] + 0.0:.3g}" for at in places)
        said.append((f"{name}: " if len(curves) > 1 else "") + text.replace("inf", "infinity"))
    return f"{'; '.join(said)}."


def thumbnail(name: str) -> str:
    """A small curve as SVG."""
    along, curves = way(name)
    low, high = axis_limits(np.array([values for _, _, values in curves]))
    drawn = []
    for (_, x, values), style in zip(curves, ("", " stroke-dasharray='5 3'"), strict=False):
        across = MARGIN + (x - x[0]) / (x[-1] - x[0]) * (WIDTH - 2 * MARGIN)
        down = HEIGHT - MARGIN - (values - low) / (high - low) * (HEIGHT - 2 * MARGIN)
        seen = np.isfinite(down) & (down > -HEIGHT)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across[seen], down[seen], strict=True))
        drawn.append(f"<polyline points='{points}'{style}/>")
    label = escape(f"Curve of {name} over the {along}", quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(drawn)}</svg>'


def drawing(name: str) -> tuple[bytes, str]:
    """(the picture of a card as PNG, its text for those who do not see it)."""
    loss = cards.every_loss()[name]
    along, curves = way(name)
    if loss.shape == "pointwise":
        figure = figures.curves(loss, target=targets_of(loss))
        text = f"{figure.sentence} The loss: {turns(curves)}"
    else:
        text = f"Loss over the {along}. {turns(curves)}"
        with load_matplotlib().rc_context(rc_parameters()):
            figure, (axis,) = new_figure(text, 1, (6, 3.2))
            for label, x, values in curves:
                axis.plot(x, np.where(np.isfinite(values), values, np.nan), label=label)
            axis.set(xlabel=along, ylabel="loss")
            if len(curves) > 1:
                axis.legend()
    figure.set_dpi(90)
    small = BytesIO()  # few colors are enough for lines, and the page has many pictures
    shown = BytesIO(b64decode(figure._repr_mimebundle_()["image/png"]))
    Image.open(shown).convert("RGB").quantize(24).save(small, "PNG", optimize=True)
    return small.getvalue(), text


def picture(name: str, env: Any) -> nodes.raw:
    """The picture of a card, in a file beside the pages, which a browser loads when it comes into sight."""
    content, text = drawing(name)
    file = f"{cards.label_of(name)}.png"
    folder = Path(env.app.outdir) / "_images"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)
    width, height = Image.open(BytesIO(content)).size
    address = "../" * env.docname.count("/") + f"_images/{file}"
    size = f'width="{width}" height="{height}"'
    return nodes.raw(
        "", f'<p><img src="{address}" {size} loading="lazy" alt="{escape(text, quote=True)}"></p>', format="html"
    )
