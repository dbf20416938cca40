"""DuoRec's encoder: SASRec, with a contrast by dropout and target (Qiu et al., WSDM 2022, arXiv 2110.05730)."""

from __future__ import annotations

from typing import Literal

from mltfr.backbones.base import register_backbone
from mltfr.backbones.sasrec import SASRec, SASRecSettings


class DuoRecConfig(SASRecSettings):
    """Settings of DuoRec's encoder, those of SASRec; its contrast is set under `objective`."""

    name: Literal["duorec"] = "duorec"


@register_backbone("duorec", DuoRecConfig)
class DuoRec(SASRec):
    """SASRec with the objective `duorec`: a contrast of sequences that have the same target."""

    objective = "duorec"
