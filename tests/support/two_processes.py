"""Run under torchrun by test_torchrun.py: collective operations give every process the same."""

import torch
from torch import distributed, nn

from mltfr.evaluation.ranks import MISS, Ranks
from mltfr.training import TrainingConfig, make_process_group
from mltfr.training.distributed.gradient import LARGE, all_reduce_gradients


def main():
    group = make_process_group(TrainingConfig(device="cpu", shards=4))
    assert (group.size, list(group.local_shards)) == (2, [group.rank, group.rank + 2])
    first = group.rank == 0

    assert group.any(first, False) == [True, False]
    assert group.broadcast({"rank": group.rank}) == {"rank": 0}
    assert group.broadcast_tensors(None) is None
    sent = {"a": torch.arange(3), "b": torch.tensor(2.5, dtype=torch.float64)} if first else None
    found = group.broadcast_tensors(sent)
    assert found["a"].tolist() == [0, 1, 2]
    assert found["b"].item() == 2.5
    rows = group.all_gather(torch.full((group.rank + 1, 2), float(group.rank)))
    assert [part.tolist() for part in rows] == [[[0, 0]], [[1, 1], [1, 1]]]

    layer = nn.BatchNorm1d(2)
    nn.init.constant_(layer.weight, group.rank + 1.0)
    layer.running_mean.fill_(group.rank + 1.0)
    group.broadcast_module(layer)
    assert layer.weight.tolist() == [1, 1]
    assert layer.running_mean.tolist() == [1, 1]

    def rank(part):
        numbers = torch.arange(10)[part].numpy()
        return Ranks(numbers.clip(max=MISS), numbers + 100)

    ranks = group.share_ranks(0)(10, rank)
    assert ranks.higher.tolist() == list(range(10))
    assert ranks.tied.tolist() == list(range(100, 110))

    small, large, unused, lonely = (nn.Parameter(torch.zeros(n, 2)) for n in (3, LARGE, 2, 2))
    sparse, empty = nn.Parameter(torch.zeros(6, 2)), nn.Parameter(torch.zeros(6, 2))
    small.grad, large.grad = torch.full((3, 2), group.rank + 1.0), torch.full((LARGE, 2), group.rank + 1.0)
    touched = torch.tensor([[1, 4]]) if first else torch.tensor([[4, 5, 4]])
    sparse.grad = torch.sparse_coo_tensor(touched, torch.ones(touched.shape[1], 2), (6, 2))
    if first:
        lonely.grad = torch.ones(2, 2)
        empty.grad = torch.sparse_coo_tensor(torch.tensor([[2]]), torch.ones(1, 2), (6, 2))
    parameters = [small, large, unused, lonely, sparse, empty]
    summed = all_reduce_gradients(group, parameters, torch.tensor([1.0, group.rank]).double())
    assert summed.tolist() == [2, 1]
    assert small.grad.eq(3).all()
    assert large.grad.eq(3).all()
    assert unused.grad is None
    assert lonely.grad.eq(1).all()
    assert sparse.grad.is_sparse
    assert sparse.grad.to_dense()[:, 0].tolist() == [0, 1, 0, 0, 3, 1]
    assert empty.grad.to_dense()[:, 0].tolist() == [0, 0, 1, 0, 0, 0]
    distributed.barrier()
    print(f"process {group.rank} agrees")


main()
