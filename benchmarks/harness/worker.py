"""One row, measured in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.result import Result
from harness.settings import Settings, Skipped

ROOT = Path(__file__).resolve().parents[1]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


def run_row(module: str, function: str, settings: Settings, threads: int, timeout: float) -> dict[str, Any]:
    """Measure a row in a new process.

    Returns:
        `{"results": [...]}`, `{"skipped": why}` or `{"failed": why}`.
    """
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / "task.json"
        answer = Path(folder) / "answer.json"
        told = asdict(replace(settings, threads=threads))
        task.write_text(json.dumps({"module": module, "function": function, "settings": told}))
        command = [sys.executable, "-m", "harness.worker", str(task), str(answer)]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return {"failed": f"not done after {timeout:.0f} s"}
        if answer.is_file():
            return dict(json.loads(answer.read_text()))
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(done.stderr, file=sys.stderr)
        return {"failed": f"exit code {done.returncode}: {reason}"}


def main(task: Path, answer: Path) -> None:
    """Do what the task says."""
    given = json.loads(task.read_text())
    settings = Settings(**given["settings"])
    measure_row = getattr(import_module(given["module"]), given["function"])
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(settings.threads)
    try:
        results: list[Result] = measure_row(settings)
        answer.write_text(json.dumps({"results": [result.to_json() for result in results]}))
    except Skipped as reason:
        answer.write_text(json.dumps({"skipped": str(reason)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
