"""The reference preset: what of the contract the published arithmetic satisfies, and what it does not.

It is exempt from these, each of which is asserted below to fail, for that is what was published:

- scores do not depend on the batch: all users' tokens are pooled;
- padding changes nothing, identical requests get identical answers: noise is drawn at evaluation as well;
- a later item never changes an earlier position: the query is the mean of the whole history;
- every parameter gets a gradient: with K = 1 the filter gets none, and a key's bias always cancels;
- a fresh recommender equals its bare backbone: the output does not start at zero;
- a saved state scores without the tables: the filter reads the whole vocabulary.
"""

from __future__ import annotations

import pytest
import torch

from mltfr.errors import ConfigError
from mltfr.fusion import FusionInputs
from mltfr.fusion.reference import ReferenceConfig, ReferenceFusion
from mltfr.testing.fusion import FusionContract
from mltfr.testing.toy import HIDDEN, LENGTH, fusion_batch, random_table

TABLES = [random_table("a", 30, 8), random_table("b", 40, 12), random_table("c", 50, 12)]


class TestReference(FusionContract):
    name = "mltfr-reference"
    starts_at_zero = False

    test_scores_do_not_depend_on_the_batch = None
    test_padding_before_a_history_changes_nothing = None
    test_two_identical_requests_get_identical_answers = None
    test_a_later_item_never_changes_an_earlier_position = None
    test_every_parameter_gets_a_gradient_from_the_second_step_on = None


def build(tables=TABLES, **settings) -> ReferenceFusion:
    return ReferenceFusion(ReferenceConfig(**settings), FusionInputs(HIDDEN, True, tables, seed=1))


def batch(users: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    return fusion_batch(users)


def uniform(users: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {table.name: torch.rand(users, table.shape[0]) for table in TABLES}


def test_defect_scores_depend_on_the_batch() -> None:
    fusion = build().eval()
    x, mask = batch()
    noise = uniform(5)
    alone = fusion(x[:1], mask[:1], {name: values[:1] for name, values in noise.items()})
    assert not torch.allclose(fusion(x, mask, noise)[:1], alone, atol=1e-3)


def test_defect_identical_requests_differ() -> None:
    fusion = build().eval()
    assert not torch.allclose(fusion(*batch()), fusion(*batch()), atol=1e-3)


def test_defect_a_later_item_changes_an_earlier_position() -> None:
    fusion = build(keep=5).eval()
    x = torch.randn(4, LENGTH, HIDDEN, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, -1] *= -30
    mask = torch.ones(4, LENGTH, dtype=torch.bool)
    quiet = {name: torch.full_like(values, 0.5) for name, values in uniform(4).items()}
    first, second = fusion(x, mask, quiet), fusion(changed, mask, quiet)
    assert not torch.allclose(first[:, :-1], second[:, :-1], atol=1e-4)


def test_defect_with_one_token_the_filter_gets_no_gradient() -> None:
    fusion = build(keep=1)
    fusion(*batch()).square().sum().backward()
    assert fusion.filters.of("a").projection.weight.grad.abs().max() < 1e-6
    fusion = build(keep=3)
    fusion(*batch()).square().sum().backward()
    assert fusion.filters.of("a").projection.weight.grad.abs().max() > 1e-6


def test_defect_a_fresh_output_is_not_zero() -> None:
    assert build().eval()(*batch()).abs().max() > 1e-3


def test_defect_state_does_not_hold_the_tables() -> None:
    assert not ReferenceFusion.tables_in_state
    assert not any("embeddings" in name for name in build().state_dict())


def test_tables_are_buffers_and_no_parameters() -> None:
    fusion = build()
    assert {name for name, _ in fusion.named_buffers()} == {f"filters.{n}.embeddings" for n in "abc"}


def test_weights_of_the_kept_tokens_are_one_over_k() -> None:
    token_filter = build(keep=4).filters.of("b")
    rows, ids = token_filter.select(torch.rand(3, 40), torch.rand(3, 40))
    torch.testing.assert_close(rows, token_filter.embeddings[ids].flatten(0, 1) / 4)


def test_group_is_the_largest_of_one_width_unless_named() -> None:
    assert build().group == ["b", "c"]
    assert build(consensus_group=("a",)).group == ["a"]
    with pytest.raises(ConfigError, match="tables of different widths"):
        build(consensus_group=("a", "b"))


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="heads is 3, not a divisor"):
        build(heads=3)
    with pytest.raises(ConfigError, match=r"keep is 31, but token table 'a' has 30 tokens\. Lower fusion\.keep"):
        build(keep=31)


def test_round_2_adds_a_frozen_expert_that_reads_the_mean_rows() -> None:
    fusion = build().eval()
    fisher = {name: torch.rand_like(value) for name, value in fusion.fisher_parameters().items()}
    before = set(dict(fusion.named_parameters()))
    x, mask = batch()
    noise = uniform(5)
    routed = fusion(x, mask, noise)
    merged = fusion.merge_experts(fisher)
    fusion.add_consensus(merged)
    assert set(dict(fusion.named_parameters())) == before
    assert all(torch.equal(fusion.state_dict()[f"consensus.{n}"], value) for n, value in merged.items())
    rows = fusion.select(x, mask, noise)
    source = (rows["b"] + rows["c"]) / 2
    torch.testing.assert_close(fusion(x, mask, noise), routed + 0.01 * fusion.consensus(x, source))
    assert fusion.fisher_estimator == "batch"
    assert fusion.rounds == 2
    assert build(consensus_weight=0).rounds == 1
