"""Files of other people's making: whatever reading them raises becomes one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from mltfr.errors import DataError, MltfrError


@contextmanager
def foreign_file(path: Path | str, error: type[MltfrError], problem: str, remedy: str) -> Iterator[None]:
    """Turn whatever reading a foreign file raises into one line.

    Readers of binary formats raise much more than they document (`struct.error`, `RecursionError`, `TokenError`,
    `OverflowError`, `NotImplementedError`, ...), so all of it is caught; errors that are one line already pass.

    Args:
        path: the file, or its name in messages.
        error: what is raised.
        problem: what is wrong with the file, if its content cannot be read ("damaged: no zip archive").
        remedy: what to do.

    Raises:
        MltfrError: of the type `error`.
    """
    try:
        yield
    except MltfrError:
        raise
    except OSError as caught:
        raise error(f"{path}: cannot be read ({caught.strerror or one_line(caught)}). {remedy}") from caught
    except MemoryError as caught:  # a size that lies looks alike
        raise error(f"{path}: {problem}, or the memory does not suffice to read it. {remedy}") from caught
    except BaseException as caught:
        if not isinstance(caught, Exception) and type(caught).__name__ != "PanicException":  # a library in Rust gave up
            raise
        raise error(f"{path}: {problem} ({one_line(caught)}). {remedy}") from caught


def foreign_parquet(
    path: Path, error: type[MltfrError] = DataError, remedy: str = "Copy or write it again."
) -> AbstractContextManager[None]:
    """Return the context that turns whatever reading a foreign Parquet file raises into one line."""
    return foreign_file(path, error, "not a readable Parquet file", remedy)


def one_line(error: BaseException) -> str:
    """Return an error's message without line breaks and unprintable characters, 200 characters at most."""
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return "".join(character if character.isprintable() else "?" for character in text)
