"""The model card of a shared run, `README.md`: what it is, how it was measured, what it rests on, how it is loaded.

Every number is one of `metrics.json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mltfr.evaluation.protocol import EvaluationProtocol
from mltfr.hub.licence import TableSource
from mltfr.hub.remote import HubName, library
from mltfr.pipeline.data_counts import DataCounts
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.models import REFIT
from mltfr.report.markdown import escaped, markdown_rows
from mltfr.storage.terminal import printable

BRANCHES = {"zero_branch": "its fusion's correction set to zero", "constant_branch": "the mean correction in its place"}
TEXT = """{front}
# {title}

A sequential recommender of [mltfr](https://pypi.org/project/mltfr/): it reads what a user chose, oldest first, and
ranks what may come next. {holds}

## Use it

```python
from mltfr import Recommender

recommender = Recommender.from_pretrained("{name}")
recommender.recommend(histories=[[{items}]], k=10)
recommender.similar_items("{item}")
```

```bash
pip install 'mltfr[hub]'
mltfr pull {name} --out run
mltfr recommend run --histories histories.csv --out recommendations.csv
mltfr serve run
```

Nothing of it is executed when it is loaded: settings are TOML, facts JSON, tables Parquet, weights safetensors, and the
checksum of every file is compared first. Name a commit (`{name}@COMMIT`) to get the same files for ever.

## How good it is

{scores}

{protocol}

{verdict}A control with random token tables is no part of a run; `mltfr study` makes one. Other people's numbers compare
with these only where the protocol's hash is the same.

## Data

{data}

## Token tables

{tables}

## Limits

{limits}

## How it was made

{made}
"""


def card(fitted: FittedModel, name: HubName, licence: str, tables: Sequence[TableSource], with_users: bool) -> str:
    """Return the text of the card, with its front matter.

    Args:
        fitted: the run, as it is shared.
        name: the repository.
        licence: its licence, as the hub spells it.
        tables: where its token tables come from.
        with_users: whether its users are shared too.

    Raises:
        MissingExtraError: huggingface-hub is not installed, which writes the front matter.
    """
    first = [_quoted(item) for item in fitted.split.vocabulary.item_ids[:3]]
    users = fitted.metrics.get("counts", {}).get("training", {}).get("users")
    holds = "It holds the histories of the users it was trained on." if with_users else (
        "It holds no user: neither ids nor histories" + (f" of the {users:,} it was trained on." if users else ".")
    )  # fmt: skip
    verdict = fitted.verdict
    return TEXT.format(
        front=_front(fitted, name, licence, tables),
        title=_shown(name.repository.partition("/")[2]),
        holds=holds,
        name=name.repository,
        items=", ".join(f'"{item}"' for item in first),
        item=first[0],
        scores=_scores(fitted),
        protocol=_protocol(fitted),
        verdict=f"{_shown(verdict.standing)}\n\n" if verdict is not None and verdict.standing else "",
        data=_data(fitted),
        tables=_tables(tables, licence),
        limits="\n".join(f"- {line}" for line in _limits(fitted, with_users)),
        made=_made(fitted),
    )


def _front(fitted: FittedModel, name: HubName, licence: str, tables: Sequence[TableSource]) -> str:
    """Return the front matter: YAML, in which text is printable, and not escaped as in Markdown."""
    hub, config = library(), fitted.config
    found: Mapping[str, float] = fitted.metrics.get("metrics", {})
    source = printable(str(fitted.facts.get("source") or "a log in memory"))
    results = [
        hub.EvalResult(
            task_type="other", task_name="Sequential recommendation", dataset_type="interactions", dataset_name=source,
            dataset_split=str(fitted.metrics.get("split", "test")), metric_type=metric, metric_name=metric.upper(),
            metric_value=value,
        )
        for metric, value in found.items()
    ]  # fmt: skip
    tags = ["recommender-systems", "sequential-recommendation", config.backbone.name]
    tags += [] if config.fusions == "none" else config.fusions.split(" and ")
    data = hub.ModelCardData(
        license=licence,
        library_name="mltfr",
        tags=list(dict.fromkeys(tags)),
        base_model=list(dict.fromkeys(table.repository for table in tables if table.repository)) or None,
        metrics=list(dict.fromkeys(metric.partition("@")[0] for metric in found)) or None,
        **({"model_name": name.repository.partition("/")[2], "eval_results": results} if results else {}),
    )
    return f"---\n{data.to_yaml()}\n---\n"


def _metrics(document: Mapping[str, Any]) -> list[str]:
    """Return the metrics that the table shows: those of the middle length of a list."""
    found = list(document.get("metrics", {}))
    cutoffs = sorted({int(metric.partition("@")[2]) for metric in found})
    middle = cutoffs[len(cutoffs) // 2] if cutoffs else 0
    return [metric for metric in found if metric.endswith(f"@{middle}")]


def _scores(fitted: FittedModel) -> str:
    document = _before(fitted) or fitted.metrics
    names = _metrics(document)
    rows = _rows_of_scores(fitted, document, names) if names else ()
    return markdown_rows(("", *names), rows, (False, *(True for _ in names)))


def _before(fitted: FittedModel) -> dict[str, Any]:
    """Return the scores of the run before it was refitted, as a document of scores; nothing of any other run."""
    found: dict[str, Any] = fitted.facts.get(REFIT, {}).get("scores_before", {})
    return {**found, **({"validation": {"metrics": found["validation"]}} if "validation" in found else {})}


def _rows_of_scores(fitted: FittedModel, document: Mapping[str, Any], names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the rows of scores: the run's own, or of the run before its refit, and what gives them a meaning."""

    def row(what: str, scores: Mapping[str, float]) -> list[str]:
        return [what, *(f"{scores[name]:.4f}" if name in scores else "" for name in names)]

    split, whose = str(document.get("split", "test")), "this run"
    if REFIT in fitted.facts:
        whose = "the run before it was refitted"
    yield row(f"{whose}, {split}", document["metrics"])
    if "zero_branch" in document and fitted.config.fusions != "none":
        yield row(f"zero branch, {split}: {BRANCHES['zero_branch']}", document["zero_branch"])
    if "best_member" in document:
        best = document["best_member"]
        yield row(f"its best member, {_shown(str(best['run']))}, {split}", best["metrics"])
    beside = {"popularity": {"test": document["popularity"]}} if "popularity" in document else {}
    for baseline, scores in {**beside, **document.get("baselines", {})}.items():
        yield row(f"{_shown(baseline)}, {split}", scores["test"])
    if "metrics" in (validation := document.get("validation", {})):
        yield row(f"{whose}, validation, on which it was chosen", validation["metrics"])
        for branch, told in BRANCHES.items():
            if branch in validation:
                yield row(f"{branch.replace('_', ' ')}, validation: {told}", validation[branch])


def _protocol(fitted: FittedModel) -> str:
    if not fitted.metrics.get("metrics"):
        if REFIT not in fitted.facts:
            return "The run was not scored."
        before = _before(fitted)
        measured = f", by protocol `{_code(str(before['protocol_hash']))}`" if "protocol_hash" in before else ""
        told = f" The scores above are of the run before it was refitted{measured}." * bool(before.get("metrics"))
        return f"It learned from all of its log, and nothing was held out. The run was not scored.{told}"
    protocol: EvaluationProtocol = fitted.protocol()
    hash_ = fitted.metrics.get("protocol_hash", protocol.hash)
    asked = f"{fitted.metrics['examples']:,} examples of {fitted.metrics['users']:,} users"
    rows = [[_shown(key), _shown(str(value))] for key, value in fitted.metrics["protocol"].items()]
    return f"Protocol `{hash_}`, {asked}:\n\n" + markdown_rows(("how it was measured", ""), rows, (False, False))


def _data(fitted: FittedModel) -> str:
    lines = [f"Log: {_shown(str(fitted.facts.get('source') or 'in memory'))}, which is not part of this repository."]
    if "counts" in fitted.metrics:
        counts = "\n".join(printable(line) for line in str(DataCounts.from_json(fitted.metrics["counts"])).split("\n"))
        lines.append(f"```text\n{counts}\n```")
    else:
        vocabulary = fitted.split.vocabulary
        lines.append(f"{int(vocabulary.counts.sum()):,} interactions with {len(vocabulary):,} items were trained on.")
    if fingerprint := fitted.facts.get("data_fingerprint"):
        lines.append(f"Fingerprint of the log: `{_code(str(fingerprint))}`.")
    return "\n\n".join(lines)


def _tables(tables: Sequence[TableSource], licence: str) -> str:
    if not tables:
        return f"None. The weights are under `{licence}`."
    rows = [
        [_shown(table.name), _shown(table.licence or "not known"), _shown(table.source or "not known"),
         _shown(table.control) or "no"]
        for table in tables
    ]  # fmt: skip
    found = markdown_rows(("table", "licence", "from", "replaced by a control"), rows, (False,) * 4)
    return f"Vectors of these tables' tokens are among the weights, which are under `{licence}`:\n\n{found}"


def _limits(fitted: FittedModel, with_users: bool) -> Iterator[str]:
    new = fitted.new_items
    more = "; others are skipped" if new is None else f", and {len(new.item_ids):,} more by names (`new_items=True`)"
    yield f"It knows {len(fitted.split.vocabulary):,} items, those of its training split{more}."
    yield "A history without a known item gets the most popular items."
    if with_users:
        yield "It holds ids and histories of users: pass it on only to those who may see them."
    else:
        yield (
            "Weights and item counts follow from histories. That no history is in it is no proof that none can be "
            "guessed from it."
        )
    if fitted.config.depends_on_batch:
        yield "As published, scores depend on the histories beside them and on chance. It needs its token tables."
    yield "Items are named by the ids of the log; scores of different runs do not compare."


def _made(fitted: FittedModel) -> str:
    facts = fitted.facts
    packages = ", ".join(f"{name} {version}" for name, version in facts.get("packages", {}).items())
    told = [f"Model: {_shown(fitted.config.title)}.", f"Seed {facts.get('seed', fitted.config.seed)}."]
    told += [f"mltfr {_shown(str(facts['mltfr']))}."] if "mltfr" in facts else []
    told += [f"Made with {_shown(packages)}."] if packages else []
    return " ".join([*told, "`config.toml` holds every setting, `manifest.json` every version and checksum."])


def _shown(text: str) -> str:
    """Return untrusted text as Markdown shows it: one line, nothing that steers, nothing that is markup."""
    return escaped(printable(text)).replace("[", "\\[").replace("#", "\\#")


def _quoted(text: str) -> str:
    """Return an id as it stands between quotes in a line of code."""
    return _code(text).replace("\\", "\\\\").replace('"', '\\"')


def _code(text: str) -> str:
    return printable(text).replace("`", "'")
