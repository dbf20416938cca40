"""What a recommender does, it does in whatever mode of torch's it is called."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from polars.testing import assert_frame_equal

from mltfr import Recommender
from mltfr.errors import ConfigError
from support.walks import as_log, rows, walks

LOG = as_log(rows(walks(users=20, items=12)))
SETTINGS = ("backbone.hidden=8", "backbone.blocks=1", "backbone.max_length=8")


def fit() -> Recommender:
    return Recommender(fusion="none", epochs=1, settings=SETTINGS).fit(LOG)


@pytest.fixture(scope="module")
def fitted() -> Recommender:
    return fit()


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_any_mode_may_be_on(fitted: Recommender, tmp_path: Path, mode: type[torch.no_grad]) -> None:
    fitted.save(tmp_path / "run")
    wanted = fitted.recommend(k=3)
    with mode():
        loaded, again = Recommender.load(tmp_path / "run"), fit()
    for inside in (mode, nullcontext):
        for recommender in (loaded, again):
            with inside():
                assert_frame_equal(recommender.recommend(k=3), wanted)
                assert recommender.similar_items("i3", k=2).height == 2
                assert recommender.evaluate().metrics == pytest.approx(fitted.metrics["metrics"])


@pytest.mark.parametrize("k", [0, pytest.param(-(10**5000), id="long"), 1.5, "3", True])
def test_a_number_of_items_that_is_none_is_one_line(fitted: Recommender, k: object) -> None:
    for ask in (fitted.recommend, lambda k: fitted.similar_items("i3", k)):
        with pytest.raises(ConfigError, match="expected a whole number of items, at least 1"):
            ask(k=k)
