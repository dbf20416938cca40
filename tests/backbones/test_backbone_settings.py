"""What the settings of the backbones mean, and which are refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mltfr.backbones import BACKBONES
from mltfr.backbones.bert4rec import BERT4Rec, BERT4RecConfig
from mltfr.backbones.hstu import HSTUConfig
from mltfr.backbones.ligr import LiGR, LiGRConfig
from mltfr.backbones.linrec import LinRecConfig
from mltfr.backbones.sasrec import SASRec, SASRecConfig
from mltfr.backbones.transformer import FeedForward, PostNorm, PreNorm
from mltfr.errors import ConfigError
from mltfr.kernels.dropout import Dropout
from mltfr.model import SequentialModel


def test_both_are_registered() -> None:
    assert {"bert4rec", "sasrec"} <= set(BACKBONES.names())


@pytest.mark.parametrize("config", [SASRecConfig, BERT4RecConfig, HSTUConfig, LiGRConfig, LinRecConfig])
def test_heads_must_divide_the_width(config: type[SASRecConfig]) -> None:
    with pytest.raises(ConfigError, match="hidden is 64 and heads is 3; hidden has to be a multiple of heads"):
        config.parse({"heads": 3})


def test_an_unknown_setting_names_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting 'head'\. Did you mean 'heads'"):
        SASRecConfig.parse({"head": 2})


def test_the_default_sasrec_is_post_norm() -> None:
    backbone = SASRec(SASRecConfig())
    block = backbone.blocks[0]
    assert type(block.attention) is PostNorm
    assert block.feed_forward.sublayer[0].out_features == 4 * 64
    assert isinstance(backbone.input_norm, nn.LayerNorm)
    assert isinstance(backbone.output_norm, nn.Identity)


def test_the_sasrec_of_the_paper() -> None:
    backbone = SASRec(
        SASRecConfig(norm="pre", input_norm=False, scale_input=True, activation="relu", inner=1, heads=1)
    ).eval()
    assert type(backbone.blocks[0].attention) is PreNorm
    assert isinstance(backbone.output_norm, nn.LayerNorm)
    items, mask = torch.randn(1, 3, 64), torch.ones(1, 3, dtype=torch.bool)
    x, _ = backbone.encode_input(items, mask)
    torch.testing.assert_close(x, 8 * items + backbone.positions.vectors[-3:])


@pytest.mark.parametrize("backbone", [SASRec(SASRecConfig()), BERT4Rec(BERT4RecConfig())])
def test_initial_weights(backbone: nn.Module) -> None:
    for module in backbone.modules():
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
            assert not module.bias.any()
    assert backbone.positions.vectors.std().item() == pytest.approx(0.02, rel=0.1)


def dropouts(backbone: nn.Module) -> dict[str, float]:
    """Return the probability of every dropout that drops something, by its place."""
    return {name: m.probability for name, m in backbone.named_modules() if isinstance(m, Dropout) and m.probability}


def test_every_place_of_bert4rec_has_its_dropout() -> None:
    found = dropouts(BERT4Rec(BERT4RecConfig(dropout=0.5, attention_dropout=0.2, blocks=1)))
    assert found == {
        "dropout": 0.5,
        "blocks.0.attention.dropout": 0.5,
        "blocks.0.attention.sublayer.dropout": 0.2,
        "blocks.0.feed_forward.dropout": 0.5,
    }
    assert set(dropouts(BERT4Rec(BERT4RecConfig(dropout=0.3))).values()) == {0.3}
    assert list(dropouts(BERT4Rec(BERT4RecConfig(dropout=0.3, attention_dropout=0.0, blocks=1)))) == [
        name for name in found if name != "blocks.0.attention.sublayer.dropout"
    ]


def test_dropout_inside_the_feed_forward_net_drops_what_the_activation_returns() -> None:
    net = FeedForward(8, 4000, "relu", dropout=0.4)
    kept: list[torch.Tensor] = []
    net[2].register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    x = torch.randn(1, 3, 8)
    net.train()(x)
    net.eval()(x)
    dropped, whole = kept
    zeros = (dropped == 0) & (whole != 0)
    assert zeros.sum() / (whole != 0).sum() == pytest.approx(0.4, abs=0.03)
    torch.testing.assert_close(dropped[~zeros], whole[~zeros] / 0.6, rtol=1e-3, atol=1e-6)
    block = SASRec(SASRecConfig(inner_dropout=0.4, dropout=0.1, blocks=1)).blocks[0]
    assert dropouts(block.feed_forward) == {"sublayer.1.1": 0.4, "dropout": 0.1}


def test_the_matrices_of_esasrec_start_as_its_code_has_them() -> None:
    torch.manual_seed(0)
    model = SequentialModel(2000, LiGR(LiGRConfig(hidden=256, blocks=1, heads=1, initial="xavier")))
    first, second = model.backbone.blocks[0].feed_forward.sublayer.gate_value.weight.chunk(2)
    attention = model.backbone.blocks[0].attention
    for matrix, shape in (
        (model.item_embedding.weight[1:], (2001, 256)),
        (model.backbone.positions.vectors, (50, 256)),
        (attention.sublayer.query_key_value.weight, (768, 256)),
        (attention.gate.weight, (256, 256)),
        (first, (1024, 256)),
        (second, (1024, 256)),
    ):
        assert matrix.std().item() == pytest.approx((2 / sum(shape)) ** 0.5, rel=0.03)
    assert not model.item_embedding.weight[0].any()
    assert not attention.gate.bias.any()
