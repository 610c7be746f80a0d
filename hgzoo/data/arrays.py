"""Arrays from the files that datasets and predictions come in: h5, mat, npz, npy, JSON."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from hgzoo.errors import DataError, UnknownNameError, require

Arrays = dict[str, NDArray[Any]]  # Any: whatever a file holds

UNREADABLE = (
    *(OSError, ValueError, TypeError, LookupError, EOFError, RecursionError),
    *(BadZipFile, zlib.error),
)
"""What the readers raise for damaged files."""


def read_arrays(path: Path) -> Arrays:
    """Read every array of an h5, mat, npz, npy or JSON file by name.

    Raises:
        DataError: Missing, damaged, or of another kind.
        MissingExtraError: The package that reads it is not installed.
    """
    readers = {
        ".h5": _read_h5,
        ".hdf5": _read_h5,
        ".mat": _read_mat,
        ".npz": _read_npz,
        ".npy": _read_npz,
        ".json": _read_json,
    }
    if path.suffix not in readers:
        raise UnknownNameError("kind of file", path.suffix, readers)
    if not path.is_file():
        raise DataError(f"{path} is missing")
    try:
        return readers[path.suffix](path)
    except UNREADABLE as error:
        raise DataError(f"{path} is damaged: {error}") from error


def _read_h5(path: Path) -> Arrays:
    h5py = require("h5py", extra="train")
    arrays = {}

    def keep(name: str, item: Any) -> None:  # Any: h5py has no types
        if isinstance(item, h5py.Dataset):
            arrays[name] = np.asarray(item)

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    return arrays


def _read_mat(path: Path) -> Arrays:
    """Read with scipy, which some damaged files can bring down together with the interpreter."""
    matlab = require("scipy.io.matlab", extra="train")
    try:
        content = matlab.loadmat(path, squeeze_me=True)
    except (matlab.MatReadError, NotImplementedError) as error:
        raise ValueError(str(error)) from error
    return {name: np.asarray(v) for name, v in content.items() if not name.startswith("__")}


def _read_npz(path: Path) -> Arrays:
    with path.open("rb") as file:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return {"preds": content}
        with content:
            return {name: content[name] for name in content.files}


def _read_json(path: Path) -> Arrays:
    content = json.loads(path.read_text(encoding="utf-8"))
    table = content if isinstance(content, dict) else {"preds": content}
    return {name: np.asarray(v, np.float64) for name, v in table.items() if isinstance(v, list)}


def array(arrays: Mapping[str, NDArray[Any]], name: str, path: Path) -> NDArray[np.float64]:
    """Return one array as numbers.

    Raises:
        DataError: There is no such array, or it holds no numbers; names the file.
    """
    if name not in arrays:
        raise DataError(f"{path} has no {name}; it holds {', '.join(arrays) or 'nothing'}")
    try:
        return np.asarray(arrays[name], np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: {name} holds no numbers") from error
