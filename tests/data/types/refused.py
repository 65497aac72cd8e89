"""Mistakes that a type checker finds: the comment of a line is the error code of mypy that it must get."""

import numpy as np

import lossbook
from lossbook import binary, detection, labels, multiclass, regression, segmentation
from lossbook.domains import Expression, Label, Probability

p, y = np.array([0.5, 0.1], np.float64), np.array([1, 0], np.int64)

binary.focal(p, y, gama=2.0)  # call-overload
binary.focal.grad(p, y, gama=2.0)  # call-overload
binary.focal(p, y, gamma="2")  # call-overload
binary.focal(p)  # call-overload
binary.focal(p, y, y)  # call-overload
binary.focal(p=p, y=y)  # call-overload
binary.focal(p, None)  # call-overload
binary.focal(p, "labels")  # arg-type
binary.focal(p, y, reduction="average")  # call-overload
binary.focal(p, y, backend="torch")  # call-overload
binary.focal(p, y, out=p)  # call-overload
binary.focal(p, y, ignore_index=1)  # call-overload
binary.focal.partial(p, y, reduction="sum")  # call-overload
binary.focal.with_parameters(gama=2.0)  # call-overload
binary.focal.gradd(p, y)  # attr-defined
print(binary.loss)  # attr-defined
binary.focal_loss(p, y)  # attr-defined
binary.focal.on_logits("tanh")  # arg-type
binary.focal.source("cuda")  # arg-type
number: int = binary.focal(p, y)  # assignment
array: str = binary.focal.grad(p, y)  # assignment
0.3 * binary.focal + p  # arg-type
"0.3" * regression.huber  # operator
segmentation.dice(p, y, smoth=1.0)  # call-overload
segmentation.dice(p, y, squared="yes")  # call-overload
multiclass.cross_entropy(p, y, ignore_index=0.5)  # call-overload
detection.detection(p, p, y)  # call-overload
detection.faster_rcnn(p, p, y, p, beta=None)  # call-overload
labels.one_hot(y)  # call-arg
labels.class_weights(y, 2, method="balanced")  # arg-type
lossbook.use("torch")  # arg-type
print(lossbook.focal)  # attr-defined


@lossbook.loss
def own(p: Probability, y: Label) -> Expression:
    """An own loss is one."""
    return p - y


own.gradd(p, y)  # attr-defined
lossbook.loss("own")  # call-overload
