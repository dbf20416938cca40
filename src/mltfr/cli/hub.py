"""`mltfr push` and `mltfr pull`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mltfr.cli.options import Json, Run
from mltfr.cli.output import say
from mltfr.errors import word


def push(
    run: Run,
    name: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="Repository, made if it is not there.", show_default=False)
    ],
    license: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Licence of the run, as the hub spells it, such as apache-2.0.",
            show_default="what follows from its token tables",
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Let only its owner see the repository, if it is new.")
    ] = False,
    with_users: Annotated[
        bool,
        typer.Option(
            "--with-users",
            help="Upload ids, histories and held-out rows of all users too, to a private repository.",
        ),
    ] = False,
    branch: Annotated[
        str | None, typer.Option(help="Branch to write to, made if it is not there.", show_default="the main one")
    ] = None,
    message: Annotated[str | None, typer.Option(help="Message of the commit.", show_default="the model")] = None,
    json: Json = False,
) -> None:
    """Share a run on the Hugging Face hub, without its users.

    Usually: `mltfr push runs/mine me/beauty-sasrec`

    Ids and histories of users, held-out rows, paths, notes about the log and conditions on its rows stay here. What is
    shared recommends for histories, finds similar items, and can be served and exported. A model card is written, with
    the run's scores beside those of the baselines, its protocol, data, token tables and limits. Vectors of the tables
    are among the weights: where no licence follows from theirs, --license has to name one.
    Log in first (`hf auth login`, or HF_TOKEN); HF_ENDPOINT names another hub.
    """
    from json import dumps

    from mltfr.hub.licence import check_licence
    from mltfr.hub.push import push as upload
    from mltfr.hub.remote import HubName

    to = HubName.parse(name, branch)
    if license is not None:
        check_licence(license)
    from mltfr.pipeline import load_artifact

    fitted = load_artifact(run)
    if with_users:
        fitted.split.require_users("So they cannot be shared: leave out --with-users.")
        users = f"ids, histories and held-out rows of {len(fitted.split.user_ids):,} users"
        say(f"mltfr: --with-users: {users} go to {to}", err=True)
    done = upload(fitted, to, licence=license, private=private, with_users=with_users, message=message)
    if json:
        document = {"url": done.url, "commit": done.commit, "license": done.licence, "files": list(done.files)}
        say(dumps({**document, "bytes": done.bytes, "with_users": with_users}, indent=2))
        return
    users = "with its users" if with_users else "without its users"
    say(f"Pushed to {done.url}, {users}, under {done.licence} ({len(done.files)} files, {done.bytes / 1e6:.1f} MB).")
    say(f"Take it from there: mltfr pull {to.repository}@{done.commit} --out RUN")


def pull(
    name: Annotated[
        str,
        typer.Argument(
            metavar="OWNER/NAME[@REVISION]",
            help="Repository, and a branch, tag or commit of it.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="RUN", help="New run folder to write.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Fetch files anew that are in the cache.")] = False,
    json: Json = False,
) -> None:
    """Take a run from the Hugging Face hub into a run folder.

    Usually: `mltfr pull me/beauty-sasrec --out runs/theirs`

    Every file is compared with its checksum, nothing is executed, and a repository that holds anything else than a run
    is refused. With HF_HUB_OFFLINE=1 it comes from the cache of huggingface-hub. Most runs are shared without their
    users: give `mltfr recommend` a file of histories.
    """
    from json import dumps

    from mltfr.hub.pull import pull as download
    from mltfr.hub.remote import HubName

    asked = HubName.parse(name)
    found = download(asked, out, force_download=force)
    from mltfr.batch import RunUsers

    users = len(RunUsers(out))
    if json:
        say(dumps({"repository": asked.repository, "commit": found.commit, "run": str(out), "users": users}, indent=2))
        return
    told = f"with {users:,} users" if users else "without users"
    say(f"Pulled {asked.repository} at commit {found.commit}, {told}, to {out}.")
    say(f"Next: mltfr recommend {word(out)}{'' if users else ' --histories FILE'} --out recommendations.csv")
