"""CL4SRec's encoder: SASRec, with a contrast of augmented sequences (Xie et al., ICDE 2022, arXiv 2010.14395)."""

from __future__ import annotations

from typing import Literal

from mltfr.backbones.base import register_backbone
from mltfr.backbones.sasrec import SASRec, SASRecSettings


class CL4SRecConfig(SASRecSettings):
    """Settings of CL4SRec's encoder, those of SASRec; its contrast is set under `objective`."""

    name: Literal["cl4srec"] = "cl4srec"


@register_backbone("cl4srec", CL4SRecConfig)
class CL4SRec(SASRec):
    """SASRec with the objective `cl4srec`: a contrast of cropped, masked and reordered sequences."""

    objective = "cl4srec"
