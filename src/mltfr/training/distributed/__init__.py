"""Several processes that train one model together."""

from mltfr.training.distributed.gradient import ShardedGradient, all_reduce_gradients
from mltfr.training.distributed.process_group import (
    LostProcessError,
    ProcessGroup,
    leave_process_group,
    make_process_group,
)

__all__ = [
    "LostProcessError",
    "ProcessGroup",
    "ShardedGradient",
    "all_reduce_gradients",
    "leave_process_group",
    "make_process_group",
]
