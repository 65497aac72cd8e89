"""The audit: what it says of right, of unusual and of faulty implementations, all of them in NumPy."""

import subprocess
import sys

import numpy as np
import pytest
from processes import ROOT
from students import GRADIENTS, STUDENTS

import lossbook
from lossbook import binary, detection, multiclass, regression, segmentation
from lossbook.workshop.audit.findings import SEVERITIES


def kinds(report, *severities):
    """The kinds of the findings of these severities."""
    return [finding.kind for finding in report.findings if finding.severity in severities]


# --- what is right ---------------------------------------------------------------------------------------------------


def same_shape(p, y):
    """Refuse arrays that would be broadcast."""
    if p.shape != y.shape:
        raise ValueError(f"shapes {p.shape} and {y.shape}")


def logistic(z, y):
    same_shape(z, y)
    if ((y < 0) | (y > 1)).any():
        raise ValueError("labels are in [0, 1]")
    return np.mean(y * np.logaddexp(0, -z) + (1 - y) * np.logaddexp(0, z))


def logistic_slope(z, y):
    with np.errstate(over="ignore"):
        return ((1 - y) / (1 + np.exp(-z)) - y / (1 + np.exp(z))) / z.size


def test_a_right_function_is_right():
    """Nothing is found but that no float64 appears where float32 goes in."""
    report = lossbook.audit(logistic, like=binary.cross_entropy_with_logits, gradient=logistic_slope)
    assert report
    assert kinds(report, "wrong", "inaccurate", "missing") == []
    assert report.equals == "binary.cross_entropy_with_logits(z, y)"


@pytest.mark.parametrize(
    ("loss", "shape"),
    [(binary.focal_with_logits, None), (regression.huber, None), (multiclass.cross_entropy_with_logits, None),
     (segmentation.dice, None), (segmentation.tversky, None), (detection.ciou, None)],
    ids=lambda value: getattr(value, "name", ""),
)  # fmt: skip
def test_a_loss_of_the_package_is_itself(loss, shape):
    """Its own losses have nothing wrong, with their gradients, and equal themselves."""
    gradient = (lambda *arrays: loss.grad(*arrays))  # noqa: E731
    report = lossbook.audit(lambda *arrays: loss(*arrays), like=loss, gradient=gradient)
    assert report, str(report)
    assert report.equals.startswith(f"{loss.name}(")
    assert kinds(report, "convention") in ([], ["empty input"])


def test_the_pair_of_value_and_gradient_is_taken():
    """A function that returns both needs no gradient beside it."""
    report = lossbook.audit(regression.squared_error.value_and_grad, like=regression.squared_error)
    assert report, str(report)
    assert kinds(report, "missing") == []


# --- conventions -----------------------------------------------------------------------------------------------------


def focal(y_true, y_pred, gamma=2.0):
    p = np.where(y_true == 1, y_pred, 1 - y_pred)
    return -np.sum((1 - p) ** gamma * np.log(p))


CONVENTIONS = [
    (lambda y_true, y_pred: focal(y_true, y_pred), binary.focal, {},
     "2*binary.focal(p, y, gamma=2.0, alpha=0.5, reduction='sum')",
     ["order of arguments", "factor", "reduction", "parameter"]),
    (lambda p, y: -np.mean(y * np.log2(p) + (1 - y) * np.log2(1 - p)), binary.cross_entropy_with_logits, {},
     "1/log(2)*binary.cross_entropy(p, y)", ["prediction", "factor"]),
    (lambda y_true, y_pred: ((y_true - y_pred) ** 2).mean(axis=-1) / 2, regression.squared_error, {},
     "0.5*regression.squared_error(p, y, reduction='none').mean(axis=1)",
     ["order of arguments", "factor", "reduction"]),
    (lambda p, y: np.where(abs(p - y) < 1.35, (p - y) ** 2 / 2, 1.35 * (abs(p - y) - 0.675)), regression.huber, {},
     "regression.huber(p, y, delta=1.35, reduction='none')", ["reduction", "parameter"]),
    (lambda z, hot: np.mean(np.log(np.exp(z).sum(axis=1)) - (z * hot).sum(axis=1)),
     multiclass.cross_entropy_with_logits, {}, "multiclass.cross_entropy_with_logits(z, y)", ["target"]),
    (lambda z, y: np.mean(np.array([1.0, 4.0, 1.0])[y] * multiclass.cross_entropy_with_logits(z, y, reduction="none")),
     multiclass.cross_entropy_with_logits, {"class_weight": [1.0, 4.0, 1.0]},
     "multiclass.cross_entropy_with_logits(z, y, class_weight=[1.0, 4.0, 1.0], reduction='sum')/z.shape[0]",
     ["reduction"]),
    (lambda p, y: 1 - 2 * (p * y).sum() / (p + y).sum(), segmentation.dice, {"smooth": 0.0},
     "segmentation.dice(p.reshape(1, 1, -1), y.reshape(1, 1, -1), smooth=0.0)", ["sums"]),
    (lambda p, t: detection.giou(*(np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1)
                                   for b in (p, t))), detection.giou, {}, "detection.giou(p, t)", ["layout"]),
]  # fmt: skip


@pytest.mark.parametrize(("function", "like", "parameters", "equals", "said"), CONVENTIONS, ids=lambda value: "")
def test_a_convention_is_told_and_is_not_wrong(function, like, parameters, equals, said):
    """The call is found, and what is unusual is called a convention."""
    report = lossbook.audit(function, like=like, **parameters)
    assert report.equals == equals
    assert set(said) <= set(kinds(report, "convention"))
    assert not set(said) & set(kinds(report, "wrong", "inaccurate"))


def test_the_constant_of_a_clamp_is_told():
    """The value of a sure mistake tells the constant, and an ordinary one whether it is added."""
    for how, function in (("adds to", lambda p: p + 1e-7), ("keeps as the least", lambda p: np.clip(p, 1e-7, 1))):
        report = lossbook.audit(
            lambda p, y, f=function: -np.mean(y * np.log(f(p)) + (1 - y) * np.log(f(1 - p))), like=binary.cross_entropy
        )
        (found,) = [finding for finding in report.findings if finding.kind == "clamp"]
        assert how in found.text
        assert "1e-07" in found.text
        assert found.severity == "convention"


def test_ignored_labels():
    """The label that is left out, the divisor, and what comes of a batch without labels."""

    def cross_entropy(z, y):
        keep = y != 255
        rows = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), np.where(keep, y, 0)]
        return (rows * keep).sum() / len(y)

    report = lossbook.audit(cross_entropy, like=multiclass.cross_entropy_with_logits)
    texts = {finding.kind: finding.text for finding in report.findings}
    assert "255" in texts["ignored labels"]
    assert "the ignored ones too" in texts["ignored labels"]
    assert "is 0" in texts["all ignored"]


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "like", "kind", "severity", "parameters"), STUDENTS, ids=[entry[0].__name__ for entry in STUDENTS]
)
def test_a_mistake_is_named(function, like, kind, severity, parameters):
    """Each faulty implementation is found out under the name of its fault."""
    report = lossbook.audit(function, like=like, **parameters)
    assert kind in kinds(report, severity), str(report)


@pytest.mark.parametrize(("function", "gradient", "like", "said"), GRADIENTS, ids=[entry[3] for entry in GRADIENTS])
def test_a_wrong_gradient_is_named(function, gradient, like, said):
    """The finding tells what the gradient is, with what it should be."""
    report = lossbook.audit(function, like=like, gradient=gradient)
    (found,) = [finding for finding in report.findings if said in finding.text]
    assert found.severity == "wrong"
    assert np.shape(found.got) == np.shape(found.want)


def test_an_explicit_parameter_is_held_against_the_function():
    """What an audit is not told is a convention; what it is told has to be so."""

    def function(z, y):
        p = 1 / (1 + np.exp(-z))
        return -np.mean(0.25 * y * (1 - p) * np.log(p) + 0.75 * (1 - y) * p * np.log(1 - p))

    untold = lossbook.audit(function, like=binary.focal_with_logits)
    assert untold.equals == "binary.focal_with_logits(z, y, gamma=1.0, alpha=0.25)"
    told = lossbook.audit(function, like=binary.focal_with_logits, gamma=2.0)
    assert "parameter" in kinds(told, "wrong")
    assert told.equals is None


def test_an_unknown_function_is_wrong_with_a_small_input():
    """No diagnosis is made up; the simplest input that differs is shown."""
    report = lossbook.audit(lambda p, y: np.mean(np.sin(p) * y + p**3), like=binary.cross_entropy)
    assert report.findings[0].kind == "value"
    assert report.findings[0].inputs[0].tolist() == [[0.5]]
    assert report.equals is None


# --- the report ------------------------------------------------------------------------------------------------------


def test_every_finding_says_all_it_has_to():
    """A sentence, a severity, and for what is wrong or inaccurate an input, what came and what should."""
    report = lossbook.audit(lambda z, y: np.mean(np.log(1 + np.exp(z)) - z * y), like=binary.cross_entropy_with_logits)
    assert {finding.severity for finding in report.findings} <= set(SEVERITIES)
    for finding in report.findings:
        assert finding.text.endswith(".")
        if finding.severity in ("wrong", "inaccurate"):
            assert len(finding.inputs) == 2
            assert finding.got is not None
            assert finding.want is not None


def test_the_report_in_a_terminal_and_on_a_page():
    """The same statements in both; a page has the severity in words, and nothing of the function is taken as HTML."""

    def squares(p, y):
        return np.mean((p - y) ** 2)

    squares.__name__ = "<b>squares</b>"
    report = lossbook.audit(squares, like=regression.squared_error)
    bundle = report._repr_mimebundle_()
    assert bundle["text/plain"] == str(report)
    assert max(map(len, str(report).splitlines())) <= 79
    assert "<b>squares" not in bundle["text/html"]
    for finding in report.findings:
        assert f"<strong>{finding.severity}</strong>" in bundle["text/html"]


def test_the_same_text_twice():
    """An audit draws the same inputs every time."""
    texts = {str(lossbook.audit(STUDENTS[0][0], like=STUDENTS[0][1])) for _ in range(2)}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ((3, binary.focal), TypeError, "function must be callable; got int"),
        ((focal,), TypeError, "like must be the loss that the function is meant to be, .* audit.identify"),
        ((focal, "binary.focal"), TypeError, "like must be a loss of lossbook"),
        ((focal, detection.faster_rcnn), TypeError, "detection.faster_rcnn takes several predictions"),
    ],
)
def test_what_cannot_be_audited_is_refused(arguments, error, said):
    """By name, with what came."""
    with pytest.raises(error, match=said):
        lossbook.audit(*arguments)
    with pytest.raises(TypeError, match="gama"):
        lossbook.audit(focal, like=binary.focal, gama=2.0)


# --- identify, find, the command line --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "equals"),
    [
        (lambda p, y: np.mean((p - y) ** 2), "regression.squared_error(p, y)"),
        (lambda z, y: np.logaddexp(0, z) - z * y, "binary.cross_entropy_with_logits(z, y, reduction='none')"),
        (lambda p, y: -np.log(p[np.arange(len(y)), y]).mean(), "multiclass.cross_entropy(p, y)"),
        (lambda p, y: np.mean((p - y) ** 3), None),
    ],
)
def test_identify(function, equals):
    """The loss is found among all, or none."""
    report = lossbook.audit.identify(function)
    assert report.equals == equals


def command(*arguments):
    """What the command line prints and its exit status."""
    done = subprocess.run(
        [sys.executable, "-m", "lossbook", *arguments], capture_output=True, text=True, cwd=ROOT / "tests" / "support"
    )
    return done.stdout + done.stderr, done.returncode


def test_the_command_line():
    """The report, with an exit status for scripts."""
    text, status = command("audit", "students:p_for_one_minus_p", "--like", "binary.cross_entropy")
    assert status == 1
    assert "labels exchanged" in text
    text, status = command("audit", "students:score", "--like", "segmentation.dice")
    assert status == 0
    assert "equals: 1 - segmentation.dice(p, y, smooth=1.0)" in text
    text, status = command("audit", "students:nothing", "--like", "binary.cross_entropy")
    assert (status, "nothing" in text) == (2, True)
    text, status = command("find", "BCEWithLogitsLoss")
    assert (status, "binary.cross_entropy_with_logits(z, y)" in text) == (0, True)
