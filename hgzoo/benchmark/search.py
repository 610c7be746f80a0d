"""What it costs, in accuracy and in time, when nobody gives a person's box."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgzoo.benchmark.counting import multiplications
from hgzoo.config import InputSpec, ModelConfig
from hgzoo.data import Sample, usable
from hgzoo.detectors import Finder
from hgzoo.errors import ConfigError, DataError
from hgzoo.geometry import Box, Crop, overlap, tight_box
from hgzoo.inference import NetworkReader
from hgzoo.lean import LeanHourglass
from hgzoo.metrics import grouped, pck
from hgzoo.model import StackedHourglass
from hgzoo.pictures import RGB, load
from hgzoo.predict import Predictor
from hgzoo.skeletons import SKELETONS, Pose, matching

THRESHOLD = 0.2
"""Of the torso's length: the PCK that is told."""

SCENE = 640
"""Longer side of a scene, pixels; the other is three quarters of it."""

SHARES = (0.15, 0.6)
"""How much of a scene's longer side a person's longer side takes: anything between."""

BLUR = 16.0
"""Sigma of the blur that leaves no person in a scene's background, pixels of the scene."""

FOUND = 0.5
"""A person is found when a box overlaps the true one by more (IoU)."""

TRUE, WHOLE = "true box", "whole picture"

LOOKING = ("finder", "search")
"""Detectors that look for people; the finder comes first, as it does for users."""

NEAREST = ", nearest pose"
"""Added to a detector's name where the pose nearest to the labeled person is judged."""

Scene = tuple[RGB, Sample]


@dataclass(frozen=True, kw_only=True)
class WayFound:
    """How well people's keypoints are found, in one set of pictures and one way.

    Attributes:
        pictures: The set.
        way: `TRUE` is given the box of the labeled keypoints, `WHOLE` the whole picture; a name of
            `LOOKING` judges the first pose that this detector gives, or, with `NEAREST` added, of
            all its poses the one whose box overlaps the true box most: only one person a picture
            is labeled.
        people: Who count: all with both ends of the torso labeled.
        value: PCK@0.2, mean of the skeleton's groups, percent.
        found: Part of the people whose box is found, percent.
        poses: Poses that come back for a picture.
        forwards: Crops and mirrored crops that pass the network for a picture. Those that pass
            the finder's network count as the part of one that its multiplications are.
        seconds: For a picture, the median.
    """

    pictures: str
    way: str
    people: int
    value: float
    found: float
    poses: float
    forwards: float
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Answer:
    """What one way gave for one picture."""

    keypoints: NDArray[np.float64]  # [K, 2], picture pixels
    overlap: float
    poses: int
    forwards: float
    seconds: float


def compare_boxes(
    model: StackedHourglass, scenes: Iterable[Scene], *, pictures: str
) -> list[WayFound]:
    """Predict each picture in every way, one way after the other, and judge the poses.

    Args:
        model: The network.
        scenes: Pictures, each with the one person in it who is labeled, torso and all.
        pictures: What to call them.

    Returns:
        A row each for `TRUE`, `WHOLE`, and every one of `LOOKING` without and with `NEAREST`.
    """
    columns = lsp_columns(model)
    answers: dict[str, list[_Answer]] = {}
    people: list[Sample] = []
    ways = {way: Predictor(model, detector=way) for way in ("whole", *LOOKING)}
    for predictor in ways.values():
        predictor(np.zeros((1, 1, 3), np.uint8))  # the first time is slower
    with _counted(_costs(model, ways["finder"])) as passed:
        for picture, person in scenes:
            people.append(person)
            truth = true_box(person)
            for way, predictor, boxes in (
                (TRUE, ways["whole"], [truth]),
                (WHOLE, ways["whole"], None),
                *((way, ways[way], None) for way in LOOKING),
            ):
                passed.clear()
                begin = time.perf_counter()
                poses = predictor(picture, boxes=boxes)
                cost = sum(passed), time.perf_counter() - begin
                first = _answer(poses[:1], columns, truth, len(poses), *cost)
                answers.setdefault(way, []).append(first)
                if way in LOOKING:
                    nearest = _answer(poses, columns, truth, len(poses), *cost)
                    answers.setdefault(way + NEAREST, []).append(nearest)
    return [_row(way, given, people, pictures) for way, given in answers.items()]


def lsp_columns(model: StackedHourglass) -> list[int]:
    """Return for each of LSP's keypoints its index among the network's.

    Raises:
        ConfigError: The network lacks one.
    """
    columns = matching(model.output.skeleton_for(model.config.num_keypoints), SKELETONS["lsp"])
    if min(columns) < 0:
        raise ConfigError("the network does not find LSP's keypoints; hg2_tiny does")
    return columns


def _costs(model: StackedHourglass, predictor: Predictor) -> dict[nn.Module, float]:
    """Return what a crop costs that passes the network, and one that passes its finder's."""
    finder = cast(Finder, predictor.detector)
    other = cast(LeanHourglass, cast(NetworkReader, finder.reader).model)
    return {
        model: 1.0,
        other: _multiplications(other.config, other.input)
        / _multiplications(model.config, model.input),
    }


def _multiplications(config: ModelConfig, spec: InputSpec) -> int:
    with torch.device("meta"):
        network = StackedHourglass(config)
        return multiplications(network, torch.empty(1, config.in_channels, *spec.size))


def true_box(person: Sample) -> Box:
    """Return the box of a person's labeled keypoints; it may reach over the picture's edges."""
    seen = person.keypoints[person.visible]
    return tight_box(seen)


@contextmanager
def _counted(costs: Mapping[nn.Module, float]) -> Iterator[list[float]]:
    """Note what the crops cost that pass some networks, batch by batch."""
    passed: list[float] = []

    def note(network: nn.Module, inputs: tuple[Tensor, ...], _: object) -> None:
        passed.append(len(inputs[0]) * costs[network])

    hooks = [network.register_forward_hook(note) for network in costs]
    try:
        yield passed
    finally:
        for hook in hooks:
            hook.remove()


def _answer(
    poses: Sequence[Pose],
    columns: Sequence[int],
    truth: Box,
    count: int,
    forwards: float,
    seconds: float,
) -> _Answer:
    """Take the pose nearest to the truth; where nobody was found, every keypoint is wrong."""
    shares = [overlap(pose.box, truth) for pose in poses]
    share = max(shares, default=0.0)
    nowhere = np.full((len(columns), 2), np.inf)
    return _Answer(
        keypoints=poses[shares.index(share)].keypoints[columns] if poses else nowhere,
        overlap=share,
        poses=count,
        forwards=forwards,
        seconds=seconds,
    )


def _row(way: str, given: list[_Answer], people: list[Sample], pictures: str) -> WayFound:
    values = pck(
        np.stack([answer.keypoints for answer in given]),
        np.stack([person.keypoints for person in people]),
        np.stack([person.visible for person in people]),
        np.array([person.reference for person in people]),
        threshold=THRESHOLD,
    )
    return WayFound(
        pictures=pictures,
        way=way,
        people=len(people),
        value=grouped(values, SKELETONS["lsp"].groups)["mean"],
        found=100.0 * float(np.mean([answer.overlap > FOUND for answer in given])),
        poses=float(np.mean([answer.poses for answer in given])),
        forwards=float(np.mean([answer.forwards for answer in given])),
        seconds=float(np.median([answer.seconds for answer in given])),
    )


def judged(samples: Sequence[Sample]) -> list[Sample]:
    """Return the people who can be judged: picture there, both ends of the torso labeled.

    Raises:
        DataError: There is none.
    """
    good = [sample for sample in usable(samples)[0] if sample.reference > 0]
    if not good:
        raise DataError("none of the pictures is there; give the folder as published")
    return good


def as_they_are(people: Sequence[Sample]) -> Iterator[Scene]:
    """Read people's pictures."""
    return ((load(person.path), person) for person in people)


def in_scenes(people: Sequence[Sample], *, seed: int = 0) -> Iterator[Scene]:
    """Paste people's pictures into larger ones, the same way for the same seed.

    A scene is 640x480 or 480x640 pixels: another of the pictures, enlarged and blurred until no
    person can be told in it. The pasted picture is resized so that the person takes a random part
    of the scene, and lies at a random place; what reaches over the scene is cut, but no labeled
    keypoint where that can be helped.

    Args:
        people: At least one, each in a picture.
        seed: Of the random choices.

    Yields:
        The scene, and the person in its pixels.
    """
    random = np.random.default_rng(seed)
    for person in people:
        other = people[int(random.integers(len(people)))]
        size = ((SCENE, SCENE * 3 // 4), (SCENE * 3 // 4, SCENE))[random.integers(2)]
        x0, y0, x1, y1 = true_box(person)
        zoom = random.uniform(*SHARES) * SCENE / max(x1 - x0, y1 - y0)
        picture = load(person.path)
        space = Crop.from_box(_around(picture, person, size, zoom, random), size=size)
        inside = space.warp(np.full((*picture.shape[:2], 1), 255, np.uint8)) > 127
        scene = np.where(inside, space.warp(picture), _background(load(other.path), size))
        keypoints = space.to_crop(person.keypoints)
        yield scene, replace(person, keypoints=keypoints, reference=person.reference * zoom)


def _around(
    picture: RGB,
    person: Sample,
    size: tuple[int, int],
    zoom: float,
    random: np.random.Generator,
) -> Box:
    """Choose which rectangle becomes the scene; in the pixels of the picture to paste."""
    box = true_box(person)
    edges = []
    for axis in (0, 1):
        length, room = picture.shape[1 - axis], size[1 - axis] / zoom
        low, high = length - room, 0.0  # the scene's first edge, so that it holds the picture
        if low > high:  # or, where that is too large, the person
            low, high = box[2 + axis] - room, box[axis]
        edges.append((start := float(random.uniform(min(low, high), max(low, high))), start + room))
    (x0, x1), (y0, y1) = edges
    return x0, y0, x1, y1


def _background(picture: RGB, size: tuple[int, int]) -> RGB:
    """Enlarge a picture until it fills a size, and blur it."""
    height, width = picture.shape[:2]
    zoom = max(size[0] / height, size[1] / width)
    shown = (0.0, 0.0, size[1] / zoom, size[0] / zoom)
    large = Crop.from_box(shown, size=size).warp(picture)
    return np.asarray(cv2.GaussianBlur(large, (0, 0), BLUR), np.uint8)
