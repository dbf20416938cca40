"""Run under torchrun by test_torchrun.py: what processes say to each other, and that each hears the same."""

import torch
from torch import distributed, nn

from mltfr.evaluation.ranks import MISS, Ranks
from mltfr.training import TrainingConfig, make_team
from mltfr.training.parts import LARGE, sum_gradients


def main():
    team = make_team(TrainingConfig(device="cpu", shards=4))
    assert (team.size, list(team.mine)) == (2, [team.rank, team.rank + 2])
    first = team.rank == 0

    assert team.any(first)
    assert not team.any(False)
    assert team.from_first({"rank": team.rank}) == {"rank": 0}
    assert team.tensors_from_first(None) is None
    sent = {"a": torch.arange(3), "b": torch.tensor(2.5, dtype=torch.float64)} if first else None
    found = team.tensors_from_first(sent)
    assert found["a"].tolist() == [0, 1, 2]
    assert found["b"].item() == 2.5
    rows = team.gather(torch.full((team.rank + 1, 2), float(team.rank)))
    assert [part.tolist() for part in rows] == [[[0, 0]], [[1, 1], [1, 1]]]

    layer = nn.BatchNorm1d(2)
    nn.init.constant_(layer.weight, team.rank + 1.0)
    layer.running_mean.fill_(team.rank + 1.0)
    team.equalise(layer)
    assert layer.weight.tolist() == [1, 1]
    assert layer.running_mean.tolist() == [1, 1]

    def rank(part):
        numbers = torch.arange(10)[part].numpy()
        return Ranks(numbers.clip(max=MISS), numbers + 100)

    ranks = team.share_ranks(0)(10, rank)
    assert ranks.higher.tolist() == list(range(10))
    assert ranks.tied.tolist() == list(range(100, 110))

    small, large, unused, lonely = (nn.Parameter(torch.zeros(n, 2)) for n in (3, LARGE, 2, 2))
    sparse, empty = nn.Parameter(torch.zeros(6, 2)), nn.Parameter(torch.zeros(6, 2))
    small.grad, large.grad = torch.full((3, 2), team.rank + 1.0), torch.full((LARGE, 2), team.rank + 1.0)
    touched = torch.tensor([[1, 4]]) if first else torch.tensor([[4, 5, 4]])
    sparse.grad = torch.sparse_coo_tensor(touched, torch.ones(touched.shape[1], 2), (6, 2))
    if first:
        lonely.grad = torch.ones(2, 2)
        empty.grad = torch.sparse_coo_tensor(torch.tensor([[2]]), torch.ones(1, 2), (6, 2))
    told = sum_gradients(team, [small, large, unused, lonely, sparse, empty], torch.tensor([1.0, team.rank]).double())
    assert told.tolist() == [2, 1]
    assert small.grad.eq(3).all()
    assert large.grad.eq(3).all()
    assert unused.grad is None
    assert lonely.grad.eq(1).all()
    assert sparse.grad.is_sparse
    assert sparse.grad.to_dense()[:, 0].tolist() == [0, 1, 0, 0, 3, 1]
    assert empty.grad.to_dense()[:, 0].tolist() == [0, 0, 1, 0, 0, 0]
    distributed.barrier()
    print(f"process {team.rank} agrees")


main()
