"""Losses as those of Keras: `from lossbook.keras import loss`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossbook.keras.losses import loss as loss
else:  # this module is there without Keras, too
    from lossbook.backends import offering

    __getattr__ = offering(__name__, "loss", "keras", "lossbook.keras.losses")
