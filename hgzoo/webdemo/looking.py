"""What the network sees in a picture, and how it is told: drawings, a table, files."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from hgzoo import records
from hgzoo.errors import UnknownNameError
from hgzoo.files import write_text, writing
from hgzoo.geometry import Box
from hgzoo.pictures import RGB
from hgzoo.skeletons import Pose
from hgzoo.visualize import draw_boxes, draw_heatmap, draw_skeleton
from hgzoo.webdemo.chosen import BOX_COLOR, Picture, in_shown
from hgzoo.webdemo.networks import Networks

THRESHOLD = 0.2
"""Smallest score that is drawn."""

PANEL = 512
"""Longer side of the crop under the heatmaps, about, pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """The people that were found in a picture.

    Attributes:
        picture: The picture.
        poses: One a person, the surest first, with the heatmaps that the network gave.
        crops: What the network saw of each, enlarged.
        record: As `hgzoo predict --json` writes it.
    """

    picture: Picture
    poses: list[Pose]
    crops: list[RGB]
    record: dict[str, Any]  # Any: JSON

    @property
    def num_stacks(self) -> int:
        """How many hourglasses gave heatmaps; a file of `hgzoo export` gives the last one's."""
        return max((len(p.heatmaps) for p in self.poses if p.heatmaps is not None), default=0)

    @property
    def keypoints(self) -> tuple[str, ...]:
        """Names of the keypoints."""
        return self.poses[0].names if self.poses else ()


def look(
    picture: Picture, networks: Networks, *, network: str, decoder: str = "", box: Box | None = None
) -> Seen:
    """Find people and their keypoints.

    Args:
        picture: Where to look.
        networks: What is offered.
        network: One of them.
        decoder: A key of `hgzoo.decoders.DECODERS`; "" takes the one the weights come with.
        box: (x0, y0, x1, y1), edges of one person, pixels; None looks for people.

    Raises:
        UnknownNameError: No such network or decoder.
        WeightsError: The network cannot be read.
        InputError: The box lies outside the picture.
    """
    predictor = networks.predictor(network, decoder=decoder)
    boxes = None if box is None else [[box]]
    (poses,) = predictor.many([picture.pixels], boxes=boxes, heatmaps=True)
    settings = {
        "flip": True,
        "decoder": decoder,
        "detector": "auto",
        "boxes": None if box is None else [list(box)],
        "threshold": THRESHOLD,
        "smooth": False,
        "skeleton": None,
    }
    poses = [records.rounded(pose) for pose in poses]
    return Seen(
        picture=picture,
        poses=poses,
        crops=[_enlarged(predictor.view(picture.pixels, pose.box)) for pose in poses],
        record=records.of_picture(
            picture.name,
            picture.size,
            poses,
            head={"model": network, "settings": settings},
            drawn=None,
            threshold=THRESHOLD,
        ),
    )


def skeletons(seen: Seen, person: int) -> RGB:
    """Return the picture as it is shown, with everybody's skeleton and one person's box.

    Args:
        seen: What was found.
        person: Whose box, an index of `seen.poses`.
    """
    picture = seen.picture
    across = picture.shown.shape[1] / picture.pixels.shape[1]
    down = picture.shown.shape[0] / picture.pixels.shape[0]
    poses = [
        replace(pose, keypoints=pose.keypoints * [across, down], box=in_shown(picture, pose.box))
        for pose in seen.poses
    ]
    boxes = [poses[person].box] if poses else []
    boxed = draw_boxes(picture.shown, boxes, color=BOX_COLOR)
    return draw_skeleton(boxed, poses, threshold=THRESHOLD)


def heatmap(seen: Seen, person: int, *, stack: int, keypoint: str = "") -> RGB | None:
    """Lay one stack's heatmaps over what the network saw; all stacks share one brightness.

    Args:
        seen: What was found.
        person: An index of `seen.poses`.
        stack: Which hourglass, from 1.
        keypoint: Whose heatmap; "" takes the highest of all keypoints at each place.

    Returns:
        [H, W, 3]; None where there are no heatmaps.

    Raises:
        UnknownNameError: The network has no such keypoint.
    """
    maps = _maps(seen, person, keypoint)
    if maps is None:
        return None
    return draw_heatmap(seen.crops[person], maps[_index(stack, maps)], top=float(maps.max()))


def caption(seen: Seen, person: int, *, stack: int, keypoint: str = "") -> str:
    """Tell what `heatmap` shows, in a line."""
    maps = _maps(seen, person, keypoint)
    if maps is None:
        return "This network gives no heatmaps."
    index = _index(stack, maps)
    peaks = maps.max((2, 3)).mean(1)
    what = f"Peak of {_spoken(keypoint)}" if keypoint else "Mean peak of all keypoints"
    path = " → ".join(f"{peak:.2f}" for peak in peaks)
    where = f"Hourglass {index + 1} of {len(maps)}" if len(maps) > 1 else "The last hourglass"
    return (
        f"{where}. {what}, first to last: {path}" if len(maps) > 1 else f"{where}. {what}: {path}"
    )


def table(seen: Seen, person: int) -> str:
    """Return a person's keypoints and scores as a table of HTML."""
    pose = seen.poses[person]
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(_spoken(name))}</th>"
        f"<td>{x:.1f}</td><td>{y:.1f}</td><td>{score:.2f}"
        f"<span class='bar' style='width:{np.clip(score, 0, 1) * 100:.0f}%'></span></td></tr>"
        for name, (x, y), score in zip(pose.names, pose.keypoints, pose.scores, strict=True)
    )
    return (
        f"<table class='scores'><caption>{_who(seen, person)}: where, in pixels of the picture, "
        f"and how sure; below {THRESHOLD} nothing is drawn</caption>"
        "<thead><tr><th scope='col'>keypoint</th><th scope='col'>x</th><th scope='col'>y</th>"
        f"<th scope='col'>score</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def summary(seen: Seen) -> str:
    """Say in a sentence what was found."""
    sure = [int((pose.scores >= THRESHOLD).sum()) for pose in seen.poses]
    people = f"{len(seen.poses)} people" if len(seen.poses) != 1 else "One person"
    return (
        f"{people} found, {sum(sure)} of {sum(len(p.names) for p in seen.poses)} keypoints drawn."
    )


def save(seen: Seen, folder: Path) -> tuple[Path, Path]:
    """Write what can be taken home: the record, and the whole picture with skeletons.

    Args:
        seen: What was found.
        folder: An empty folder.

    Returns:
        Paths of the JSON and of the PNG.

    Raises:
        OutputError: They cannot be written.
    """
    name = re.sub(r"[^\w.-]", "_", seen.picture.name)[-80:]
    drawn = folder / f"{name}.pose.png"
    record = folder / f"{name}.pose.json"
    pixels = draw_skeleton(seen.picture.pixels, seen.poses, threshold=THRESHOLD)
    with writing(folder):
        write_text(record, json.dumps({**seen.record, "drawn": drawn.name}))
        Image.fromarray(pixels).save(drawn, compress_level=3)
    return record, drawn


def people(seen: Seen) -> Sequence[str]:
    """Name the people, the surest first."""
    return [_who(seen, person) for person in range(len(seen.poses))]


def _who(seen: Seen, person: int) -> str:
    return f"Person {person + 1} of {len(seen.poses)}"


def _spoken(keypoint: str) -> str:
    return keypoint.replace("_", " ")


def _maps(seen: Seen, person: int, keypoint: str) -> Any:
    """Return the heatmaps of all stacks, [S, K, h, w], or of one keypoint, [S, 1, h, w]."""
    pose = seen.poses[person]
    if pose.heatmaps is None or not keypoint:
        return pose.heatmaps
    if keypoint not in pose.names:
        raise UnknownNameError("keypoint", keypoint, pose.names)
    index = pose.names.index(keypoint)
    return pose.heatmaps[:, index : index + 1]


def _index(stack: int, maps: Any) -> int:
    return min(max(int(stack), 1), len(maps)) - 1


def _enlarged(crop: RGB) -> RGB:
    zoom = max(1, round(PANEL / max(crop.shape[:2])))
    large = cv2.resize(crop, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.uint8)
