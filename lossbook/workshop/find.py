"""Names of losses in other libraries, and the call of this package that equals each.

    lossbook.find("BCEWithLogitsLoss")

The names are data, in `same_names.json` beside this module: library, name, loss, call, and what the call does not say.
"""

import difflib
import functools
import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from operator import attrgetter
from typing import Any

__all__ = ["Found", "Translation", "find"]

NEAREST = 5
LIBRARIES = {  # how a qualified name begins
    "torch": "PyTorch", "keras": "Keras", "tf": "Keras", "tensorflow": "Keras", "optax": "optax", "monai": "MONAI",
    "torchvision": "torchvision", "sklearn": "scikit-learn", "kornia": "kornia", "smp": "segmentation_models_pytorch",
    "segmentation_models_pytorch": "segmentation_models_pytorch", "fvcore": "fvcore",
}  # fmt: skip
MODULES = {  # of a library's classes, and of its functions
    "PyTorch": ("torch.nn", "torch.nn.functional"), "Keras": ("keras.losses", "keras.losses"),
    "optax": ("optax.losses", "optax.losses"), "MONAI": ("monai.losses", "monai.losses"),
    "torchvision": ("torchvision.ops", "torchvision.ops"), "scikit-learn": ("sklearn._loss.loss", "sklearn.metrics"),
    "kornia": ("kornia.losses", "kornia.losses"), "fvcore": ("fvcore.nn", "fvcore.nn"),
    "segmentation_models_pytorch": ("segmentation_models_pytorch.losses", "segmentation_models_pytorch.losses"),
}  # fmt: skip


@dataclass(frozen=True)
class Translation:
    """A name of another library, and what it is called here.

    Attributes
    ----------
    library, name : str
        Whose name it is.
    call : str or None
        The call of this package that gives the same numbers as the library's defaults; None if there is no such loss.
    note : str
        What the call does not say.
    """

    library: str
    name: str
    call: str | None
    note: str

    @property
    def qualified(self) -> str:
        """The name with its modules, as one imports it."""
        return f"{MODULES[self.library][not self.name[0].isupper()]}.{self.name}"

    @property
    def loss(self) -> Any:
        """The loss, or None if this package has none of that kind."""
        named = re.search(r"[a-z]+\.[a-z_0-9]+", self.call or "")
        return attrgetter(named[0])(importlib.import_module("lossbook")) if named else None

    def __str__(self) -> str:
        said = self.call or "no loss of this package"
        return f"{self.library} {self.name}: {said}" + (f"  ({self.note})" if self.note else "")


@dataclass(frozen=True)
class Found:
    """What was found under a name: translations, or where there are none the nearest names.

    It is true if there is a translation, and iterates over them. `loss`, `call` and `note` are those of the first.
    """

    name: str
    translations: tuple[Translation, ...]
    nearest: tuple[Translation, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.translations)

    def __len__(self) -> int:
        return len(self.translations)

    def __iter__(self) -> Iterator[Translation]:
        return iter(self.translations)

    @property
    def loss(self) -> Any:
        """The loss, or None."""
        return self.translations[0].loss if self else None

    @property
    def call(self) -> str | None:
        """The call, or None."""
        return self.translations[0].call if self else None

    @property
    def note(self) -> str:
        """What the call does not say."""
        return self.translations[0].note if self else ""

    def __str__(self) -> str:
        if self:
            return "\n".join(map(str, self.translations))
        names = "".join(f"\n    {one}" for one in self.nearest)
        return f"no loss is called {self.name!r} in a library known here; the nearest names are{names or ' none'}"

    __repr__ = __str__


@functools.cache
def table() -> tuple[Translation, ...]:
    """All names that are known."""
    text = files("lossbook.workshop").joinpath("same_names.json").read_text("utf-8")
    return tuple(Translation(*row) for row in json.loads(text))


def plainly(name: str) -> str:
    """A name without case, underscores and marks."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find(name: str) -> Found:
    """What a loss of another library is called here.

    Parameters
    ----------
    name : str
        As PyTorch, Keras, optax, MONAI, torchvision, scikit-learn, kornia, segmentation_models_pytorch or fvcore write
        it, alone or with its modules: "BCEWithLogitsLoss", "torch.nn.BCEWithLogitsLoss". Case and underscores do not
        matter.

    Returns
    -------
    Found
        Translations, each with `library`, `loss`, `call` and `note`; of an unknown name the nearest that are known.

    Raises
    ------
    TypeError
        For what is no text.

    Examples
    --------
    >>> import lossbook
    >>> lossbook.find("BCEWithLogitsLoss").call
    'binary.cross_entropy_with_logits(z, y)'
    >>> [one.library for one in lossbook.find("FocalLoss")]
    ['MONAI', 'kornia', 'segmentation_models_pytorch']
    """
    if not isinstance(name, str):
        raise TypeError(f"find: name must be text; got {type(name).__name__}")
    first, _, last = name.strip().removesuffix("()").rpartition(".")
    library = LIBRARIES.get(first.partition(".")[0].lower())
    known = [one for one in table() if library is None or one.library == library]
    exact = tuple(one for one in known if one.name == last)
    exact = exact or tuple(one for one in known if plainly(one.name) == plainly(last))
    if exact:
        return Found(name, exact)
    close = difflib.get_close_matches(plainly(last), [plainly(one.name) for one in known], n=NEAREST, cutoff=0.5)
    within = [plainly(one.name) for one in known if plainly(last) and plainly(last) in plainly(one.name)]
    order = list(dict.fromkeys([*within, *close]))[:NEAREST]
    nearest = [one for wanted in order for one in known if plainly(one.name) == wanted]
    return Found(name, (), tuple(nearest[:NEAREST]))
