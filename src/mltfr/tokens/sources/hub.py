"""Token tables on the Hugging Face hub: only the tokenizer's files and the shard that holds the table."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from mltfr.errors import FetchError, MissingExtraError, TokenTableError
from mltfr.storage.download import check_online
from mltfr.storage.files import home
from mltfr.storage.scratch import scratch_folder
from mltfr.tokens.sources.base import OpenTable, TokenSource, TokenSourceConfig, register_source
from mltfr.tokens.sources.safetensors import INDEX, SafetensorsConfig, SafetensorsSource, shard
from mltfr.tokens.vocabulary import MAX_BYTES, VOCABULARY_FILES, find_vocabulary

CONNECT_TIMEOUT = 5.0
"""Seconds without an answer after which the hub counts as unreachable."""


class HubConfig(TokenSourceConfig):
    """A model repository."""

    name: Literal["hub"] = "hub"
    repository: str
    """OWNER/NAME."""
    revision: str | None = None
    """Branch, tag or commit; the default branch if not given."""
    file: str | None = None
    """The `.safetensors` file; `model.safetensors` or the shard named by its index if not given."""
    vocabulary: Path | None = None
    """Local vocabulary file; the repository's if not given."""


class HubClient(Protocol):
    """The two calls of the hub's API that are used."""

    def files(self, repository: str, revision: str | None) -> tuple[str, dict[str, int | None]]:
        """Return the commit and all files with their bytes, None where the hub does not say."""

    def download(self, repository: str, file: str, revision: str, folder: Path) -> Path:
        """Put one file into `folder`."""


@register_source("hub", HubConfig)
class HubSource(TokenSource):
    """A hub repository with safetensors weights."""

    def __init__(self, config: HubConfig, client: HubClient | None = None) -> None:
        self.config = config
        self.client = client

    @classmethod
    def from_location(cls, location: str, tensor: str | None, vocabulary: Path | None) -> TokenSource | None:
        """Recognise OWNER/NAME where no such file or folder exists."""
        if Path(location).exists() or not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", location):
            return None
        if location.endswith((".safetensors", ".gguf", ".npy", ".json")):  # a path that does not exist
            return None
        return cls(HubConfig(repository=location, tensor=tensor, vocabulary=vocabulary))

    @contextmanager
    def open(self) -> Iterator[OpenTable]:
        """Download the shard and the vocabulary and open them; the files are deleted when the block ends."""
        config = self.config
        check_online(config.repository)
        client = self.client or _HuggingFace()
        with scratch_folder(home(), "hub") as folder:
            commit, files = client.files(config.repository, config.revision)
            fetch = partial(self._fetch, client, commit, files, folder)
            weights = self._weights(fetch, files)
            fetch(weights)
            for name in VOCABULARY_FILES if config.vocabulary is None else ():
                if name in files:
                    fetch(name, MAX_BYTES)
                    break
            vocabulary = config.vocabulary or find_vocabulary(folder)
            if vocabulary is None:
                raise TokenTableError(
                    f"{config.repository}: has none of {', '.join(VOCABULARY_FILES)}. Pass a file with --vocabulary."
                )
            local = SafetensorsConfig(path=folder / weights, tensor=config.tensor, vocabulary=vocabulary)
            with SafetensorsSource(local).open() as table:
                table.provenance.update(
                    source="hub", repository=config.repository, revision=commit, file=weights
                )
                yield table

    def _fetch(
        self, client: HubClient, commit: str, files: Mapping[str, int | None], folder: Path, name: str,
        limit: int | None = None,
    ) -> Path:  # fmt: skip
        """Download a file that is no larger than `limit`, or than what is free on the disk."""
        size, free = files.get(name), shutil.disk_usage(folder).free
        problem = "the repository has no such file" if name not in files else "the hub does not say how large it is"
        if size is None:
            raise TokenTableError(f"{self.config.repository}/{name}: {problem}, so it is not fetched.")
        if size > (free if limit is None else min(limit, free)):
            raise TokenTableError(
                f"{self.config.repository}/{name}: has {size:,} bytes, and "
                + (f"{free:,} are free for it in {folder.parent}. Free some space." if size > free else
                   f"{limit:,} are allowed.")
            )  # fmt: skip
        return client.download(self.config.repository, name, commit, folder)

    def _weights(self, fetch: Callable[[str, int], Path], files: Mapping[str, int | None]) -> str:
        """Return the name of the file that holds the table."""
        if self.config.file is not None:
            return self.config.file
        if INDEX in files:
            return shard(fetch(INDEX, MAX_BYTES), self.config.tensor).name
        weights = [file for file in files if file.endswith(".safetensors") and "/" not in file]
        if "model.safetensors" in weights or len(weights) == 1:
            return "model.safetensors" if "model.safetensors" in weights else weights[0]
        if weights:
            raise TokenTableError(
                f"{self.config.repository}: several weight files and no {INDEX}: {', '.join(weights[:4])}. "
                "Download the right one and import it as a file."
            )
        raise TokenTableError(
            f"{self.config.repository}: has no safetensors weights; pickled ones (.bin) are never opened. "
            "Use a repository or revision with model.safetensors, or a GGUF file."
        )


class _HuggingFace:
    """The real hub, by the huggingface-hub package (the user's own token and endpoint hold)."""

    def __init__(self) -> None:
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        try:
            import huggingface_hub
        except ImportError as error:
            raise MissingExtraError("huggingface-hub", "hub") from error
        self.hub = huggingface_hub

    def files(self, repository: str, revision: str | None) -> tuple[str, dict[str, int | None]]:
        """Return the commit and all files with their bytes, None where the hub does not say."""
        try:
            api = self.hub.HfApi()
            info = api.model_info(repository, revision=revision, timeout=CONNECT_TIMEOUT, files_metadata=True)
        except Exception as error:  # the package raises errors of several HTTP libraries
            raise _unreachable(repository, error) from error
        return str(info.sha), {entry.rfilename: entry.size for entry in info.siblings or []}

    def download(self, repository: str, file: str, revision: str, folder: Path) -> Path:
        """Put one file into `folder`."""
        try:
            path = Path(self.hub.hf_hub_download(repository, file, revision=revision, local_dir=folder))
        except Exception as error:  # the package raises errors of several HTTP libraries
            raise _unreachable(f"{repository}/{file}", error) from error
        if path != folder / file:
            shutil.move(path, folder / file)
        return folder / file


def _unreachable(what: str, error: Exception) -> FetchError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return FetchError(
        f"{what}: cannot be fetched from the hub ({reason}). Check the name, the connection and, for gated "
        "models, that you accepted the terms and set HF_TOKEN."
    )
