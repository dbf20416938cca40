"""RecTools' SASRec, by its public model class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from codes import Codes
from lightning_clock import epoch_clock, trainer_settings
from protocol import Epoch, Settings, serve
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.metrics import NDCG, HitRate, calc_metrics
from rectools.models import SASRecModel

LOSSES = {"bce": "BCE", "cross_entropy": "softmax"}


class RecTools:
    """The model is fitted once for its first step; later epochs train it further."""

    def __init__(self, settings: Settings) -> None:
        torch.set_num_threads(settings["threads"])
        torch.manual_seed(settings["seed"])
        self.codes = Codes.read(settings["data"])
        self.train_set = Dataset.construct(self._frame(held_out=False))
        self.full_set = Dataset.construct(self._frame(held_out=True))
        tested = [user for user in range(self.codes.users) if self.codes.is_tested(user)]
        targets = [self.codes.target(user) for user in tested]
        self.truth = pd.DataFrame({Columns.User: tested, Columns.Item: targets})
        self.clock = epoch_clock(Callback)
        self.model = SASRecModel(
            n_blocks=settings["blocks"],
            n_heads=settings["heads"],
            n_factors=settings["hidden"],
            dropout_rate=settings["dropout"],
            session_max_len=settings["length"],
            batch_size=settings["batch"],
            loss=LOSSES[settings["loss"]],
            n_negatives=1,
            get_trainer_func=lambda: self._trainer(1),
            recommend_torch_device="cpu",
        )
        self.loader: Any = None

    def count(self) -> int:
        return sum(1 for _ in self.loader)

    def train(self, batches: int | None) -> Epoch:
        if self.loader is None:
            self.model.fit(self.train_set)
            self.loader = self.model.data_preparator.get_dataloader_train()
            return Epoch(0.0, 0.0, 1)  # RecTools trains with a copy of the trainer, so the clock stands still
        self.model.lightning_model.train()
        self._trainer(batches).fit(self.model.lightning_model, self.loader)
        return self.clock.epoch()

    def evaluate(self) -> dict[str, float]:
        found = self._top(self.truth[Columns.User].to_numpy(), 10)
        return calc_metrics({"hr@10": HitRate(k=10), "ndcg@10": NDCG(k=10)}, found, self.truth)

    def recommend(self) -> int:
        users = np.arange(self.codes.users)
        self._top(users, 20)
        return len(users)

    def _top(self, users: np.ndarray, k: int) -> pd.DataFrame:
        return self.model.recommend(users, self.full_set, k=k, filter_viewed=True, on_unsupported_targets="ignore")

    def _trainer(self, batches: int | None) -> Trainer:
        return Trainer(callbacks=[self.clock], **trainer_settings(batches))

    def _frame(self, held_out: bool) -> pd.DataFrame:
        parts: list[tuple[int, np.ndarray]] = [
            (user, self.codes.history(user) if held_out else self.codes.train(user)) for user in range(self.codes.users)
        ]
        lengths = [len(items) for _, items in parts]
        places = np.concatenate([np.arange(length) for length in lengths])
        return pd.DataFrame(
            {
                Columns.User: np.repeat([user for user, _ in parts], lengths),
                Columns.Item: np.concatenate([items for _, items in parts]),
                Columns.Weight: 1.0,
                Columns.Datetime: pd.Timestamp("2020-01-01") + pd.to_timedelta(places, unit="s"),
            }
        )


if __name__ == "__main__":
    serve(RecTools)
