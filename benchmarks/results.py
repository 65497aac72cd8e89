"""The file of what was found of errors, benchmarks/exhaustive.json, and what of it the cards of the losses show.

python -m benchmarks.results            write lossbook/largest_errors.json from it, as `store` does
"""

import json
import os
import platform
from pathlib import Path
from typing import Any

import lossbook
from benchmarks.__main__ import processor, version

RESULTS = Path(__file__).with_name("exhaustive.json")
SHOWN = Path(lossbook.__file__).with_name("largest_errors.json")
SOFT = 0.25  # the label whose slopes are differences: of these the page speaks, not the card


def stored() -> dict[str, Any]:
    """What was found before."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"losses": {}}


def store(results: dict[str, Any]) -> None:
    """Write all results, at once, and what the cards show of them."""
    packages = {name: version(name) for name in ("numpy", "numba", "mpmath")}
    results["machine"] = {"processor": processor(), "python": platform.python_version(), **packages}
    results["losses"] = dict(sorted(results["losses"].items()))
    write(RESULTS, results)
    write(SHOWN, shown(results))


def write(path: Path, content: Any) -> None:
    """Replace a file as a whole."""
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(aside, path)


def shown(results: dict[str, Any]) -> dict[str, Any]:
    """Of each loss the largest errors of value and slope with its defaults, and at which targets and predictions.

    `stride` is that of the predictions, 1 for all of them, and None where inputs were searched.
    """
    found: dict[str, Any] = {}
    for name, cases in results["losses"].items():
        plain = [case for case in cases.values() if not case["parameters"] and case["target"] != SOFT]
        errors = {what: max(case[what]["largest"] for case in plain) for what in ("value", "gradient")}
        targets = [case["target"] for case in plain if case["target"] is not None]
        found[name] = errors | {"targets": targets, "stride": max(case["stride"] for case in plain)}
    for name, sampled in results.get("sampled", {}).items():
        errors = {what: sampled[what]["largest"] for what in ("value", "gradient") if what in sampled}
        found[name] = errors | {"targets": [], "stride": None}
    return {
        name: {key: round(value, 4) if isinstance(value, float) else value for key, value in one.items()}
        for name, one in sorted(found.items())
    }


if __name__ == "__main__":
    write(SHOWN, shown(stored()))
