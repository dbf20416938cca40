"""Training losses, one file each: they see scores and targets only."""

from mltfr.losses.base import LOSSES, Loss, LossConfig, mean_of, register_loss
from mltfr.losses.sampled import Lookup, SampledLoss

__all__ = ["LOSSES", "Lookup", "Loss", "LossConfig", "SampledLoss", "mean_of", "register_loss"]
