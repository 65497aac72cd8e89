"""The look of the figures: colors, line styles, and figures that notebooks show by themselves."""

from base64 import b64encode
from functools import cache
from io import BytesIO
from typing import Any

__all__ = ["COLORS", "LINES", "load_matplotlib", "new_drawing", "new_figure", "png", "rc_parameters", "style"]

# The colors of Okabe and Ito that show on white; the line styles tell curves apart where colors cannot.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (9, 3)), (0, (2, 1)))


@cache
def load_matplotlib() -> Any:
    try:
        import matplotlib
        import matplotlib.figure
        import matplotlib.patches
    except ImportError as error:
        raise ImportError("lossbook.figures draws with matplotlib, which is not installed") from error
    return matplotlib


@cache
def rc_parameters() -> dict[str, Any]:
    cycle = load_matplotlib().cycler(color=COLORS) + load_matplotlib().cycler(linestyle=LINES)
    return {
        "figure.figsize": (6.4, 3.8), "figure.dpi": 120, "savefig.dpi": "figure", "figure.constrained_layout.use": True,
        "figure.facecolor": "white", "savefig.facecolor": "white", "axes.facecolor": "white",
        "font.family": "DejaVu Sans", "font.size": 11, "axes.labelsize": 11, "legend.fontsize": 10,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#E3E3E3",
        "axes.axisbelow": True, "legend.frameon": False, "legend.handlelength": 3, "lines.linewidth": 2,
        "axes.prop_cycle": cycle, "svg.hashsalt": "lossbook", "svg.fonttype": "path",
    }  # fmt: skip


def style() -> None:
    """Give every matplotlib figure that follows the look of the book; call it once, in a chapter's first cell.

    Opaque white ground, lines of width 2 in colors that color-blind readers tell apart, a line style of its own for
    each color (gray print), no frame on the right and on top, and fixed ids in SVG files.
    """
    load_matplotlib().rcParams.update(rc_parameters())


@cache
def _drawing():
    figure: Any = load_matplotlib().figure

    class Drawing(figure.Figure):
        """A Figure that notebooks show by itself, as PNG and as a sentence, with no state kept in pyplot."""

        sentence = ""

        def _repr_mimebundle_(self, include=None, exclude=None):
            return {"image/png": png(self), "text/plain": self.sentence}

    return Drawing


def new_figure(sentence: str, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """A new figure with `columns` axes."""
    figure = new_drawing(sentence, size)
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def new_drawing(sentence: str, size: tuple[float, float]) -> Any:
    """A new figure without axes."""
    figure = _drawing()(figsize=size)
    figure.sentence = sentence
    return figure


def png(figure: Any) -> str:
    """The figure as PNG in base64, without the name and version of the program that drew it."""
    with load_matplotlib().rc_context(rc_parameters()):
        figure.savefig(file := BytesIO(), format="png", metadata={"Software": None})
    return b64encode(file.getvalue()).decode()
