"""RePlay's SasRec, by its neural part `replay.nn`, with the transforms and layers that it gives by default."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("ARROW_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))

import lightning
import polars as pl
import torch
from codes import Codes
from lightning_clock import epoch_clock, trainer_settings
from protocol import Epoch, Settings, serve
from replay.data import FeatureHint, FeatureSource, FeatureType
from replay.data.nn import TensorFeatureInfo, TensorFeatureSource, TensorSchema
from replay.data.nn.parquet.parquet_module import ParquetModule
from replay.nn.lightning import LightningModule
from replay.nn.lightning.callback import ComputeMetricsCallback, TorchTopItemsCallback
from replay.nn.lightning.postprocessor import SeenItemsFilter
from replay.nn.loss import CE, BCESampled
from replay.nn.sequential import SasRec
from replay.nn.transform.template import make_default_sasrec_transforms

ITEM, USER = "item_id", "user_id"


class OneNegative(torch.nn.Module):
    """Draws one item for every position; RePlay's own sampler draws one for the whole batch."""

    def __init__(self, items: int) -> None:
        super().__init__()
        self.items = items

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        batch["negative_labels"] = torch.randint(self.items, batch["positive_labels"].shape)
        return batch


class RePlay:
    """Reads Parquet files, as its documentation does."""

    def __init__(self, settings: Settings) -> None:
        torch.set_num_threads(settings["threads"])
        torch.manual_seed(settings["seed"])
        codes = Codes.read(settings["data"])
        items = codes.catalogue
        _write(codes, Path(settings["folder"]))
        schema = TensorSchema(
            TensorFeatureInfo(
                ITEM,
                is_seq=True,
                feature_type=FeatureType.CATEGORICAL,
                embedding_dim=settings["hidden"],
                padding_value=items,
                cardinality=items,
                feature_hint=FeatureHint.ITEM_ID,
                feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, ITEM)],
            )
        )
        model = SasRec.from_params(
            schema,
            embedding_dim=settings["hidden"],
            num_heads=settings["heads"],
            num_blocks=settings["blocks"],
            max_sequence_length=settings["length"],
            dropout=settings["dropout"],
        )
        model.loss = CE(ignore_index=items) if settings["loss"] == "cross_entropy" else BCESampled()
        model.loss.logits_callback = model.get_logits
        transforms = make_default_sasrec_transforms(schema)
        if settings["loss"] == "bce":
            transforms["train"].append(OneNegative(items))
        self.users = codes.users
        self.module = LightningModule(model)
        self.data = _data(settings, transforms, items, int((codes.offsets[1:] - codes.offsets[:-1]).max()))
        self.clock = epoch_clock(lightning.Callback)
        self.seen = [SeenItemsFilter(item_count=items, seen_items_column="seen_ids")]

    def count(self) -> int:
        return sum(1 for _ in self.data.train_dataloader())

    def train(self, batches: int | None) -> Epoch:
        trainer = lightning.Trainer(callbacks=[self.clock], limit_val_batches=0, **trainer_settings(batches))
        trainer.fit(self.module, datamodule=self.data)
        return self.clock.epoch()

    def evaluate(self) -> dict[str, float]:
        metrics = ComputeMetricsCallback(["recall", "ndcg"], [10], postprocessors=self.seen, verbose=False)
        trainer = lightning.Trainer(callbacks=[metrics], **trainer_settings(None))
        (found,) = trainer.test(self.module, datamodule=self.data, verbose=False)
        return {"hr@10": found["recall@10"], "ndcg@10": found["ndcg@10"]}

    def recommend(self) -> int:
        top = TorchTopItemsCallback(20, USER, postprocessors=self.seen)
        trainer = lightning.Trainer(callbacks=[top], **trainer_settings(None))
        trainer.predict(self.module, datamodule=self.data, return_predictions=False)
        return len(top.get_result()[0])


def _write(codes: Codes, folder: Path) -> None:
    """Write the three files that the data module reads; codes begin at 0 there."""
    users = range(codes.users)
    tested = [user for user in users if codes.is_tested(user)]

    def lists(parts: Iterable[Any]) -> pl.Series:
        return pl.Series([(part - 1).tolist() for part in parts], dtype=pl.List(pl.Int64))

    def save(name: str, chosen: Iterable[int], columns: dict[str, Any]) -> None:
        frame = {USER: pl.Series(list(chosen), dtype=pl.Int64), **columns}
        pl.DataFrame(frame).write_parquet(folder / f"{name}.parquet")

    training = [user for user in users if codes.train_length[user] > 1]
    save("train", training, {ITEM: lists(codes.train(user) for user in training)})
    for name, chosen in (("test", tested), ("predict", users)):
        histories = lists(codes.history(user) for user in chosen)
        columns = {ITEM: histories, "seen_ids": histories}
        if name == "test":
            columns["ground_truth"] = pl.Series([[codes.target(user) - 1] for user in chosen])
        save(name, chosen, columns)


def _data(settings: Settings, transforms: dict[str, list[torch.nn.Module]], items: int, longest: int) -> ParquetModule:
    history = {ITEM: {"shape": settings["length"], "padding": items}}
    read = {USER: {}, **history, "seen_ids": {"shape": longest, "padding": -1}}
    folder = Path(settings["folder"])
    return ParquetModule(
        batch_size={"train": settings["batch"], "test": 256, "predict": 256},
        metadata={
            "train": {ITEM: {"shape": settings["length"] + 1, "padding": items}},
            "test": {**read, "ground_truth": {"shape": 1, "padding": -1}},
            "predict": read,
        },
        transforms=transforms,
        train_path=str(folder / "train.parquet"),
        test_path=str(folder / "test.parquet"),
        predict_path=str(folder / "predict.parquet"),
    )


if __name__ == "__main__":
    serve(RePlay)
