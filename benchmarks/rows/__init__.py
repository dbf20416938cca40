"""The rows of the benchmark, by name. Their modules are imported only where they are measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        module: where its function is.
        function: called with the settings; returns the results.
        threads: threads that its budget allows; those of the command line if not given.
        large: whether it takes long and runs only with --large or by name.
        peers: whether it measures other libraries too and runs only with --peers or by name.
        limit: seconds after which it is given up.
        points: where on its axis it is measured, each in a process of its own; once without an axis if empty.
        large_points: where besides, with --large.
    """

    module: str
    function: str
    threads: int | None = None
    large: bool = False
    peers: bool = False
    limit: float = 1800.0
    points: tuple[int, ...] = ()
    large_points: tuple[int, ...] = ()


ROWS = {
    "epoch-bce": Row("rows.training", "bce"),
    "epoch-bce-paper-block": Row("rows.training", "bce_paper_block"),
    "epoch-bce-prefixes": Row("rows.training", "bce_prefixes", large=True),
    "epoch-ce": Row("rows.training", "cross_entropy"),
    "epoch-ce-prefixes": Row("rows.training", "cross_entropy_prefixes", large=True),
    "epoch-ce-mltfr": Row("rows.training", "cross_entropy_mltfr"),
    "fusion-step-bce": Row("rows.fusion", "step_bce"),
    "fusion-step-ce": Row("rows.fusion", "step_cross_entropy"),
    "fusion-step-ce-prefixes": Row("rows.fusion", "step_cross_entropy_prefixes"),
    "fusion-step-reference": Row("rows.fusion", "step_reference"),
    "fusion-refresh": Row("rows.fusion", "refresh"),
    "fusion-merge": Row("rows.merging", "merge"),
    "fusion-inference": Row("rows.scoring", "fusion_inference"),
    "evaluation": Row("rows.scoring", "evaluation"),
    "top-20": Row("rows.scoring", "top_20"),
    "request": Row("rows.requests", "request"),
    "request-mltfr": Row("rows.requests", "request_mltfr"),
    "request-million": Row("rows.requests", "request_million"),
    "prepare-200k": Row("rows.preparation", "prepare_200k", threads=2),
    "prepare-2m": Row("rows.preparation", "prepare_2m", threads=2),
    "prepare-20m": Row("rows.preparation", "prepare_20m", threads=2, large=True),
    "start-bare": Row("rows.start", "start_bare"),
    "start-mltfr": Row("rows.start", "start_mltfr"),
    "extract-gemma3-270m": Row("rows.extraction", "gemma"),
    "gpu-steps-bce": Row("rows.gpu", "steps_bce"),
    "gpu-steps-ce": Row("rows.gpu", "steps_cross_entropy"),
    "gpu-steps-ce-prefixes": Row("rows.gpu", "steps_cross_entropy_prefixes"),
    "gpu-epochs": Row("rows.gpu", "epochs"),
    "gpu-sharing": Row("rows.gpu", "sharing"),
    "growth-items": Row("rows.growth_items", "grow", points=(10_000, 100_000, 1_000_000), large_points=(2_000_000,)),
    "growth-vocabulary": Row("rows.growth_tables", "vocabulary", points=(30_000, 65_536, 131_072, 262_144)),
    "growth-tables": Row("rows.growth_tables", "number", points=(1, 2, 3, 4)),
    "growth-length": Row("rows.growth_length", "grow", points=(50, 100, 200, 500, 1000)),
    "peer-replay-bce": Row("rows.peers", "replay_bce", peers=True, limit=7200.0),
    "peer-replay-ce": Row("rows.peers", "replay_cross_entropy", peers=True, limit=7200.0),
    "peer-rectools-bce": Row("rows.peers", "rectools_bce", peers=True, limit=7200.0),
    "peer-rectools-ce": Row("rows.peers", "rectools_cross_entropy", peers=True, limit=7200.0),
    "peer-recbole-bpr": Row("rows.peers", "recbole_bpr", peers=True, limit=7200.0),
    "peer-recbole-ce": Row("rows.peers", "recbole_cross_entropy", peers=True, limit=7200.0),
}
