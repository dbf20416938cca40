"""RecBole's SASRec, by its own data, trainer and evaluation. It trains on every prefix."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from codes import Codes
from protocol import Clock, Epoch, Settings, serve
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.model.sequential_recommender import SASRec
from recbole.trainer import Trainer
from recbole.utils import init_seed
from recbole.utils.case_study import full_sort_topk

LOSSES = {"bpr": "BPR", "cross_entropy": "CE"}
USERS_AT_ONCE = 512


class FirstBatches:
    """The first batches of a loader, which the trainer takes for the loader."""

    def __init__(self, loader: Any, batches: int | None) -> None:
        self.loader, self.batches, self.made = loader, batches, 0
        self.shuffle = loader.shuffle

    def __iter__(self) -> Iterator[Interaction]:
        for batch in islice(self.loader, self.batches):
            self.made += 1
            yield batch


class RecBole:
    """Trains by `Trainer._train_epoch`, which is what `fit` calls for each epoch."""

    def __init__(self, settings: Settings) -> None:
        torch.set_num_threads(settings["threads"])
        folder = Path(settings["folder"])
        _write(Codes.read(settings["data"]), folder / "log")
        sampled = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": False, "candidate_num": 0}
        config = Config(
            model="SASRec",
            dataset="log",
            config_dict={
                "data_path": str(folder),
                "checkpoint_dir": str(folder / "saved"),
                "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
                "MAX_ITEM_LIST_LENGTH": settings["length"],
                "n_layers": settings["blocks"],
                "n_heads": settings["heads"],
                "hidden_size": settings["hidden"],
                "inner_size": 4 * settings["hidden"],
                "hidden_dropout_prob": settings["dropout"],
                "attn_dropout_prob": settings["dropout"],
                "loss_type": LOSSES[settings["loss"]],
                "train_neg_sample_args": sampled if settings["loss"] == "bpr" else None,
                "train_batch_size": settings["batch"],
                "eval_batch_size": 256,
                "eval_args": {
                    "split": {"LS": "valid_and_test"},
                    "group_by": "user",
                    "order": "TO",
                    "mode": "full",
                },
                "metrics": ["Hit", "NDCG"],
                "topk": [10],
                "valid_metric": "NDCG@10",
                "use_gpu": False,
                "worker": 0,
                "show_progress": False,
                "seed": settings["seed"],
                "reproducibility": True,
            },
        )
        init_seed(settings["seed"], True)
        dataset = create_dataset(config)
        self.loader, _, self.test = data_preparation(config, dataset)
        self.model = SASRec(config, self.loader.dataset)
        self.trainer = Trainer(config, self.model)
        self.trainer.eval_collector.data_collect(self.loader)
        self.epochs = 0

    def count(self) -> int:
        return sum(1 for _ in self.loader)

    def train(self, batches: int | None) -> Epoch:
        first = FirstBatches(self.loader, batches)
        clock = Clock()
        self.trainer._train_epoch(first, self.epochs)
        self.epochs += 1
        return Epoch(batches=first.made, **clock.read())

    def evaluate(self) -> dict[str, float]:
        found = self.trainer.evaluate(self.test, load_best_model=False)
        return {"hr@10": float(found["hit@10"]), "ndcg@10": float(found["ndcg@10"])}

    def recommend(self) -> int:
        users = self.test.dataset.inter_feat[self.test.dataset.uid_field].unique().numpy()
        for part in np.array_split(users, -(-len(users) // USERS_AT_ONCE)):
            full_sort_topk(part, self.model, self.test, 20)
        return len(users)


def _write(codes: Codes, folder: Path) -> None:
    """Write the log in RecBole's own format; time is the place in the history."""
    folder.mkdir()
    lengths = np.diff(codes.offsets)
    users = np.repeat(np.arange(codes.users), lengths)
    places = np.arange(len(codes.items)) - np.repeat(codes.offsets[:-1], lengths)
    rows = np.column_stack([users, codes.items, places])
    header = "user_id:token\titem_id:token\ttimestamp:float"
    np.savetxt(folder / "log.inter", rows, fmt="%d", delimiter="\t", header=header, comments="")


if __name__ == "__main__":
    serve(RecBole)
