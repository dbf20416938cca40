"""Every contrastive objective keeps the promises of the seam."""

from __future__ import annotations

from typing import Any, ClassVar

from mltfr.testing.objective import ObjectiveContract


class TestCL4SRec(ObjectiveContract):
    name = "cl4srec"


class TestExtremeCL4SRec(ObjectiveContract):
    name = "cl4srec"
    settings: ClassVar[dict[str, Any]] = {"crop": 0.01, "mask": 0.99, "reorder": 1.0, "similarity": "cosine"}


class TestDuoRec(ObjectiveContract):
    name = "duorec"


class TestDuoRecByDropout(ObjectiveContract):
    name = "duorec"
    settings: ClassVar[dict[str, Any]] = {"positives": "dropout"}


class TestDuoRecByTarget(ObjectiveContract):
    name = "duorec"
    settings: ClassVar[dict[str, Any]] = {"positives": "same-target", "similarity": "cosine", "temperature": 0.2}
