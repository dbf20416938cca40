"""Sharing a run: what leaves the machine is written into a folder, checked, and uploaded in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mltfr.errors import ConfigError, FetchError
from mltfr.hub.card import card
from mltfr.hub.files import CARD, OF_A_RUN, check_fetched, check_names
from mltfr.hub.licence import check_licence, item_vectors, licence_of, table_sources, unknown_licence
from mltfr.hub.remote import HubName, hub_errors, library, offline_by, reason_of
from mltfr.pipeline.artifact import save_artifact
from mltfr.pipeline.fitted import FittedModel
from mltfr.pipeline.shared import to_share
from mltfr.storage.download import check_online
from mltfr.storage.files import home, write_text
from mltfr.storage.folder import MANIFEST
from mltfr.storage.scratch import scratch_folder


@dataclass(frozen=True)
class Pushed:
    """What was uploaded.

    Attributes:
        url: address of the commit.
        commit: the commit.
        licence: licence of the run.
        files: what was uploaded.
        bytes: its size.
    """

    url: str
    commit: str
    licence: str
    files: tuple[str, ...]
    bytes: int


def push(
    fitted: FittedModel,
    name: HubName,
    *,
    licence: str | None = None,
    private: bool = False,
    with_users: bool = False,
    message: str | None = None,
    token: str | None = None,
) -> Pushed:
    """Upload a run with its card, in one commit.

    Args:
        fitted: the run.
        name: the repository, which is made if it is not there; a revision is a branch that is made too.
        licence: licence of the run; by default the one that follows from its token tables.
        private: whether a new repository is one that only its owner sees.
        with_users: whether ids, histories and held-out rows of its users are uploaded too, to a private repository.
        message: of the commit.
        token: token of the hub; by default the one that huggingface-hub knows.

    Raises:
        ConfigError: no licence is given and none follows, the hub does not know it, or users would go to a public
            repository.
        MissingExtraError: huggingface-hub is not installed.
        FetchError: the hub cannot be reached, or refuses it, or nothing may be sent.
        RunError: the repository holds something else.
    """
    hub = library()
    check_online(str(name), "mltfr push RUN NAME")
    shared = to_share(fitted, with_users)
    tables = table_sources(shared.facts)
    licence = check_licence(licence) if licence is not None else licence_of(tables, item_vectors(shared.facts))
    with scratch_folder(home(), "push") as folder:
        save_artifact(shared, folder)
        text = card(shared, name, licence, tables, with_users)
        write_text(folder / CARD, text)
        check_fetched(str(name), folder, folder)
        files = [file for file in OF_A_RUN if (folder / file).is_file()]
        with hub_errors(hub, name, "uploaded", token):
            if variable := offline_by(hub):
                raise ConfigError(f"{name}: {variable}=1 forbids uploading it. Unset it.")
            api = hub.HfApi(token=token, library_name="mltfr")
            _check_card(hub, api, name, text, licence)
            stale = _make_room(hub, api, name, files, private or with_users, with_users)
            operations: list[Any] = [hub.CommitOperationAdd(file, str(folder / file)) for file in files]
            operations += [hub.CommitOperationDelete(file) for file in stale]
            done = api.create_commit(
                name.repository, operations, revision=name.revision,
                commit_message=message or f"Run of mltfr: {shared.config.title}",
            )  # fmt: skip
        size = sum((folder / file).stat().st_size for file in files)
    return Pushed(str(done.commit_url), str(done.oid), licence, tuple(files), size)


def _check_card(hub: Any, api: Any, name: HubName, text: str, licence: str) -> None:
    """Ask the hub whether it takes the card, before anything is made there.

    `ModelCard.validate` of huggingface-hub before 2.2 would send the card to huggingface.co, whatever hub is set.

    Raises:
        ConfigError: it does not know the licence.
        FetchError: it refuses the card for something else.
    """
    asked = {"repoType": "model", "content": text}
    address = f"{api.endpoint}/api/validate-yaml"
    answer = hub.utils.get_session().post(address, json=asked, headers={"Accept": "text/plain"})
    if answer.status_code == 400:
        if "license" in answer.text:
            raise unknown_licence(licence)
        raise FetchError(f"{name}: the hub refuses the card ({reason_of(answer.text)}). Nothing was uploaded.")
    hub.utils.hf_raise_for_status(answer)


def _make_room(
    hub: Any, api: Any, name: HubName, files: Sequence[str], private: bool, with_users: bool
) -> list[str]:
    """Make the repository and the branch where they are missing; return the files of an earlier run that are left over.

    Raises:
        ConfigError: users would go to a public repository.
        RunError: it holds something else than a run; no branch is made then.
    """
    api.create_repo(name.repository, private=private or None, exist_ok=True)
    info = api.repo_info(name.repository)
    if with_users and not info.private:
        raise ConfigError(
            f"{name}: is public, and users go to private repositories only. Leave out --with-users, or make it private "
            "first; who may see it is changed on the hub."
        )
    if name.revision is not None:
        with suppress(hub.utils.RevisionNotFoundError):  # a new branch has what the main one has
            info = api.repo_info(name.repository, revision=name.revision)
    there = [entry.rfilename for entry in info.siblings or ()]
    ours = check_names(str(name), [*there, MANIFEST])
    if name.revision is not None:
        api.create_branch(name.repository, branch=name.revision, exist_ok=True)
    return [file for file in ours if file in there and file not in files]
