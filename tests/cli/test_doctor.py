"""`mltfr doctor` names what there is, out of the registries and the package's metadata."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from mltfr.cli import doctor
from mltfr.fusion import FUSIONS
from support.command_line import run

ROOT = Path(__file__).parents[2]


def test_all_extras_and_fusions_are_named() -> None:
    report = json.loads(run("doctor", "--json").stdout)
    assert set(FUSIONS.names()) | {"random", "shuffled"} <= set(report["parts"]["fusions"].split(", "))
    assert set(doctor.extras()) == set(report["extras"])
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(doctor.extras()) <= set(listed)
    assert {"hub", "pandas", "tensorboard", "ann", "study", "ray"} <= set(doctor.extras())
    assert not set(doctor.DEVELOPMENT) & set(doctor.extras())


def test_a_missing_extra_is_named_with_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = ["torch>=2", 'mltfr-none[all]>=1; extra == "hub"', 'torch>=2; extra == "hub"']
    monkeypatch.setattr(doctor, "requires", lambda package: requirements)
    assert doctor.extras() == {"hub": ["mltfr-none", "torch"]}
    assert doctor.examine()["extras"] == {"hub": "pip install 'mltfr[hub]' (mltfr-none missing)"}
