"""The work of `hgzoo predict`: pictures and videos, resumed, and shared by several processes.

The list is cut into units: a video, or pictures that stand together, as many as pass the network at
a time. A unit is done by one process, from its beginning, so that neither a stop nor the number of
processes changes which pictures share a batch, and with it the last bits of a result.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from hgzoo import pictures, processes, visualize
from hgzoo.errors import InputError
from hgzoo.files import writing
from hgzoo.geometry import Box
from hgzoo.predict import Predictor
from hgzoo.progress import bar
from hgzoo.records import (
    Index,
    Record,
    Writer,
    arrange,
    of_picture,
    of_pose,
    rounded,
    to_pose,
)
from hgzoo.skeletons import Pose, Skeleton
from hgzoo.smoothing import Smoother
from hgzoo.streams import BATCH, Pipeline, Shot, predicted
from hgzoo.videos import Clip, Frame, Recorder, frames_in

CAMERA = "camera:"
POLL = 0.1
"""Seconds between two looks whether the other processes are done."""


class Item(NamedTuple):
    """A picture, a video or a camera.

    Attributes:
        path: What it is, and how records name it: a path, or "camera:0".
        drawn: Where its drawing goes; None draws nothing.
        video: Whether it has frames.
    """

    path: str
    drawn: Path | None
    video: bool


Unit = Sequence[Item]
"""A video alone, or pictures that pass the network together."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done with every picture.

    Attributes:
        predictor: The network.
        model: How records name it.
        settings: What else changes a record; a run goes on only with the same.
        skeleton: Whose keypoints are drawn and written; None takes the network's own.
        boxes: (x0, y0, x1, y1) of the people in every picture; None takes whole pictures.
        threshold: Smallest score to draw.
        smooth: Whether to calm the keypoints of videos.
        heatmaps: Whether to draw the heatmaps of pictures.
        frames: How many frames of each video; None takes all.
        show: Whether to show a progress bar.
    """

    predictor: Predictor
    model: str
    settings: Record
    skeleton: Skeleton | None
    boxes: Sequence[Box] | None
    threshold: float
    smooth: bool
    heatmaps: bool
    frames: int | None
    show: bool

    @property
    def head(self) -> dict[str, Any]:
        """What every record says of the run."""
        return {"model": self.model, "settings": self.settings}


def run(job: Job, items: Sequence[Item], path: Path, *, resume: bool) -> int | None:
    """Do a list, or this process's share of it.

    Args:
        job: What to do.
        items: The whole list.
        path: Where the records go, in the list's order.
        resume: Leave out what is there already.

    Returns:
        How many of the list could not be done, in the first process; None in the others.

    Raises:
        InputError: The records that are there are another run's.
        OutputError: A file cannot be written.
    """
    units = list(_units(items))
    if processes.is_first():
        _prepare(job, units, path, resume=resume)
    processes.wait()
    index = Index([path])
    mine = units[processes.index() :: processes.count()]
    alone = processes.count() == 1
    own = path if alone else _part(path, processes.index())
    with Writer(own, more=alone) as writer:
        failed = _work(job, mine, index, writer)
    if not alone:
        return _gather(path, items, failed)
    if resume:
        _order(path, items)
    return failed


def _units(items: Iterable[Item]) -> Iterator[Unit]:
    for video, group in groupby(items, key=lambda item: item.video):
        while unit := list(islice(group, 1 if video else BATCH)):
            yield unit


def _prepare(job: Job, units: Sequence[Unit], path: Path, *, resume: bool) -> None:
    """Bring the records to where the work goes on: to nothing, or to all finished units."""
    parts = sorted(path.parent.glob(f"{path.name}.part*"))
    if resume:
        files = [path, *(part for part in parts if part.suffix not in (".done", ".new"))]
        index = Index(files, expected=job.head)
        if path.exists() or parts:
            arrange(path, index, _finished(job, units, index))
    else:
        with writing(path):
            path.unlink(missing_ok=True)
    for part in parts:
        part.unlink()


def _finished(job: Job, units: Sequence[Unit], index: Index) -> Iterator[tuple[str, int]]:
    """Say how many records of each picture stay; those of pictures not in the list all do."""
    named = {item.path for unit in units for item in unit}
    yield from ((picture, index.count(picture)) for picture in index if picture not in named)
    for unit in units:
        if unit[0].video:
            count = index.count(unit[0].path)
            whole = count == _length(job, unit[0])
            yield unit[0].path, count if whole else count - count % BATCH
        elif all(_is_done(item, index) for item in unit):
            yield from ((item.path, 1) for item in unit)


def _is_done(item: Item, index: Index) -> bool:
    """Tell whether a picture has its record, and the drawing that the record names."""
    record = next(index.records(item.path), None)
    if record is None or record["drawn"] != _text(item.drawn):
        return False
    return item.drawn is None or item.drawn.is_file()


def _length(job: Job, item: Item) -> int | None:
    """Return how many frames a video will give, if that is known."""
    try:
        with Clip.of_file(Path(item.path)) as clip:
            return _asked(job, clip)
    except InputError:  # told when its turn comes
        return None


def _asked(job: Job, clip: Clip) -> int | None:
    known = [count for count in (clip.count, job.frames) if count is not None]
    return min(known, default=None)


def _work(job: Job, units: Sequence[Unit], index: Index, writer: Writer) -> int:
    """Do some units one after the other, and return how many items could not be done."""
    todo = [u for u in units if u[0].video or not all(index.count(i.path) for i in u)]
    total = sum(len(unit) for unit in todo if not unit[0].video)
    show = job.show and processes.is_first()
    failed = 0
    with bar((), "predicting", show=show, total=total or None, unit=" pictures") as shown:
        for video, group in groupby(todo, key=lambda unit: unit[0].video):
            if not video:
                failed += _pictures(job, group, writer, shown)
                continue
            for (item,) in group:
                failed += _video(job, item, index, writer, shown)
    return failed


def _pictures(job: Job, units: Iterable[Unit], writer: Writer, shown: Any) -> int:
    """Do pictures; those that are broken are reported, and the rest goes on."""
    failed = 0
    with Pipeline() as pipeline:
        shots = pipeline.stage(chain.from_iterable(_loaded(job, unit) for unit in units))
        found = pipeline.stage(predicted(job.predictor, shots, heatmaps=job.heatmaps))
        for done in pipeline.stage(_written(job, found, writer)):
            failed += not done
            shown.update()
    return failed


def _loaded(job: Job, unit: Unit) -> Iterator[Shot[Item]]:
    for number, item in enumerate(unit, 1):
        pixels = None
        try:
            pixels = pictures.load(item.path)
        except InputError as error:
            print(f"hgzoo: {error}", file=sys.stderr)
        boxes = None if pixels is None else job.boxes
        yield Shot(item, pixels, boxes, closes=number == len(unit))


def _written(
    job: Job, found: Iterable[tuple[Shot[Item], list[Pose]]], writer: Writer
) -> Iterator[bool]:
    """Draw each picture, then add its record: a record says that the drawing is there."""
    for shot, poses in found:
        if shot.pixels is not None:
            rough = _asked_for(job, poses)
            _draw(job, shot.key, shot.pixels, rough)
            _draw_heatmaps(job, shot.key, shot.pixels, poses)
            height, width = shot.pixels.shape[:2]
            writer.write(
                of_picture(
                    shot.key.path,
                    (height, width),
                    rough,
                    head=job.head,
                    drawn=_text(shot.key.drawn),
                    threshold=job.threshold,
                )
            )
        yield shot.pixels is not None


def _asked_for(job: Job, poses: Sequence[Pose]) -> list[Pose]:
    """Return poses as they are drawn and written."""
    if job.skeleton is not None:
        poses = [pose.as_skeleton(job.skeleton) for pose in poses]
    return [rounded(pose) for pose in poses]


def _draw(job: Job, item: Item, pixels: pictures.RGB, poses: Sequence[Pose]) -> None:
    if item.drawn is None:
        return
    pictures.save(item.drawn, visualize.draw_skeleton(pixels, poses, threshold=job.threshold))


def _draw_heatmaps(job: Job, item: Item, pixels: pictures.RGB, poses: Sequence[Pose]) -> None:
    """Draw what the network gave for each person, if it is asked for."""
    if item.drawn is None or not job.heatmaps:
        return
    name = item.drawn.name.removesuffix(".pose.png")
    for number, pose in enumerate(poses):
        panel = visualize.draw_stacks(job.predictor.view(pixels, pose.box), pose)
        pictures.save(item.drawn.with_name(f"{name}.stacks{number}.png"), panel)


def _video(job: Job, item: Item, index: Index, writer: Writer, shown: Any) -> int:
    """Do a video or a camera; return 1 if it is broken, which is reported, else 0."""
    try:
        with _open(item) as clip:
            length, known = _asked(job, clip), index.count(item.path)
            whole = known == length and (item.drawn is None or frames_in(item.drawn) == known)
            if not whole:
                shown.total = None if length is None else (shown.total or 0) + length
                _frames(job, item, clip, index, writer, shown)
    except InputError as error:
        print(f"hgzoo: {error}", file=sys.stderr)
        return 1
    return 0


def _open(item: Item) -> Clip:
    if item.path.startswith(CAMERA):
        return Clip.of_camera(int(item.path.removeprefix(CAMERA)))
    return Clip.of_file(Path(item.path))


def _frames(job: Job, item: Item, clip: Clip, index: Index, writer: Writer, shown: Any) -> None:
    """Do the frames of a video, or of a camera until Ctrl-C.

    Frames whose records are there are drawn anew from them, and do not pass the network: so the
    drawing has no seam, and no frame is compressed twice.
    """
    with ExitStack() as stack:
        recorder = None
        if item.drawn is not None:
            recorder = stack.enter_context(Recorder(item.drawn, fps=clip.fps))
        if clip.live:
            stack.enter_context(suppress(KeyboardInterrupt))  # that is how a camera ends
        pipeline = stack.enter_context(Pipeline())
        shots = pipeline.stage(_filmed(job, clip, index.records(item.path)))
        batch = 1 if clip.live else BATCH
        found = pipeline.stage(predicted(job.predictor, shots, batch=batch))
        for _ in pipeline.stage(_recorded(job, item, found, recorder, writer)):
            shown.update()


def _filmed(
    job: Job, clip: Clip, records: Iterator[Record]
) -> Iterator[Shot[tuple[Frame, Record | None]]]:
    for frame in islice(clip.frames(), job.frames):
        record = next(records, None)
        pixels = frame.pixels if record is None else None
        yield Shot((frame, record), pixels, None if pixels is None else job.boxes)


def _recorded(
    job: Job,
    item: Item,
    found: Iterable[tuple[Shot[tuple[Frame, Record | None]], list[Pose]]],
    recorder: Recorder | None,
    writer: Writer,
) -> Iterator[None]:
    """Smooth and draw each frame, and add its record if it is new."""
    smoother = Smoother() if job.smooth else None
    for shot, poses in found:
        frame, record = shot.key
        rough = _asked_for(job, poses)
        if record is not None:
            skeleton = job.skeleton or job.predictor.skeleton
            rough = [to_pose(entry, skeleton) for entry in record["poses"]]
        calm = rough
        if smoother is not None:
            calm = [rounded(pose) for pose in smoother(rough, frame.seconds)]
        if recorder is not None:
            drawn = visualize.draw_skeleton(frame.pixels, calm, threshold=job.threshold)
            recorder.write(drawn)
        if record is None:
            before = rough if job.smooth else [None] * len(rough)
            height, width = frame.pixels.shape[:2]
            writer.write(
                {
                    "picture": item.path,
                    "frame": frame.index,
                    "seconds": round(frame.seconds, 3),
                    "width": width,
                    "height": height,
                    **job.head,
                    "drawn": _text(item.drawn),
                    "poses": [
                        of_pose(pose, threshold=job.threshold, found=network)
                        for pose, network in zip(calm, before, strict=True)
                    ],
                }
            )
        yield


def _gather(path: Path, items: Sequence[Item], failed: int) -> int | None:
    """Wait for the other processes, and put all records into one file; the first one does.

    The others leave a file that says how much failed, and go: they may be done long before.
    """
    done = [_part(path, index, ".done") for index in range(processes.count())]
    with writing(path):
        done[processes.index()].with_suffix(".new").write_text(str(failed), encoding="ascii")
        done[processes.index()].with_suffix(".new").replace(done[processes.index()])
    if not processes.is_first():
        return None
    while not all(file.is_file() for file in done):
        time.sleep(POLL)
    total = sum(int(file.read_text(encoding="ascii")) for file in done)
    parts = [_part(path, index) for index in range(processes.count())]
    _order(path, items, parts)
    for file in (*parts, *done):
        file.unlink()
    return total


def _order(path: Path, items: Sequence[Item], parts: Sequence[Path] = ()) -> None:
    """Put records in the list's order, behind those of pictures that are not in it."""
    index = Index([path, *parts])
    named = dict.fromkeys(item.path for item in items)
    order = [*(picture for picture in index if picture not in named), *named]
    arrange(path, index, ((picture, index.count(picture)) for picture in order))


def _part(path: Path, index: int, suffix: str = "") -> Path:
    return path.with_name(f"{path.name}.part{index}{suffix}")


def _text(drawn: Path | None) -> str | None:
    return None if drawn is None else str(drawn)
