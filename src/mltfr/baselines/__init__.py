"""Baselines without gradient training, one file each: fitted in one pass over the training split."""

from mltfr.baselines.base import BASELINES, Baseline, BaselineConfig, register_baseline

__all__ = ["BASELINES", "Baseline", "BaselineConfig", "register_baseline"]
