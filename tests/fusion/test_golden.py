"""The reference preset equals numbers computed elsewhere, and the check of it can fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mltfr.fusion import FusionInputs
from mltfr.fusion.fisher import estimate_fisher_of_batches
from mltfr.fusion.reference import ReferenceConfig, ReferenceFusion
from mltfr.testing import golden
from mltfr.tokens.table import PreparedTable

FOLDER = Path(__file__).parents[1] / "golden"
FILES = sorted(FOLDER.glob("*.npz"))
ROUND_1 = {"similarity", "selected", "router_weights", "output", "loss", "grad_hidden", "fisher"}
ROUND_2 = {"consensus", "round2.routed", "round2.output"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_reference_equals_golden_file(path: Path) -> None:
    errors = golden.compare(path)
    assert set(errors) == (ROUND_1 if "round1" in path.stem else ROUND_1 | ROUND_2)
    assert max(errors.values()) <= 1e-5, errors


def test_all_golden_files_are_here() -> None:
    assert [path.stem for path in FILES] == ["four_banks", "six_banks", "two_banks_round1"]


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("batch1.similarity2", "similarity"),
        ("batch0.router_weights", "router_weights"),
        ("batch2.output", "output"),
        ("batch0.grad_hidden", "grad_hidden"),
        ("fisher1.value.weight", "fisher"),
        ("consensus.query.weight", "consensus"),
        ("round2.output", "round2.output"),
    ],
)
def test_every_quantity_can_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, quantity: str
) -> None:
    arrays = dict(np.load(FOLDER / "four_banks.npz"))
    arrays[name] = arrays[name] * np.float32(1.001)
    np.savez(tmp_path / "changed.npz", **arrays)
    assert golden.main([str(tmp_path / "changed.npz")]) == 1
    failed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "above" in line]
    assert failed == [quantity]


def test_another_selection_fails(tmp_path: Path) -> None:
    arrays = dict(np.load(FOLDER / "four_banks.npz"))
    arrays["batch0.selected1"] = (arrays["batch0.selected1"] + 1) % 50
    np.savez(tmp_path / "changed.npz", **arrays)
    assert golden.compare(tmp_path / "changed.npz")["selected"] >= 1


def test_good_file_exits_with_zero_and_prints_every_quantity(capsys: pytest.CaptureFixture[str]) -> None:
    assert golden.main([str(FOLDER / "six_banks.npz")]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == ROUND_1 | ROUND_2


def test_unusable_files_get_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.npz").write_text("not an archive")
    np.save(tmp_path / "array.npy", np.zeros(3))
    arrays = dict(np.load(FOLDER / "two_banks_round1.npz"))
    np.savez(tmp_path / "lacks.npz", **{name: a for name, a in arrays.items() if name != "batch0.loss"})
    np.savez(tmp_path / "unfit.npz", **{**arrays, "router.weight": np.zeros((2, 9), np.float32)})
    np.savez(tmp_path / "empty.npz", meta=arrays["meta"])
    np.savez(tmp_path / "meta.npz", **{**arrays, "meta": np.array("no json")})
    (tmp_path / "cut.npz").write_bytes((FOLDER / "two_banks_round1.npz").read_bytes()[:9000])
    names = ["missing", "text", "lacks", "unfit", "empty", "meta", "cut"]
    for name in ["array.npy", *[f"{name}.npz" for name in names]]:
        assert golden.main([str(tmp_path / name)]) == 2, name
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert name in captured.err
    assert golden.main([]) == 2


def test_other_shapes_written_by_the_fusion_itself_pass(tmp_path: Path) -> None:
    """Five tables, three tokens kept, two heads, D = 24, another temperature, a group of two."""
    widths, group, users, length = [5, 7, 7, 9, 3], [1, 2], 4, 5
    generator = np.random.default_rng(0)
    torch.manual_seed(0)
    tables = [
        PreparedTable(f"table{n}", generator.normal(size=(20 + n, width)).astype(np.float32), ())
        for n, width in enumerate(widths)
    ]
    config = ReferenceConfig(
        keep=3, temperature=0.7, heads=2, consensus_group=("table1", "table2"), consensus_weight=0.3
    )
    fusion = ReferenceFusion(config, FusionInputs(hidden=24, is_causal=True, tables=tables)).eval()
    meta = {"heads": 2, "temperature": 0.7, "tokens_per_user": 3, "consensus_group": group}
    arrays = {"meta": np.array(json.dumps({**meta, "consensus_weight": 0.3}))}
    for n, table in enumerate(tables):
        arrays[f"tokens{n}.embeddings"] = table.vectors
    for name, value in fusion.state_dict().items():
        name = name.replace("filters.table", "filter").replace("experts.table", "expert")
        arrays[name.replace(".projection", "")] = value.numpy()
    batches = []
    for t in range(2):
        items = generator.integers(0, 9, size=(users, length))
        x = torch.tensor(generator.normal(size=(users, length, 24)) * (items != 0)[..., None]).float()
        target = torch.tensor(generator.normal(size=x.shape)).float()
        uniform = {table.name: torch.rand(users, table.shape[0]) for table in tables}
        mask = torch.tensor(items != 0)
        batches.append((x, mask, target, uniform))
        leaf = x.clone().requires_grad_()
        output = fusion(leaf, mask, uniform)
        loss = (output - target)[mask].square().mean()
        arrays |= {f"batch{t}.hidden": x.numpy(), f"batch{t}.items": items}
        arrays[f"batch{t}.target"] = target.numpy()
        arrays[f"batch{t}.output"] = output.detach().numpy()
        arrays[f"batch{t}.loss"] = loss.detach().numpy()
        arrays[f"batch{t}.grad_hidden"] = torch.autograd.grad(loss, leaf)[0].numpy()
        arrays[f"batch{t}.router_weights"] = fusion.router_weights(x).detach().numpy()
        for n, (name, noise) in enumerate(uniform.items()):
            similarity = fusion.filters[name].similarity(fusion.query(x, mask))
            arrays[f"batch{t}.uniform{n}"] = noise.numpy()
            arrays[f"batch{t}.similarity{n}"] = similarity.detach().numpy()
            arrays[f"batch{t}.selected{n}"] = fusion.filters[name].select(similarity, noise)[1].numpy()
    fisher = estimate_fisher_of_batches(
        fusion,
        fusion.fisher_parameters(),
        lambda x, mask, target, uniform: (fusion(x, mask, uniform) - target)[mask].square().mean(),
        batches,
    )
    merged = fusion.merge_experts(fisher)
    arrays |= {name.replace("experts.table", "fisher"): value.numpy() for name, value in fisher.items()}
    arrays |= {f"consensus.{name}": value.numpy() for name, value in merged.items()}
    arrays["round2.routed"] = arrays["batch0.output"]
    fusion.add_consensus(merged)
    arrays["round2.output"] = fusion(*batches[0][:2], batches[0][3]).detach().numpy()
    np.savez(tmp_path / "other.npz", **arrays)
    errors = golden.compare(tmp_path / "other.npz")
    assert set(errors) == ROUND_1 | ROUND_2
    assert max(errors.values()) <= 1e-5, errors
