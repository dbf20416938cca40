"""Every backbone keeps the promises of the seam."""

from __future__ import annotations

from typing import Any, ClassVar

from mltfr.testing.backbone import BackboneContract


class TestSASRec(BackboneContract):
    name = "sasrec"


class TestSASRecOfThePaper(BackboneContract):
    name = "sasrec"
    settings: ClassVar[dict[str, Any]] = {
        "norm": "pre",
        "input_norm": False,
        "scale_input": True,
        "activation": "relu",
        "inner": 1,
        "heads": 1,
    }


class TestBERT4Rec(BackboneContract):
    name = "bert4rec"


class TestOneBlock(BackboneContract):
    name = "sasrec"
    settings: ClassVar[dict[str, Any]] = {"blocks": 1, "heads": 4}


class TestCL4SRec(BackboneContract):
    name = "cl4srec"


class TestDuoRec(BackboneContract):
    name = "duorec"
