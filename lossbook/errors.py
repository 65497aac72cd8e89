"""The three errors of lossbook. Each message reads: loss: argument, rule, what came."""


class ShapeError(ValueError):
    """Arrays whose shapes do not fit together."""


class DomainError(ValueError):
    """A value, a dtype or an option outside what the loss is defined for."""


class BackendError(ImportError):
    """A backend that is unknown, not installed, or that does not own the arrays it was given."""
