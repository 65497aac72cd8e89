"""The backend of matplotlib in the browser: plt.show() puts the pictures among the outputs of the cell."""

from cells import show_figures
from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas

__all__ = ["FigureCanvas", "show"]


def show(block: bool | None = None) -> None:
    show_figures()
