"""The Hugging Face hub, or another one of its kind (`HF_ENDPOINT`), by the huggingface-hub package."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from mltfr.errors import ConfigError, FetchError, MissingExtraError, MltfrError, shown

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]*")


@dataclass(frozen=True)
class HubName:
    """A repository of the hub, at a revision.

    Attributes:
        repository: OWNER/NAME.
        revision: branch, tag or commit; None for the default branch.
    """

    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str, revision: str | None = None) -> Self:
        """Return what `OWNER/NAME` or `OWNER/NAME@REVISION` names.

        Args:
            text: the name.
            revision: the revision, if it is given beside the name.

        Raises:
            ConfigError: it is no such name, or there are two revisions.
        """
        repository, at, own = str(text).partition("@")
        if at and revision is not None:
            raise ConfigError(f"{shown(text)} names a revision already. Leave out the other one, {shown(revision)}.")
        asked = own if at else revision
        if not _NAME.fullmatch(repository) or ".." in repository:
            raise ConfigError(f"{shown(text)} is no name on the hub. Expected OWNER/NAME, or OWNER/NAME@REVISION.")
        if asked is not None and (not _REVISION.fullmatch(asked) or ".." in asked):
            raise ConfigError(f"{shown(asked)} is no revision. Expected a branch, a tag or a commit.")
        return cls(repository, asked)

    def __str__(self) -> str:
        return self.repository + (f"@{self.revision}" if self.revision else "")


def library() -> Any:
    """Return the package huggingface_hub, which is imported on use.

    Raises:
        MissingExtraError: it is not installed.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        import huggingface_hub.constants
        import huggingface_hub.utils
    except ImportError as error:
        raise MissingExtraError("huggingface-hub", "hub") from error
    return huggingface_hub


def offline_by(hub: Any) -> str:
    """Return which variable forbids to ask the hub, `MLTFR_OFFLINE` or `HF_HUB_OFFLINE`; "" if none does."""
    if os.environ.get("MLTFR_OFFLINE") == "1":
        return "MLTFR_OFFLINE"
    return "HF_HUB_OFFLINE" if hub.constants.HF_HUB_OFFLINE else ""


def reason_of(error: Exception | str) -> str:
    """Return what an error, or an answer, says, in one line."""
    nothing = "no reason was given" if isinstance(error, str) else type(error).__name__
    return " ".join(str(error).split())[:300] or nothing


@contextmanager
def hub_errors(hub: Any, name: HubName, doing: str, token: str | None) -> Iterator[None]:
    """Turn what the package raises, which has errors of several libraries, into one line that holds no token.

    The original error is not shown beside it: a server may have put the token into its words.

    Args:
        hub: the package.
        name: the repository.
        doing: what is done with it ("fetched").
        token: the token that was given, if one was.

    Raises:
        ConfigError: the hub has no such names.
        FetchError: whatever else went wrong.
    """
    try:
        yield
    except MltfrError:
        raise
    except hub.utils.RevisionNotFoundError:
        raise FetchError(f"{name}: the repository has no such revision. Name a branch, a tag or a commit.") from None
    except hub.utils.RepositoryNotFoundError:
        raise FetchError(
            f"{name}: no such repository, or none that you may see. Check the name, and log in (hf auth login, or "
            "HF_TOKEN)."
        ) from None
    except hub.utils.HFValidationError as error:
        raise ConfigError(f"{name} is no name on the hub ({reason_of(error)}).") from None
    except Exception as error:
        reason = reason_of(error)
        for secret in filter(None, (token, hub.get_token())):
            reason = reason.replace(secret, "(token)")
        raise FetchError(
            f"{name}: could not be {doing} ({reason}). Check the connection, and that you are logged in where that is "
            "needed (hf auth login, or HF_TOKEN)."
        ) from None
