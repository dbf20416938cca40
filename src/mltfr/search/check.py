"""What a search is checked for before its folder is made, in the words of its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from mltfr.config import flatten, merge
from mltfr.errors import ConfigError
from mltfr.evaluation.metrics import split_metric
from mltfr.interactions import Split
from mltfr.names.vectors import item_words
from mltfr.pipeline import RunConfig
from mltfr.pipeline.config import EvaluationConfig
from mltfr.pipeline.inputs import split_log
from mltfr.pipeline.names import read_names
from mltfr.search.arms import DATA
from mltfr.search.clock import check_time
from mltfr.search.inputs import SearchInputs
from mltfr.search.request import Request
from mltfr.study.cell import Cell
from mltfr.study.data import open_log
from mltfr.study.settings import is_among, with_settings
from mltfr.study.space import Range, Value

INSIDE = 0.381966
"""Where a range is tried between its ends: at no whole number, where these are whole and not a million apart."""
WHOLE = "valid integer"
"""What pydantic says of a number that should have been a whole one."""


def check_request(request: Request, decided: Mapping[str, str]) -> None:
    """Check the time, that settings leave alone what the search decides, and that its metric is measured.

    Args:
        request: what is searched.
        decided: keys of settings, each with what to do instead.

    Raises:
        ConfigError: the time is too short, one of them is set, or the metric is unknown or not measured.
    """
    check_time(request.seconds)
    for key, value in flatten(request.settings).items():
        if key == "training.metric" and value != request.metric:
            raise ConfigError(f"training.metric is '{value}', but '{request.metric}' decides. Use --metric {value}.")
        for setting, remedy in {"seed": "Use --seed", "tokens.tables": "Use --tokens", **decided}.items():
            if is_among(key, [setting]):
                raise ConfigError(f"'{key}' cannot be a setting of all runs of a search. {remedy}, and leave it out.")
    try:
        split_metric(request.metric)
    except ConfigError as error:
        raise ConfigError(f"--metric: {error}.") from error
    given = merge(request.settings, request.data.settings).get("evaluation", {})
    measured = EvaluationConfig.parse(given, "evaluation").metric_names
    if request.metric not in measured:
        raise ConfigError(
            f"--metric {request.metric} is not measured ({', '.join(measured)}). Choose one of these, or add it to "
            "evaluation.metrics or evaluation.cutoffs with --set."
        )


def check_values(config: RunConfig, space: Mapping[str, Range | tuple[Value, ...]]) -> None:
    """Check that every setting that is searched allows its values; whether they fit together, only trials tell.

    Args:
        config: the settings as they are.
        space: settings with their choices or range.

    Raises:
        ConfigError: a setting does not allow a choice, an end of its range, or numbers that are not whole.
    """
    for key, choices in space.items():
        for value in _tried(choices):
            try:
                with_settings(config, {key: value}, "--vary")
            except ConfigError as error:
                if not _is_of_one_setting(error):  # it does not fit the others, which may vary as well
                    continue
                whole = isinstance(choices, Range) and WHOLE in str(error)
                hint = f" Whole numbers are searched with :int, as in {key}=1..3:int." if whole else ""
                raise ConfigError(f"{error}.{hint}") from error


def check_inputs(inputs: SearchInputs, plan: Sequence[Cell], tokens: Sequence[str]) -> Split:
    """Check all that the runs of a search read: the log, its validation split, names and token tables.

    Args:
        inputs: opens them.
        plan: everything that may be tried.
        tokens: token tables that were asked for.

    Returns:
        The log, split.

    Raises:
        ConfigError: nothing is held out to choose by, or nothing reads the tables.
        DataError: the log or the names are not usable, or those names are of no item.
        TokenTableError: a table is unknown or damaged.
        FetchError: a table cannot be fetched.
    """
    config = plan[-1].config
    if tokens and not any(cell.config.tokens.tables for cell in plan if cell.is_trained):
        raise ConfigError(
            f"--tokens {','.join(tokens)}: nothing that this search tries reads token tables. Leave it out, or let "
            "something read them: in `mltfr auto` --item-names FILE or another --preset, in `mltfr tune` a --fusion or "
            "--set names.read=tables."
        )
    config, data, _ = split_log(config, open_log(inputs.study.data[DATA], config.filters))
    if not len(data.validation):
        raise ConfigError(
            "The validation split is empty, so nothing can be chosen. Give a log with longer histories, or another "
            "split (--set split.method=global-time)."
        )
    named = next((cell.config for cell in plan if cell.config.names.are_used), None)
    texts = None
    if named is not None:
        texts = read_names(named.model_copy(update={"reading": config.reading}), data.vocabulary)
    if named is not None and texts is not None:
        item_words(texts, data.vocabulary, named.names)
    for cell in plan:
        inputs.tables(cell.config)
    return data


def _is_of_one_setting(error: ConfigError) -> bool:
    """Return whether an error is about a value alone, and not about several settings, which a validator compares."""
    report = error.__cause__
    while isinstance(report, ValidationError):
        compared = report.errors()[0].get("ctx", {}).get("error")
        if compared is None:
            return True
        report = compared.__cause__
    return False


def _tried(choices: Range | tuple[Value, ...]) -> tuple[Value, ...]:
    """Return the choices; of a range the ends, and a number between them unless it is one of whole numbers."""
    if not isinstance(choices, Range):
        return choices
    if choices.whole:
        return int(choices.low), int(choices.high)
    return choices.low, choices.low + INSIDE * (choices.high - choices.low), choices.high
