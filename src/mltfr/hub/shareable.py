"""Recommenders that can be shared on the Hugging Face hub, and taken from there."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from mltfr.export import Exportable
from mltfr.hub.pull import fetch
from mltfr.hub.push import push
from mltfr.hub.remote import HubName
from mltfr.pipeline.artifact import load_artifact


class Shareable(Exportable):
    """A recommender that can be shared."""

    def push_to_hub(
        self,
        repo_id: str,
        *,
        license: str | None = None,
        private: bool = False,
        with_users: bool = False,
        commit_message: str | None = None,
        revision: str | None = None,
        token: str | None = None,
    ) -> str:
        """Upload the recommender as a run with a model card, and return the address of the commit.

        Users stay here unless they are asked for: without them, what was shared recommends for histories that it is
        given. Paths, notes about the log and the condition on its rows stay here as well.

        Args:
            repo_id: OWNER/NAME; the repository is made if it is not there.
            license: licence of the run, as the hub spells it ("apache-2.0"); by default the one that follows from its
                token tables, whose vectors are among the weights.
            private: whether a new repository is one that only its owner sees.
            with_users: whether ids, histories and held-out rows of the users are uploaded too; the repository is, and
                has to be, a private one then.
            commit_message: message of the commit.
            revision: branch to write to, which is made if it is not there; by default the main one.
            token: token of the hub; by default the one of `hf auth login` or HF_TOKEN.

        Raises:
            ConfigError: no licence is given and none follows from the tables, or users would go to a public repository.
            MissingExtraError: the extra `hub` is not installed.
            FetchError: the hub cannot be reached, or refuses it.
            RunError: nothing is fitted yet, or the repository holds something else than a run.
        """
        how = {"licence": license, "private": private, "with_users": with_users, "message": commit_message}
        return push(self.fitted, HubName.parse(repo_id, revision), token=token, **how).url  # type: ignore[arg-type]

    @classmethod
    def from_pretrained(
        cls,
        repo_id: str,
        revision: str | None = None,
        *,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
    ) -> Self:
        """Return a recommender of the hub, from the cache of huggingface-hub where it is there.

        Every file is compared with its checksum first, and nothing is executed or unpickled. Most runs are shared
        without their users: give histories to `recommend` and `explain`.

        Args:
            repo_id: OWNER/NAME, or OWNER/NAME@REVISION.
            revision: branch, tag or commit; the main branch if not given.
            token: as for `push_to_hub`.
            cache_dir: folder of the cache.
            local_files_only: take what is in the cache, and ask nobody; so it is with HF_HUB_OFFLINE=1.
            force_download: fetch the files even if they are in the cache.

        Raises:
            MissingExtraError: the extra `hub` is not installed.
            FetchError: it cannot be fetched, or is not in the cache.
            RunError: it is no run, or a damaged one, or holds something else.
        """
        found = fetch(
            HubName.parse(repo_id, revision), token=token, cache_dir=cache_dir, local_files_only=local_files_only,
            force_download=force_download,
        )  # fmt: skip
        return cls._of(load_artifact(found.folder), None)
