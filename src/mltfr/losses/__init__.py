"""Training losses, one file each: they see scores and targets only."""

from mltfr.losses.base import LOSSES, Loss, LossConfig, register_loss

__all__ = ["LOSSES", "Loss", "LossConfig", "register_loss"]
