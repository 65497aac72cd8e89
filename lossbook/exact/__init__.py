"""Expressions as exact functions: words written out, points at which they are compared, errors beside them."""
