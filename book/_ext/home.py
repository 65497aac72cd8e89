"""The moving picture of the home page: the same wrong answer, learned by two losses: ``{descent}``."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lossbook import Logit, loss, words
from lossbook.binary import cross_entropy_with_logits
from lossbook.domains import Label

STEPS, RATE, START, SECONDS = 40, 0.7, -6.0, 5  # of gradient descent, and how long the picture moves
WIDTH, HEIGHT, LEFT, TOP = 340, 190, 44, 16  # of the ground, and where it begins, in a picture of 400 x 262
LOW, HIGH, HIGHEST = -8, 8, 8


@loss
def squared_error(z: Logit, y: Label):
    """The squared error of the probability sigmoid(z)."""
    return (words.sigmoid(z) - y) ** 2


def at(z: float, value: float) -> str:
    """The place of a point of a curve."""
    return f"{LEFT + WIDTH * (z - LOW) / (HIGH - LOW):.1f} {TOP + HEIGHT * (1 - value / HIGHEST):.1f}"


def curve(one: object, color: str, dash: str) -> str:
    points = [LOW + (HIGH - LOW) * step / 80 for step in range(81)]
    path = "L".join(at(z, float(one(z, 1.0))) for z in points)
    return f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2.5" stroke-dasharray="{dash}"/>'


def ball(one: object, color: str, name: str) -> str:
    """A circle that takes the steps of gradient descent once, and stays where they lead."""
    z, places = START, []
    for _ in range(STEPS + 1):
        value, slope = one.value_and_grad(z, 1.0)
        places.append(at(z, float(value)).split())
        z -= RATE * float(slope)
    frames = "".join(
        f"{100 * step / STEPS:.1f}% {{ transform: translate({x}px, {y}px); }}" for step, (x, y) in enumerate(places)
    )
    x, y = places[-1]
    return (
        f"<style>@keyframes {name} {{ {frames} }} .{name} {{ transform: translate({x}px, {y}px); "
        f"animation: {name} {SECONDS}s linear 1; }}"
        f"@media (prefers-reduced-motion: reduce) {{ .{name} {{ animation: none; }} }}</style>"
        f'<circle class="{name}" r="8" fill="{color}" stroke="#fff" stroke-width="1.5"/>'
    )


class Descent(SphinxDirective):
    """Cross-entropy leads a wrong answer home, and the squared error of the probability leaves it where it is."""

    def run(self) -> list[nodes.Node]:
        said = (
            "Loss over the score of an answer that should be yes. Forty steps of gradient descent begin at the score "
            f"{START:g}. On cross-entropy, a straight slope that flattens near 0, a ball rolls down to the bottom on "
            "the right. On the squared error of the probability, which is flat there, a ball does not move."
        )
        ticks = "".join(
            f'<text x="{at(z, 0).split()[0]}" y="{TOP + HEIGHT + 17}" text-anchor="middle">{z:g}</text>'
            for z in (-8, -4, 0, 4, 8)
        )
        levels = "".join(
            f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{at(0, v).split()[1]}" y2="{at(0, v).split()[1]}" '
            f'stroke="#ddd"/><text x="{LEFT - 7}" y="{at(0, v).split()[1]}" dy="0.35em" text-anchor="end">{v}</text>'
            for v in (0, 2, 4, 6, 8)
        )
        blue, red = "#1f5fa8", "#b8401f"
        svg = (
            f'<svg viewBox="0 0 400 262" role="img" aria-label="{said}" style="width: 100%; max-width: 34rem; '
            f'background: #fff; border: 1px solid #ccc; border-radius: 6px" font-family="sans-serif" font-size="13" '
            f'fill="#222">{levels}{ticks}<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 36}" text-anchor="middle">'
            f"score z of the answer yes, which is right</text>"
            f"{curve(cross_entropy_with_logits, blue, '')}{curve(squared_error, red, '7 4')}"
            f'<text x="{LEFT + 70}" y="{TOP + 14}" fill="{blue}">cross-entropy</text>'
            f'<text fill="{red}"><tspan x="{LEFT + 10}" y="{TOP + HEIGHT - 50}">squared error</tspan>'
            f'<tspan x="{LEFT + 10}" dy="1.2em">of the probability</tspan></text>'
            f"{ball(cross_entropy_with_logits, blue, 'rolls')}{ball(squared_error, red, 'stays')}</svg>"
        )
        replay = (
            "this.previousElementSibling.getAnimations({subtree: true}).forEach(one => { one.cancel(); one.play(); })"
        )
        html = f'<div class="descent">{svg}<button type="button" onclick="{replay}">Play again</button></div>'
        return [nodes.raw("", html, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("descent", Descent)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
