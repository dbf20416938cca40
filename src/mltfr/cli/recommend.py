"""`mltfr recommend`."""

from __future__ import annotations

import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mltfr.cli.options import AddNames, Address, Engine, NewItems, Overwrite, Reading, Run, Workers, reads_a_log
from mltfr.cli.output import say, stoppable
from mltfr.errors import word

if TYPE_CHECKING:
    from mltfr.batch import Users
    from mltfr.inference import Listed, UnknownUsers

INDEX_SAMPLE = 200
"""Users whose exact lists an approximate index is compared with."""


@reads_a_log
def recommend(
    run: Run,
    out: Annotated[
        Path,
        typer.Option(
            help="New file to write: .csv, .parquet or .jsonl; - for CSV on stdout. Without an ending a folder of "
            "Parquet parts, which can be continued after a stop.",
            show_default=False,
        ),
    ],
    k: Annotated[int, typer.Option("-k", min=1, help="How many items every user gets, at most.")] = 10,
    users: Annotated[
        Path | None, typer.Option(help="Text file with one user id of the log a line; all users if not given.")
    ] = None,
    histories: Annotated[
        Path | None,
        typer.Option(
            help='Log of events, one interaction a row, as for `mltfr fit`; or one row a user: JSON Lines {"user_id": '
            '"u1", "items": ["a", "b"]}, oldest first, or Parquet with these columns, or a folder of it. Users need '
            "not be known, and what the run knows of them is not added. Events are read as the run's log, unless "
            "options of reading say otherwise."
        ),
    ] = None,
    unknown_users: Annotated[
        Literal["skip", "error"] | None,
        typer.Option(
            help="What happens with ids in --users that the log does not have: skip leaves them out, even if they are "
            "all; error stops.",
            show_default="skip, unless they are all",
        ),
    ] = None,
    add_names: AddNames = None,
    new_items: NewItems = False,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="Let items of the history come again.")] = False,
    allow: Annotated[
        Path | None, typer.Option(help="Text file with the only item ids that may be recommended, one a line.")
    ] = None,
    deny: Annotated[
        Path | None, typer.Option(help="Text file with item ids that may not be recommended, one a line.")
    ] = None,
    index: Annotated[
        str, typer.Option(help="Search method: exact, dense (exact, without 8-bit item vectors), or ivf (approximate).")
    ] = "exact",
    parts: Annotated[bool, typer.Option("--parts", help="Treat --out as a folder, whatever its ending.")] = False,
    part_users: Annotated[
        int | None,
        typer.Option(min=1, help="Users of a part; so many are in memory at a time.", show_default="32768"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue in the same folder; finished parts are checked and kept.")
    ] = False,
    overwrite: Overwrite = False,
    *,
    reading: Reading,
    engine: Engine = None,
    workers: Workers = None,
    address: Address = None,
) -> None:
    """Write every user's best next items, as rows user_id, rank, item_id, score, rank 1 first.

    Usually: `mltfr recommend runs/mine --out recommendations.csv`

    Users come in the order of --users or --histories, or else in that of their first interaction in the log.

    Users of the log get recommendations from their whole history, validation and test included. Items that training
    has not seen are skipped in histories and lists, users that the log does not have in --users; with users who get
    fewer than -k items they are counted, and said on stderr. However many users there are, only those of one part are
    in memory.
    """
    from mltfr.cli.engines import check_engine
    from mltfr.cli.files import STDOUT, check_output, csv_on_stdout, read_ids
    from mltfr.errors import DataError, MltfrWarning, OutputError

    check_engine(engine, workers, address)
    if engine == "ray":  # other nodes do not know where this command was given
        run, out, histories = run.absolute(), out.absolute(), histories.absolute() if histories is not None else None
    to_stdout = out == STDOUT
    to_folder = parts or not (out.suffix or to_stdout)
    if to_stdout and (parts or resume or overwrite):
        raise OutputError("-: is stdout, to which one CSV is written. Leave out --parts, --resume and --overwrite.")
    check_output(out, to_folder, overwrite)
    if resume and not to_folder:
        raise OutputError(f"{out}: one file is written whole or not at all; --resume needs a folder of parts as --out.")
    if overwrite and to_folder:
        raise OutputError(f"{out}: is a folder of parts, which is continued (--resume); --overwrite is for one file.")
    if engine == "ray" and not to_folder:
        raise OutputError(f"{out}: --engine ray writes a folder of parts. Give --out without an ending, or --parts.")
    if users is not None and histories is not None:
        raise DataError("Give --users or --histories, not both.")
    from mltfr.batch import (
        PART_USERS,
        PartScorer,
        PartsFolder,
        describe_job,
        locked_parts,
        read_histories,
        recommend_to_file,
        recommend_to_folder,
        recommend_to_stream,
        sample,
    )
    from mltfr.inference import Listed, RecommendationSpec
    from mltfr.pipeline import load_inference_model
    from mltfr.pipeline.artifact import read_settings
    from mltfr.storage.progress import show_progress

    if histories is None and any(reading.values()):
        raise DataError("The options of reading a log are for --histories FILE. Leave them out, or give the file.")
    # a bad file is reported before the model is loaded
    given = read_histories(histories, reading, read_settings(run).reading) if histories is not None else None
    spec = RecommendationSpec(
        k,
        True if include_seen else None,
        read_ids(allow) if allow is not None else None,
        read_ids(deny) if deny is not None else (),
        index,
        add_names,
        new_items,
    )
    model = load_inference_model(run)
    recipients, unknown = (given, Listed()) if given is not None else _users_of_the_run(run, users, unknown_users)
    nameless = spec.names.missing(model.vocabulary) if spec.names is not None else None
    scorer = PartScorer(model, spec, run)
    size = part_users or PART_USERS
    command = " ".join(map(word, ["mltfr", *(each for each in sys.argv[1:] if each != "--resume"), "--resume"]))
    stopped = f"mltfr: stopped; continue with: {command}" if to_folder else "mltfr: stopped."
    lock = locked_parts(out) if to_folder else nullcontext()
    stdout = csv_on_stdout() if to_stdout else nullcontext()
    with stdout as file, stoppable(stopped) as stop, show_progress() as progress, lock:
        if file is not None:
            summary = recommend_to_stream(scorer, recipients, file, part_users=size, progress=progress, stop=stop)
        elif not to_folder:
            summary = recommend_to_file(
                scorer, recipients, out, part_users=size, overwrite=overwrite, progress=progress, stop=stop
            )
        else:
            folder = PartsFolder(out, describe_job(run, spec, recipients, size))
            finished = folder.begin(resume)
            if finished:
                say(f"{len(finished):,} of {len(folder.parts):,} parts are finished and kept", err=True)
            if engine == "ray":
                from mltfr.cluster import recommend_with_ray

                summary = recommend_with_ray(
                    run, spec, recipients, folder, finished, workers or 1, address, progress=progress, stop=stop
                )
            else:
                summary = recommend_to_folder(scorer, recipients, folder, finished, progress=progress, stop=stop)
    summary.shortfalls.unknown_users = unknown
    for text in (*summary.shortfalls.sentences(k, scorer.unknown_in_filters), *([nameless] if nameless else [])):
        warnings.warn(text, MltfrWarning, stacklevel=1)
    where = "stdout" if to_stdout else out
    say(f"{summary.users:,} users, {summary.rows:,} rows written to {where}", err=to_stdout)
    if index == "ivf":
        report = scorer.index_report(sample(recipients, INDEX_SAMPLE))
        recall = f"recall@{report.k} {report.recall:.4f}"
        say(f"index ivf: {recall} against the exact lists of {report.histories:,} users", err=to_stdout)


def _users_of_the_run(run: Path, users: Path | None, unknown_users: UnknownUsers | None) -> tuple[Users, Listed]:
    """Return all users of a run, or those of a list, and which users of the list the run does not know."""
    from mltfr.batch import NamedUsers, RunUsers, known_users
    from mltfr.cli.files import read_ids
    from mltfr.inference import Listed, require_known

    everybody = RunUsers(run)
    everybody.require()
    if users is None:
        return everybody, Listed()
    ids = read_ids(users)
    known = known_users(run, ids)
    unknown = [user for user in dict.fromkeys(ids) if user not in known]
    require_known(str(users), unknown, len(set(ids)), unknown_users)
    return NamedUsers(run, [user for user in ids if user in known]), Listed.of(unknown)
