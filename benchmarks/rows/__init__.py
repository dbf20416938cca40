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
    """

    module: str
    function: str
    threads: int | None = None
    large: bool = False


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
}
