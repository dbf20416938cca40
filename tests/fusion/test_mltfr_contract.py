"""The default preset keeps every promise of a fusion."""

from __future__ import annotations

from typing import Any, ClassVar

from mltfr.testing.fusion import FusionContract


class TestMltfr(FusionContract):
    name = "mltfr"
    settings: ClassVar[dict[str, Any]] = {"filter": {"shortlist": 16, "keep": 4}}


class TestMltfrWholeVocabulary(FusionContract):
    name = "mltfr"
    settings: ClassVar[dict[str, Any]] = {"filter": {"shortlist": 512, "keep": 4}}


class TestMltfrMeanRouter(FusionContract):
    name = "mltfr"
    settings: ClassVar[dict[str, Any]] = {"filter": {"shortlist": 16, "keep": 4}, "router": "mean"}


class TestMltfrOwnStarts(FusionContract):
    name = "mltfr"
    settings: ClassVar[dict[str, Any]] = {"filter": {"shortlist": 16, "keep": 4}, "common_start": False}


class TestMltfrChosenByUser(FusionContract):
    name = "mltfr"
    settings: ClassVar[dict[str, Any]] = {"filter": {"shortlist": 16, "keep": 4, "granularity": "sequence"}}


class TestMltfrChosenByNobody(FusionContract):
    name = "mltfr"
    settings: ClassVar[dict[str, Any]] = {"filter": {"keep": 4, "granularity": "static"}}


class TestMltfrOfItems(FusionContract):
    name = "mltfr"
    settings: ClassVar[dict[str, Any]] = {"filter": {"shortlist": 16, "keep": 4}, "site": "items"}


class TestNoFusion(FusionContract):
    name = "none"
