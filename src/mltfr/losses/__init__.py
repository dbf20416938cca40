"""Training losses, one file each: they see scores and targets only."""

from mltfr.losses.base import LOSSES, Loss, LossConfig, register_loss, weighted_mean
from mltfr.losses.sampled import Lookup, SampledLoss

__all__ = ["LOSSES", "Lookup", "Loss", "LossConfig", "SampledLoss", "register_loss", "weighted_mean"]
