"""Faulty implementations in PyTorch, where it is installed: their faults are in what its graph sees."""

import pytest

import lossbook
from lossbook import binary, multiclass, regression, segmentation

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
F = torch.nn.functional


def weight_detached(z, y):
    p = torch.sigmoid(z)
    right = torch.where(y == 1, p, 1 - p)
    alpha = torch.where(y == 1, 0.25, 0.75)
    return (alpha * (1 - right).detach() ** 2 * -torch.log(right)).mean()


def argmax_in_the_graph(z, y):
    return (z.argmax(dim=1) != y).double().mean()


def rounded(p, y):
    p = (p > 0.5).to(p.dtype)
    return (1 - (2 * (p * y).sum((2, 3)) + 1) / (p.sum((2, 3)) + y.sum((2, 3)) + 1)).mean()


def turned_into_a_number(p, y):
    return torch.tensor(((p - y) ** 2).mean().item(), dtype=p.dtype)


def softmax_before_cross_entropy(z, y):
    return F.cross_entropy(torch.softmax(z, dim=1), y)


def clamped(z, y):
    p = torch.sigmoid(z).clamp(1e-6, 1 - 1e-6)
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()


def changes_its_input(p, y):
    with torch.no_grad():
        p.sub_(y)
    return (p**2).mean()


class Remembers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.losses = []

    def forward(self, p, y):
        loss = (p - y) ** 2
        self.losses.append(loss)
        return loss.mean()


def logits_without_softmax(z, y):
    return F.nll_loss(z, y)


STUDENTS = [
    (weight_detached, binary.focal_with_logits, "detached weight"),
    (argmax_in_the_graph, multiclass.cross_entropy_with_logits, "argmax"),
    (rounded, segmentation.dice, "prediction rounded"),
    (rounded, segmentation.dice, "detached"),
    (turned_into_a_number, regression.squared_error, "detached"),
    (softmax_before_cross_entropy, multiclass.cross_entropy_with_logits, "softmax twice"),
    (clamped, binary.cross_entropy_with_logits, "zero gradient"),
    (changes_its_input, regression.squared_error, "inputs modified"),
    (Remembers(), regression.squared_error, "memory grows"),
    (logits_without_softmax, multiclass.cross_entropy_with_logits, "normalizer missing"),
]


@pytest.mark.parametrize(("function", "like", "kind"), STUDENTS, ids=[entry[2] for entry in STUDENTS])
def test_a_mistake_in_the_graph_is_named(function, like, kind):
    """Each under its name, as wrong."""
    report = lossbook.audit(function, like=like)
    assert kind in [finding.kind for finding in report.findings if finding.severity == "wrong"], str(report)
