"""Nothing in the package reads a pickle or runs what a file holds; a run reads the tables it was fitted with alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import mltfr
from mltfr.errors import RunError
from mltfr.pipeline import restore
from mltfr.pipeline.config import RunConfig
from mltfr.tokens import PreparedTable

MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "yaml", "code", "imp"}
NAMES = {"eval", "exec", "compile", "__import__", "execfile"}
READERS = {"torch.load", "pd.read_pickle", "pandas.read_pickle", "polars.deserialize", "yaml.load", "np.fromregex"}
METHODS = {"read_pickle", "load_pickle", "broadcast_object_list", "all_gather_object", "gather_object"}
ALLOWED = {"training/distributed/process_group.py: distributed.broadcast_object_list(box, 0, device=self.device)"}
"""What the main process of a fit sends the others over torch's own connection; no file is read."""
PLANTED = (
    "import pickle",
    "from marshal import loads",
    "import yaml.loader",
    "import numpy, joblib",
    "eval('1')",
    "exec('1')",
    "torch.load(path)",
    "np.load(path)",
    "np.load(path, allow_pickle=True)",
    "numpy.load(path, allow_pickle=flag)",
    "open_memmap(path, allow_pickle=True)",
    "frame.read_pickle(path)",
    "dist.broadcast_object_list(x)",
)


def findings(tree: ast.AST) -> Iterator[str]:
    """Yield what may run something that a file holds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            pickles = [word.value for word in node.keywords if word.arg == "allow_pickle"]
            safe = [isinstance(value, ast.Constant) and value.value is False for value in pickles]
            unsaid = called in ("np.load", "numpy.load") and not safe
            if called in NAMES | READERS or called.split(".")[-1] in METHODS or not all(safe) or unsaid:
                yield ast.unparse(node)


@pytest.mark.parametrize("code", PLANTED)
def test_what_is_planted_is_found(code: str) -> None:
    assert list(findings(ast.parse(code)))


def test_no_file_of_the_package_reads_a_pickle_or_runs_code() -> None:
    root = Path(mltfr.__file__).parent
    found = {
        f"{path.relative_to(root)}: {finding}"
        for path in root.rglob("*.py")
        for finding in findings(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == ALLOWED


def test_a_run_refuses_other_tables_than_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its weights lack the tables; a fit with other ones has the same shapes."""
    config = RunConfig.parse({"fusion": {"name": "mltfr-reference"}})
    table = replace(PreparedTable.placeholder("a", 5, 4), fingerprint="ours")
    manifest = {"tables": [{"name": "a", "shape": [5, 4], "fingerprint": "ours"}]}
    monkeypatch.setattr(restore, "load_run_tables", lambda config: [table])
    assert restore._tables(tmp_path, config, manifest, 3).tokens == [table]
    monkeypatch.setattr(restore, "load_run_tables", lambda config: [replace(table, fingerprint="other")])
    with pytest.raises(RunError, match="was fitted with other token tables than those in the store"):
        restore._tables(tmp_path, config, manifest, 3)
