"""Optimisers and the learning rate."""

from mltfr.training.optim.lazy_adam import LazyAdam, clip_sparse_grad_norm_
from mltfr.training.optim.optimizer import SPARSE_FROM, learning_rate, make_optimizer, uses_sparse_updates

__all__ = [
    "SPARSE_FROM",
    "LazyAdam",
    "clip_sparse_grad_norm_",
    "learning_rate",
    "make_optimizer",
    "uses_sparse_updates",
]
