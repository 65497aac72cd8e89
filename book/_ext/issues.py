"""Links to issues of other libraries: a text such as "pytorch #2259, #25571" leads to each of them.

The pages name a repository by its last part, or in full, and after it one number or several.
"""

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

# Who owns what the pages name without its owner, and what is called otherwise there.
REPOSITORIES = {
    "boundary-loss": "LIVIAETS/boundary-loss", "burn": "tracel-ai/burn", "DIoU-SSD-pytorch": "Zzh-tju/DIoU-SSD-pytorch",
    "fastai": "fastai/fastai", "Flux.jl": "FluxML/Flux.jl", "jax": "jax-ml/jax", "keras": "keras-team/keras",
    "kornia": "kornia/kornia", "llvmlite": "numba/llvmlite", "LovaszSoftmax": "bermanmaxim/LovaszSoftmax",
    "MLJBase.jl": "JuliaAI/MLJBase.jl", "mmocr": "open-mmlab/mmocr",
    "mmsegmentation": "open-mmlab/mmsegmentation", "MONAI": "Project-MONAI/MONAI", "nnUNet": "MIC-DKFZ/nnUNet",
    "numba": "numba/numba", "OpenRLHF": "OpenRLHF/OpenRLHF", "optax": "google-deepmind/optax",
    "pytorch": "pytorch/pytorch", "scikit-image": "scikit-image/scikit-image",
    "scikit-learn": "scikit-learn/scikit-learn",
    "segmentation_models.pytorch": "qubvel-org/segmentation_models.pytorch",
    "sentence-transformers": "huggingface/sentence-transformers", "SegWithDistMap": "JunMa11/SegWithDistMap",
    "tensorflow": "tensorflow/tensorflow", "transformers": "huggingface/transformers",
    "weighted-hausdorff": "N0vel/weighted-hausdorff-distance-tensorflow-keras-loss",
}  # fmt: skip
MENTION = re.compile(r"(?:([A-Za-z0-9][\w.-]*(?:/[\w.-]+)?)(?: PR)? |(?<=, ))?#(\d+)\b")
# Words before a further number of the same repository.
FURTHER = (None, "again", "and", "in")

log = logging.getLogger(__name__)


def mentions(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """The issues that a text names, each with its repository; none where the text does not say which."""
    repository = ""
    for found in MENTION.finditer(text):
        named = found[1]
        if named not in FURTHER:
            repository = named if "/" in named else REPOSITORIES.get(named, "")
        elif named is None and not text[: found.start()].endswith(", "):
            repository = ""
        yield found, repository


class Issues(SphinxTransform):
    """Issues in running text become links; one whose repository is not known is a warning."""

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        skipped = (nodes.FixedTextElement, nodes.literal, nodes.math, nodes.reference, nodes.Invisible)
        for text in list(self.document.findall(nodes.Text)):
            if "#" not in text or isinstance(text.parent, skipped):
                continue
            parts: list[nodes.Node] = []
            end = 0
            for found, repository in mentions(text.astext()):
                if not repository:
                    log.warning("an issue of what repository? %s", found[0], location=text.parent)
                    continue
                at = found.start() if found[1] not in FURTHER else found.start(2) - 1
                address = f"https://github.com/{repository}/issues/{found[2]}"  # that of a pull request leads on
                link = nodes.reference("", text[at : found.end()], refuri=address, internal=False)
                parts += [nodes.Text(text[end:at]), link]
                end = found.end()
            if parts:
                text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(Issues)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
