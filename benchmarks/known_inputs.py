"""Inputs that went wrong once, made here, and what comes of them: `python benchmarks/known_inputs.py [--as now]`.

Each stands for a kind that people have met with software of this sort. The answers are kept in
`benchmarks/results/inputs.json` under the name given with `--as`, so that two versions can be told apart: run it with
the older version's `src` first on PYTHONPATH and `--as before`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faults.known import KNOWN
from harness.machine import ROOT


def main() -> None:
    """Make every input, use it, and write down the answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--as", dest="name", default="now", choices=("before", "now"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "inputs.json")
    given = parser.parse_args()
    document = json.loads(given.out.read_text()) if given.out.exists() else {}
    for name, (right, use) in KNOWN.items():
        found = answer(use)
        document[name] = {**document.get(name, {}), "right": right, given.name: found}
        sys.stdout.write(f"{name}: {found}\n")
    ordered = {name: document[name] for name in KNOWN}
    given.out.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def answer(use: Callable[[Path], Any]) -> str:
    """Return what comes of an input: what is read, the line that refuses it, or the name of the error."""
    from mltfr.errors import MltfrError

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return str(use(Path(folder)))
        except MltfrError as error:
            return f"refused: {' '.join(str(error).replace(f'{folder}/', '').split())}"
        except BaseException as error:
            return f"a traceback: {type(error).__name__}"


if __name__ == "__main__":
    main()
