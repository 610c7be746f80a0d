"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hgzoo.errors import OutputError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let whatever hinders the writing of a file be an OutputError that names the file."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, which takes its place only if all went well.

    Args:
        path: The file to write; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def clear_leftovers(path: Path) -> None:
    """Remove what `atomic` left beside `path` in a process that was killed."""
    for temporary in path.parent.glob(f".{path.name}.????????"):
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file and its last newline, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def first_file(places: Sequence[Path]) -> Path | None:
    """Return the first of some paths that is a file; None where none is."""
    return next((place for place in places if place.is_file()), None)


def is_folder(path: str | Path) -> bool:
    """Tell a folder; what cannot even be a path, such as a far too long name, is none."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
