"""Second derivatives, from the same formulas: the diagonal of a Hessian, and its product with a direction.

elements   the slope of a formula as a formula of its own, whose kernels give the second derivative
rows       what classes that compete (softmax, largest logit) make of the derivatives of the function of one class
evaluate   one call: elements and boxes, rows, totals
"""
