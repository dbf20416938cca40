"""Recommend with an exported model: item ids in, item ids out. See README.md beside this file.

    python example.py ITEM ITEM ...      a history, oldest first
    python example.py                    a history of the items that were most frequent in training

Needs numpy and onnxruntime for model.onnx, or torch for model.pt2, and nothing else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Lists = list[list[int]]


class ExportedModel:
    """The model of a folder.

    Args:
        folder: the folder.
        threads: threads of one call of onnxruntime; by default as many as there are cores.

    Attributes:
        items: item ids by code; the code 0 is no item.
        k: items that the model returns.
        run: the graph, from lists or arrays of `histories`, `lengths` and `excluded` to arrays of `items` and `scores`;
            to tensors with model.pt2.
    """

    def __init__(self, folder: str | Path, threads: int = 0) -> None:
        folder = Path(folder)
        about = json.loads((folder / "manifest.json").read_text("utf-8"))
        self.items: list[str] = json.loads((folder / "items.json").read_text("utf-8"))
        self.codes = {item: code for code, item in enumerate(self.items) if code}
        self.k, self.popular, self.remove_seen = about["k"], about["popular"], about["remove_seen"]
        path = folder / "model.onnx"
        self.run = _onnx(path, threads) if path.exists() else _torch(folder / "model.pt2")

    def recommend(
        self,
        histories: Iterable[Iterable[str | int]],
        exclude: Iterable[str | int] = (),
        include_seen: bool | None = None,
        k: int | None = None,
    ) -> list[list[tuple[str, float]]]:
        """Return the best items of every history and their scores, best first.

        Args:
            histories: item ids, oldest first, as texts or whole numbers; unknown ones are skipped, and without a known
                one the items that were most frequent in training are returned.
            exclude: item ids that may not be recommended.
            include_seen: whether items of a history may come again; by default as the run was evaluated.
            k: items of a list, at most as many as the model returns.
        """
        coded = [self._coded(history) for history in histories]
        denied = self._coded(exclude)
        again = not self.remove_seen if include_seen is None else include_seen
        items, scores = self.answer(coded, [denied if again else denied + history for history in coded])
        pairs = [zip(*row, strict=True) for row in zip(items, scores, strict=True)]
        return [[(self.items[code], score) for code, score in row if code][:k] for row in pairs]

    def _coded(self, ids: Iterable[str | int]) -> list[int]:
        return [self.codes[item] for item in map(str, ids) if item in self.codes]

    def answer(self, histories: Sequence[list[int]], excluded: Sequence[list[int]]) -> tuple[Lists, list[list[float]]]:
        """Return the codes and scores of the best items, for codes; 0 where there are fewer than k candidates."""
        if not histories:
            return [], []
        rows, lengths = _padded(histories, 1), [len(history) for history in histories]
        items, scores = self.run(rows, lengths, _padded(excluded, 0))
        return items.tolist(), scores.tolist()


def _padded(rows: Sequence[list[int]], at_least: int) -> Lists:
    """Return rows of one length, with zeros behind them."""
    width = max(at_least, *map(len, rows)) if len(rows) else at_least
    return [row + [0] * (width - len(row)) for row in rows]


def _onnx(path: Path, threads: int) -> Callable[..., Any]:
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(*inputs: object) -> list[Any]:
        arrays = [numpy.asarray(given, numpy.int64) for given in inputs]
        found: list[Any] = session.run(None, dict(zip(names, arrays, strict=True)))
        return found

    return run


def _torch(path: Path) -> Callable[..., Any]:
    import torch

    model = torch.export.load(str(path)).module()

    def run(*inputs: object) -> list[Any]:
        with torch.inference_mode():
            return list(model(*(torch.as_tensor(given, dtype=torch.int64) for given in inputs)))

    return run


def main(words: Sequence[str] | None = None) -> None:
    """Print what the model recommends after a history."""
    parser = argparse.ArgumentParser(description="Recommend with an exported model.")
    parser.add_argument("history", nargs="*", help="item ids, oldest first")
    parser.add_argument("--exclude", nargs="+", default=[], metavar="ITEM", help="item ids that may not come")
    parser.add_argument("--include-seen", action="store_true", default=None, help="let items of the history come again")
    parser.add_argument("-k", type=int, help="length of the list")
    given = parser.parse_args(words)
    model = ExportedModel(Path(__file__).parent)
    history = given.history or [model.items[code] for code in model.popular]
    unknown = [item for item in history if item not in model.codes]
    if unknown:
        print(f"skipped, unknown to the model: {', '.join(map(ascii, unknown))}")
    (best,) = model.recommend([history], given.exclude, given.include_seen, given.k)
    print(f"after {', '.join(map(ascii, history))}:")
    for rank, (item, score) in enumerate(best, start=1):
        print(f"{rank:>3}  {score:10.4f}  {item!a}")


if __name__ == "__main__":
    main()
