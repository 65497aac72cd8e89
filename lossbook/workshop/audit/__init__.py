"""The audit of an implementation: is it right, and which call of this package equals it?

    report = lossbook.audit(function, like=binary.focal_with_logits, gamma=2.0)
    bool(report), report.equals, report.findings

A function is judged by calling it, never by its text.
"""

from collections.abc import Callable
from typing import Any

from lossbook.algebra import Loss
from lossbook.workshop.audit.findings import Finding
from lossbook.workshop.audit.report import Report
from lossbook.workshop.audit.run import audited, identified

__all__ = ["Audit", "Finding", "Report", "audit"]


class Audit:
    """Find out, by calling it, whether a function is a loss of this package, and what is wrong with it.

    `lossbook.audit(function, like=loss, **parameters)` compares a function with a loss;
    `lossbook.audit.identify(function)` looks for the loss that it is.
    """

    def __call__(
        self,
        function: Callable[..., Any],
        like: Loss | None = None,
        *,
        gradient: Callable[..., Any] | None = None,
        **parameters: Any,
    ) -> Report:
        """Compare a function with a loss of this package.

        Parameters
        ----------
        function : callable
            In NumPy, PyTorch, JAX or Keras, or a torch.nn.Module; of a prediction and a target, in either order.
        like : Loss
            The loss that it is meant to be. It must be given; `identify` does without.
        gradient : callable, optional
            Its gradient along the prediction, of the same arguments: of the sum of what the function gives. Without it
            the framework's is taken, or of functions of NumPy arrays differences.
        **parameters
            The parameters of the loss that the function is meant to have, as `gamma=2.0`, and its options
            `class_weight` and `ignore_index`. A parameter that is not named may have any value.

        Returns
        -------
        Report
            True if nothing is wrong or inaccurate; see `Report`.

        Raises
        ------
        TypeError
            For a function that cannot be called, no loss to compare with, or a parameter that the loss does not have.

        Examples
        --------
        >>> import lossbook
        >>> from lossbook import regression
        >>> report = lossbook.audit(lambda p, y: ((p - y) ** 2).mean() / 2, like=regression.squared_error)
        >>> report.equals
        '0.5*regression.squared_error(p, y)'
        """
        return audited(function, like, gradient, parameters)

    def identify(
        self, function: Callable[..., Any], *, gradient: Callable[..., Any] | None = None, **parameters: Any
    ) -> Report:
        """Look for the loss of this package that a function is, and audit it.

        Parameters
        ----------
        function : callable
            As `audit` takes it.
        gradient : callable, optional
            As `audit` takes it.
        **parameters
            Parameters that the loss is known to have.

        Returns
        -------
        Report
            That of the audit, or one that says that no loss was found.

        Raises
        ------
        TypeError
            For a function that cannot be called.

        Examples
        --------
        >>> import lossbook
        >>> lossbook.audit.identify(lambda y, p: abs(y - p).sum()).equals
        "regression.absolute_error(p, y, reduction='sum')"
        """
        return identified(function, gradient, parameters)

    def __repr__(self) -> str:
        return "<function audit of lossbook: audit(function, like=loss) or audit.identify(function)>"


audit = Audit()
