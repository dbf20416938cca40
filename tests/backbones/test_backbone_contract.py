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
        "inner_dropout": 0.4,
    }


class TestBERT4Rec(BackboneContract):
    name = "bert4rec"


class TestBERT4RecOfItsCode(BackboneContract):
    name = "bert4rec"
    settings: ClassVar[dict[str, Any]] = {"attention_dropout": 0.2}


class TestOneBlock(BackboneContract):
    name = "sasrec"
    settings: ClassVar[dict[str, Any]] = {"blocks": 1, "heads": 4}


class TestFMLPRec(BackboneContract):
    name = "fmlp-rec"


class TestBSARec(BackboneContract):
    name = "bsarec"


class TestBSARecWithHeads(BackboneContract):
    name = "bsarec"
    settings: ClassVar[dict[str, Any]] = {"blocks": 1, "heads": 4, "alpha": 0.3, "cutoff": 3}


class TestGRU4Rec(BackboneContract):
    name = "gru4rec"


class TestGRU4RecOfTwoLayers(BackboneContract):
    name = "gru4rec"
    settings: ClassVar[dict[str, Any]] = {"blocks": 2, "layer_dropout": 0.2}


class TestLinRec(BackboneContract):
    name = "linrec"


class TestLinRecOfThePaper(BackboneContract):
    name = "linrec"
    settings: ClassVar[dict[str, Any]] = {"heads": 8, "inner": 2}


class TestLinRecOfOneBlock(BackboneContract):
    name = "linrec"
    settings: ClassVar[dict[str, Any]] = {"blocks": 1, "heads": 1, "activation": "relu"}


class TestLinRecOfItsCode(BackboneContract):
    name = "linrec"
    settings: ClassVar[dict[str, Any]] = {"key_norm": "row"}


class TestLiGR(BackboneContract):
    name = "ligr"


class TestESASRec(BackboneContract):
    name = "ligr"
    settings: ClassVar[dict[str, Any]] = {"blocks": 1, "heads": 1, "initial": "xavier"}


class TestHSTU(BackboneContract):
    name = "hstu"


class TestHSTUOfThePaper(BackboneContract):
    name = "hstu"
    settings: ClassVar[dict[str, Any]] = {"blocks": 4, "heads": 4, "similarity": "cosine"}


class TestHSTUOfOneBlock(BackboneContract):
    name = "hstu"
    settings: ClassVar[dict[str, Any]] = {"blocks": 1, "heads": 1}


class TestCL4SRec(BackboneContract):
    name = "cl4srec"


class TestDuoRec(BackboneContract):
    name = "duorec"
