"""Controls: fusions on tables that mean nothing. What they gain is not knowledge."""

from __future__ import annotations

from typing import Literal

from mltfr.fusion.base import register_fusion
from mltfr.fusion.direct import DirectConfig, DirectFusion
from mltfr.fusion.mltfr import MltfrConfig, MltfrFusion
from mltfr.fusion.reference import ReferenceConfig, ReferenceFusion


class RandomConfig(MltfrConfig):
    """Settings of mltfr."""

    name: Literal["random"] = "random"  # type: ignore[assignment]


@register_fusion("random", RandomConfig)
class RandomFusion(MltfrFusion):
    """Control: mltfr on Gaussian rows with each table's mean and covariance."""

    control = "random"


class ShuffledConfig(MltfrConfig):
    """Settings of mltfr."""

    name: Literal["shuffled"] = "shuffled"  # type: ignore[assignment]


@register_fusion("shuffled", ShuffledConfig)
class ShuffledFusion(MltfrFusion):
    """Control: mltfr on tables with each column permuted on its own."""

    control = "shuffled"


class DirectRandomConfig(DirectConfig):
    """Settings of direct."""

    name: Literal["direct-random"] = "direct-random"  # type: ignore[assignment]


@register_fusion("direct-random", DirectRandomConfig)
class DirectRandomFusion(DirectFusion):
    """Control: direct on Gaussian rows with each table's mean and covariance."""

    control = "random"


class RandomReferenceConfig(ReferenceConfig):
    """Settings of the published arithmetic."""

    name: Literal["random-reference"] = "random-reference"  # type: ignore[assignment]


@register_fusion("random-reference", RandomReferenceConfig)
class RandomReferenceFusion(ReferenceFusion):
    """Control: mltfr-reference on Gaussian rows with each table's mean and covariance."""

    control = "random"


class ShuffledReferenceConfig(ReferenceConfig):
    """Settings of the published arithmetic."""

    name: Literal["shuffled-reference"] = "shuffled-reference"  # type: ignore[assignment]


@register_fusion("shuffled-reference", ShuffledReferenceConfig)
class ShuffledReferenceFusion(ReferenceFusion):
    """Control: mltfr-reference on tables with each column permuted on its own."""

    control = "shuffled"
