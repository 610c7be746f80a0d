"""Predictions in the files that datasets' own tools read.

Everybody of the annotations has a row, in their order, so that rows and people fit together. People
who were not shown to the network (their picture is missing) stand there as nan, which every tool
counts as a miss; COCO's format, a list by number, leaves them out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgzoo.data import DATASETS, Sample
from hgzoo.data.mpii_mat import CENTER_SHIFT
from hgzoo.errors import DataError, UnknownNameError, require
from hgzoo.files import atomic, write_text

PERSON = 1
"""COCO's number of the category "person"."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """What a network says of everybody whom a dataset is judged by.

    Attributes:
        people: N, in the annotations' order.
        keypoints: (x, y), [N, K, 2], pixels as the dataset counts them; nan for people who were
            not shown to the network.
        scores: [N, K]; nan as well.
    """

    people: Sequence[Sample]
    keypoints: NDArray[np.float64]
    scores: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Format:
    """A kind of file.

    Attributes:
        write: Writes it.
        numbered: Whether it names pictures and people by the dataset's own numbers.
    """

    write: Callable[[Path, Results], None]
    numbered: bool = False


def collect(
    dataset: str,
    people: Sequence[Sample],
    judged: Sequence[Sample],
    keypoints: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> Results:
    """Put predictions into the rows and the pixels of their dataset.

    Args:
        dataset: A key of `hgzoo.data.DATASETS`, or the path of a JSON file in COCO's format.
        people: Everybody, N.
        judged: Those of them who were shown to the network, M.
        keypoints: Predictions for those, [M, K, 2], picture pixels, 0-based.
        scores: [M, K].

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from hgzoo.data import read_coco
        >>> from hgzoo.results import collect
        >>> people, _ = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> results = collect("coco", people, people[:2], np.zeros((2, 17, 2)), np.ones((2, 17)))
        >>> results.keypoints.shape, int(np.isnan(results.scores).all(1).sum())
        ((6, 17, 2), 4)
    """
    rows = {person: row for row, person in enumerate(people)}
    where = [rows[person] for person in judged]
    size = (len(people), keypoints.shape[1])
    all_keypoints, all_scores = np.full((*size, 2), np.nan), np.full(size, np.nan)
    all_keypoints[where] = keypoints + (DATASETS[dataset].first_pixel if dataset in DATASETS else 0)
    all_scores[where] = scores
    return Results(people=people, keypoints=all_keypoints, scores=all_scores)


def coco_results(results: Results) -> list[dict[str, Any]]:
    """Turn predictions into COCO's results format; a person's score is the mean of its keypoints'.

    Returns:
        One table a person: image_id, category_id, keypoints (x, y, score of each of K), score.

    Examples:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from hgzoo.data import read_coco
        >>> from hgzoo.results import coco_results, collect
        >>> people, _ = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> results = collect("coco", people, people[:2], np.zeros((2, 17, 2)), np.ones((2, 17)))
        >>> [(one["image_id"], one["score"]) for one in coco_results(results)]
        [(70, 1.0), (70, 1.0)]
    """
    return [
        {
            "image_id": person.picture_id,
            "category_id": PERSON,
            "keypoints": np.column_stack([xy, score]).ravel().tolist(),
            "score": float(score.mean()),
        }
        for person, xy, score in zip(results.people, results.keypoints, results.scores, strict=True)
        if np.isfinite(score).all()
    ]


def _write_coco(path: Path, results: Results) -> None:
    write_text(path, json.dumps(coco_results(results)))


def _arrays(results: Results) -> dict[str, NDArray[Any]]:
    """Name the arrays as the files of the paper's authors do; numbers only where there are any."""
    numbers = {
        "index": [person.picture_id for person in results.people],
        "person": [person.person_id for person in results.people],
    }
    return {
        "preds": results.keypoints,
        "scores": results.scores,
        **{name: np.array(known) for name, known in numbers.items() if min(known) >= 0},
    }


def _write_h5(path: Path, results: Results) -> None:
    h5py = require("h5py", extra="train")
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        for name, array in _arrays(results).items():
            file[name] = array


def _write_npz(path: Path, results: Results) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **_arrays(results))  # type: ignore[arg-type]  # only arrays


def _write_mpii(path: Path, results: Results) -> None:
    """Write what MPII's evaluation toolkit reads: a struct array `pred` of pictures.

    `pred(i).annorect(ridx).annopoints.point` has 16 of (x, y, id, score), 1-based, id from 0. The
    toolkit's lists hold pictures by their place: `imgidxs` tells which of RELEASE.annolist `pred`
    is, and `rectidxs` which people of each were judged, both counting from 1.
    """
    scipy_io = require("scipy.io", extra="train")
    rows: dict[int, list[int]] = {}
    for row, person in enumerate(results.people):
        rows.setdefault(person.picture_id, []).append(row)
    pictures = dict(sorted(rows.items()))
    pred = _structs(len(pictures), "image", "annorect")
    rectidxs = np.zeros((len(pictures), 1), object)
    for place, members in enumerate(pictures.values()):
        pred[0, place] = (
            {"name": results.people[members[0]].path.name},
            _annorect(results, members),
        )
        rectidxs[place, 0] = np.array([[results.people[row].person_id + 1.0 for row in members]])
    content = {
        "pred": pred,
        "imgidxs": np.array([list(pictures)]) + 1.0,
        "rectidxs": rectidxs,
        "preds": results.keypoints,
    }
    with atomic(path) as temporary, temporary.open("wb") as file:
        scipy_io.savemat(file, content)


def _annorect(results: Results, rows: Sequence[int]) -> NDArray[Any]:
    """Return one picture's struct array; people who are not judged stay empty."""
    last = max(results.people[row].person_id for row in rows)
    annorect = _structs(last + 1, "annopoints", "objpos", "scale")
    for row in rows:
        person = results.people[row]
        points = _structs(results.scores.shape[1], "x", "y", "id", "score")
        for number, ((x, y), score) in enumerate(
            zip(results.keypoints[row], results.scores[row], strict=True)
        ):
            points[0, number] = (x, y, float(number), score)
        x, y = person.center
        position = {"x": x + 1, "y": y + 1 - CENTER_SHIFT * person.scale}
        annorect[0, person.person_id] = ({"point": points}, position, person.scale)
    return annorect


def _structs(number: int, *fields: str) -> NDArray[Any]:
    """Return a row of structs as MATLAB has them, with nothing in any field."""
    structs = np.empty((1, number), [(name, object) for name in fields])
    for place in range(number):
        structs[0, place] = tuple(np.zeros((0, 0)) for _ in fields)
    return structs


ARRAYS = {".h5": Format(write=_write_h5), ".npz": Format(write=_write_npz)}

FORMATS: dict[str, Mapping[str, Format]] = {
    "coco": {".json": Format(write=_write_coco, numbered=True)},
    "mpii": {**ARRAYS, ".mat": Format(write=_write_mpii, numbered=True)},
    "people_by_hand": {**ARRAYS, ".json": Format(write=_write_coco, numbered=True)},
    "people_movenet": {**ARRAYS, ".json": Format(write=_write_coco, numbered=True)},
}
"""Which files the predictions on a dataset can be written to, by their ending; `ARRAYS` where a
dataset has no format of its own."""


def find_format(path: Path, dataset: str, people: Sequence[Sample]) -> Format:
    """Tell how a file is to be written, before anything is computed.

    Args:
        path: The file; its ending decides.
        dataset: A key of `hgzoo.data.DATASETS`, or the path of a JSON file in COCO's format.
        people: Everybody who will be in it.

    Raises:
        UnknownNameError: The dataset has no such format.
        DataError: The format needs numbers that the annotations lack.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.results import find_format
        >>> find_format(Path("found.npz"), "lsp", []).numbered
        False
        >>> find_format(Path("found.txt"), "lsp", [])
        Traceback (most recent call last):
            ...
        hgzoo.errors.UnknownNameError: unknown file for predictions on lsp '.txt'; did ...
    """
    formats = FORMATS.get("coco" if dataset.endswith(".json") else dataset, ARRAYS)
    if path.suffix not in formats:
        raise UnknownNameError(f"file for predictions on {dataset}", path.suffix, formats)
    chosen = formats[path.suffix]
    if chosen.numbered and any(min(p.picture_id, p.person_id) < 0 for p in people):
        others = ", ".join(ending for ending, one in formats.items() if not one.numbered)
        raise DataError(
            f"{path.suffix} names people by the dataset's own numbers, which these annotations do "
            f"not hold; use the dataset's own file{f', or {others}' if others else ''}"
        )
    return chosen
