"""What the settings of the backbones mean, and which are refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mltfr.backbones import BACKBONES
from mltfr.backbones.bert4rec import BERT4Rec, BERT4RecConfig
from mltfr.backbones.hstu import HSTUConfig
from mltfr.backbones.ligr import LiGRConfig
from mltfr.backbones.linrec import LinRecConfig
from mltfr.backbones.sasrec import SASRec, SASRecConfig
from mltfr.backbones.transformer import PostNorm, PreNorm
from mltfr.errors import ConfigError


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
