"""Keypoints as JSON Lines: a record for every picture and every frame.

    {"picture": "clip.mp4", "frame": 12, "seconds": 0.48, "width": 640, "height": 272,
     "model": "hg2_tiny", "settings": {...}, "drawn": "out.mp4", "poses": [
       {"box": [x0, y0, x1, y1], "keypoints": [
         {"name": "neck", "x": 1.5, "y": 2.25, "score": 0.9, "drawn": true}, ...]}, ...]}

A picture that is no frame has no "frame" and no "seconds". Where people were smoothed, x and y are
the smoothed place and "found" is the [x, y] that the network gave. A keypoint that is missing
(`hgzoo.Pose.as_skeleton`) has null for x and y, score 0, and is not drawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from hgzoo.errors import InputError
from hgzoo.files import atomic, writing
from hgzoo.skeletons import Pose, Skeleton

Record = Mapping[str, Any]  # Any: JSON


def rounded(pose: Pose) -> Pose:
    """Return a pose as a record keeps it: places to 1/100 pixel, scores to 1/10,000.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.records import rounded
        >>> (pose, *_) = hgzoo.Predictor("hg1_nano")("photo.jpg")
        >>> kept = rounded(pose)
        >>> bool(abs(kept.keypoints - pose.keypoints).max() <= 0.005 + 1e-9)
        True
    """
    return replace(pose, keypoints=pose.keypoints.round(2), scores=pose.scores.round(4))


def of_pose(pose: Pose, *, threshold: float, found: Pose | None = None) -> dict[str, Any]:
    """Return a person's part of a record.

    Args:
        pose: Rounded.
        threshold: Smallest score that is drawn.
        found: The rounded pose before it was smoothed, if it was.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.records import of_pose, rounded
        >>> (pose, *_) = hgzoo.Predictor("hg1_nano")("photo.jpg")
        >>> entry = of_pose(rounded(pose), threshold=0.2)
        >>> list(entry), list(entry["keypoints"][0])
        (['box', 'keypoints'], ['name', 'x', 'y', 'score', 'drawn'])
    """
    keypoints: list[dict[str, Any]] = [
        {
            "name": name,
            "x": x,
            "y": y,
            "score": score,
            "drawn": x is not None and score >= threshold,
        }
        for name, (x, y), score in zip(pose.names, _places(pose), pose.scores.tolist(), strict=True)
    ]
    if found is not None:
        for keypoint, xy in zip(keypoints, _places(found), strict=True):
            keypoint["found"] = xy
    return {"box": list(pose.box), "keypoints": keypoints}


def _places(pose: Pose) -> list[list[float | None]]:
    """Return each keypoint's [x, y]; None stands for what JSON has no number for."""
    return [xy if np.isfinite(xy).all() else [None, None] for xy in pose.keypoints.tolist()]


def of_picture(
    picture: str,
    size: tuple[int, int],
    poses: Sequence[Pose],
    *,
    head: Record,
    drawn: str | None,
    threshold: float,
) -> dict[str, Any]:
    """Return a picture's record.

    Args:
        picture: What it is called.
        size: Its (height, width).
        poses: The people in it, rounded.
        head: What the record says of the run: its model and settings.
        drawn: Where its drawing is; None where there is none.
        threshold: Smallest score that is drawn.

    Examples:
        >>> from hgzoo.records import of_picture
        >>> of_picture("a.jpg", (20, 30), [], head={"model": "hg2"}, drawn=None, threshold=0.2)
        {'picture': 'a.jpg', 'width': 30, 'height': 20, 'model': 'hg2', 'drawn': None, 'poses': []}
    """
    height, width = size
    return {
        "picture": picture,
        "width": width,
        "height": height,
        **head,
        "drawn": drawn,
        "poses": [of_pose(pose, threshold=threshold) for pose in poses],
    }


def to_pose(entry: Record, skeleton: Skeleton) -> Pose:
    """Return what the network found of a person in a record.

    Examples:
        >>> from hgzoo import SKELETONS
        >>> from hgzoo.records import to_pose
        >>> point = {"name": "neck", "x": 1.5, "y": 2.5, "score": 0.75}
        >>> pose = to_pose({"box": [0, 0, 9, 9], "keypoints": [point]}, SKELETONS["lsp"])
        >>> pose.names, pose.keypoints.tolist(), pose.scores.tolist()
        (('neck',), [[1.5, 2.5]], [0.75])
    """
    keypoints = entry["keypoints"]
    x0, y0, x1, y1 = entry["box"]
    places = [point.get("found", [point["x"], point["y"]]) for point in keypoints]
    return Pose(
        keypoints=np.array(places, np.float64),  # null becomes NaN
        scores=np.array([point["score"] for point in keypoints]),
        names=tuple(point["name"] for point in keypoints),
        box=(x0, y0, x1, y1),
        skeleton=skeleton,
    )


class Writer:
    """Adds records to a file; whatever interrupts it, the lines before are whole.

    Args:
        path: Its folder is made.
        more: Go on behind what is there, instead of from nothing.

    Raises:
        OutputError: The file cannot be written.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.records import Writer
        >>> with Writer(Path("poses.jsonl")) as records:
        ...     records.write({"picture": "photo.jpg", "poses": []})
        ...
        >>> Path("poses.jsonl").read_text().splitlines()
        ['{"picture": "photo.jpg", "poses": []}']
    """

    def __init__(self, path: Path, *, more: bool = False) -> None:
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab" if more else "wb", buffering=0)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, record: Record) -> None:
        """Add a record; it is in the file when this returns.

        Raises:
            OutputError: The file cannot be written.
        """
        line = (json.dumps(record) + "\n").encode()
        with writing(self.path):
            while line:
                line = line[self._file.write(line) :]


@dataclass
class _Span:
    """Lines of one picture that stand together: their file and first byte, and how many."""

    file: int
    start: int
    lines: int


class Index:
    """Where each picture's records are, in one file or several: a few numbers for each picture.

    A torn last line, and lines that stand there twice, count as not there.

    Args:
        paths: The files, in the order they were written; those that are missing are passed over.
        expected: What every record has to say of itself, such as its model.

    Raises:
        InputError: A line is damaged, or its record is another run's.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.records import Index, Writer
        >>> path = Path("poses.jsonl")
        >>> with Writer(path) as records:
        ...     records.write({"picture": "a.jpg", "poses": []})
        ...     records.write({"picture": "b.jpg", "poses": []})
        ...
        >>> index = Index([path])
        >>> list(index), index.count("a.jpg"), index.count("c.jpg")
        (['a.jpg', 'b.jpg'], 1, 0)
    """

    def __init__(self, paths: Sequence[Path], *, expected: Record | None = None) -> None:
        self._paths = [path for path in paths if path.is_file()]
        self._spans: dict[str, list[_Span]] = {}
        for number, path in enumerate(self._paths):
            self._read(number, path, expected or {})

    def __iter__(self) -> Iterator[str]:
        """Give every picture's name, in the order of the first lines."""
        return iter(self._spans)

    def count(self, picture: str) -> int:
        """Return how many records of a picture there are: frames, for a video."""
        return sum(span.lines for span in self._spans.get(picture, ()))

    def lines(self, picture: str) -> Iterator[bytes]:
        """Read a picture's lines, in the order of its frames."""
        for span in self._spans.get(picture, ()):
            with self._paths[span.file].open("rb") as file:
                file.seek(span.start)
                for _ in range(span.lines):
                    yield file.readline()

    def records(self, picture: str) -> Iterator[dict[str, Any]]:
        """Read a picture's records, in the order of its frames."""
        return (json.loads(line) for line in self.lines(picture))

    def _read(self, number: int, path: Path, expected: Record) -> None:
        with path.open("rb") as file:
            start, last = 0, ""
            for count, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    record = _parsed(line, f"line {count} of {path}")
                    _check(record, expected, path)
                    last = self._add(record, last, _Span(number, start, 1))
                start += len(line)

    def _add(self, record: Record, last: str, span: _Span) -> str:
        """Note a line, and return its picture, or "" if the line is there already."""
        picture = str(record["picture"])
        if int(record.get("frame", 0)) != self.count(picture):
            return ""
        spans = self._spans.setdefault(picture, [])
        if picture == last:
            spans[-1].lines += 1
        else:
            spans.append(span)
        return picture


def arrange(path: Path, index: Index, keep: Iterable[tuple[str, int]]) -> None:
    """Write records anew, in another order, whole or not at all.

    Args:
        path: The file; may be one of the index's.
        index: Where the records are.
        keep: Pictures, in the order they shall have, and how many of each one's records to keep.

    Raises:
        OutputError: The file cannot be written.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.records import Index, Writer, arrange
        >>> path = Path("poses.jsonl")
        >>> with Writer(path) as records:
        ...     records.write({"picture": "b.jpg", "poses": []})
        ...     records.write({"picture": "a.jpg", "poses": []})
        ...
        >>> arrange(path, Index([path]), [("a.jpg", 1), ("b.jpg", 1)])
        >>> list(Index([path]))
        ['a.jpg', 'b.jpg']
    """
    with writing(path), atomic(path) as temporary, temporary.open("wb") as file:
        for picture, count in keep:
            for _, line in zip(range(count), index.lines(picture), strict=False):
                file.write(line)


def _parsed(line: bytes, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
        record["picture"], int(record.get("frame", 0)), len(record["poses"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{where} is no record of hgzoo predict; remove the line, or name another file"
        ) from error
    assert isinstance(record, dict)
    return record


def _check(record: Record, expected: Record, path: Path) -> None:
    for key, value in expected.items():
        if record.get(key) != value:
            raise InputError(
                f"{path} was written with {key} {json.dumps(record.get(key))}, not "
                f"{json.dumps(value)}; use the same options as then, another --json, or no --resume"
            )
