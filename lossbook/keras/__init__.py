"""Losses as those of Keras: `from lossbook.keras import loss`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossbook.keras.losses import loss as loss
else:  # this module is there without Keras, too

    def __getattr__(name: str) -> Any:
        """What is offered here, which needs Keras."""
        if name != "loss":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from lossbook.backends import imported

        imported("keras", f"lossbook.keras.{name}", "needs the package keras")
        from lossbook.keras import losses

        return getattr(losses, name)
