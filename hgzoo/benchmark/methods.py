"""How long the steps around the network take, by our methods and by those of other ports.

The other methods are written here from what is known of them, for comparison alone: they are no
port's code, and no port has to be as slow or as fast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hgzoo.benchmark.networks import in_turns
from hgzoo.config import InputSpec
from hgzoo.decoders import quarter_offset
from hgzoo.geometry import Crop, heatmap_to_crop
from hgzoo.inference import prepare
from hgzoo.normalization import to_tensor

OURS = "hgzoo"

CROPS, DECODING = "crops", "decoding"

BATCH, PEOPLE, KEYPOINTS = 8, 64, 16
"""Pictures a batch of crops; people and keypoints of the heatmaps."""

BOX = 600
"""Pixels of the boxes that are cut."""

SPEC = InputSpec(size=(256, 256), mean=(0.44, 0.44, 0.4), std=(1.0, 1.0, 1.0))

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]
Resize = Callable[[Pixels, int, int], Pixels]


@dataclass(frozen=True, kw_only=True)
class Around:
    """What one step took by one method.

    Attributes:
        step: `CROPS` or `DECODING`.
        method: `OURS`, or what another one does.
        seconds: A number a round; those of one place ran in one round with the other methods'.
    """

    step: str
    method: str
    seconds: tuple[float, ...]


def around(*, repeats: int, progress: bool = True) -> list[Around]:
    """Let all methods take turns.

    Args:
        repeats: Rounds that count, 1 or more.
        progress: Show progress bars.
    """
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (720, 1280, 3), np.uint8) for _ in range(BATCH)]
    corners = random.uniform((0, 0), (1280 - BOX, 720 - BOX), (BATCH, 2))
    crops = [square(x, y, BOX) for x, y in corners]
    heatmaps = torch.randn(PEOPLE, KEYPOINTS, 64, 64, generator=torch.Generator().manual_seed(0))
    people = [square(x, y, BOX) for x, y in random.uniform(0, 600, (PEOPLE, 2))]
    steps: dict[str, dict[str, Callable[[], object]]] = {
        CROPS: {name: partial(cut, pictures, crops) for name, cut in CUTTERS.items()},
        DECODING: {name: partial(read, heatmaps, people) for name, read in READERS.items()},
    }
    return [
        Around(step=step, method=method, seconds=tuple(seconds))
        for step, calls in steps.items()
        for method, seconds in in_turns(calls, step, repeats=repeats, progress=progress).items()
    ]


def square(x: float, y: float, side: float) -> Crop:
    """Return the crop of a square box."""
    return Crop.from_box((x, y, x + side, y + side), size=SPEC.size)


# Crops of pictures, to a normalized batch [B, 3, *SPEC.size].


def warp(pictures: list[Pixels], crops: list[Crop]) -> Tensor:
    """Cut each crop by one warp into its place in a batch, and normalize the batch."""
    batch = np.empty((len(pictures), *SPEC.size, 3), np.uint8)
    for place, (picture, crop) in enumerate(zip(pictures, crops, strict=True)):
        crop.warp(picture, out=batch[place])
    return prepare(to_tensor(batch), SPEC)


def resize_twice(pictures: list[Pixels], crops: list[Crop], *, resize: Resize) -> Tensor:
    """Shrink whole pictures, cut, fill up what lies outside, resize; normalize one by one."""
    return torch.stack(
        [
            _normalized(_cut(picture, crop, resize))
            for picture, crop in zip(pictures, crops, strict=True)
        ]
    )


def _cut(picture: Pixels, crop: Crop, resize: Resize) -> Pixels:
    x0, y0, x1, y1 = crop.rectangle
    shrink = (x1 - x0) / crop.size[1]
    if shrink >= 2.0:
        height, width = picture.shape[:2]
        picture = resize(picture, round(width / shrink), round(height / shrink))
        x0, y0, x1, y1 = (end / shrink for end in (x0, y0, x1, y1))
    left, top, right, bottom = map(round, (x0, y0, x1, y1))
    cut = np.zeros((bottom - top, right - left, 3), np.uint8)
    part = picture[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    row, column = max(0, -top), max(0, -left)
    cut[row : row + part.shape[0], column : column + part.shape[1]] = part
    return resize(cut, crop.size[1], crop.size[0])


def _normalized(crop: Pixels) -> Tensor:
    """Scale to 0..1, then take the mean from each channel."""
    image = torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1))).float().div_(255.0)
    for channel, mean in zip(image, SPEC.mean, strict=True):
        channel.sub_(mean)
    return image


def _by_pil(picture: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def _by_cv2(picture: Pixels, width: int, height: int) -> Pixels:
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)


CUTTERS: dict[str, Callable[[list[Pixels], list[Crop]], Tensor]] = {
    OURS: warp,
    "resize, pad, cut, resize (OpenCV)": partial(resize_twice, resize=_by_cv2),
    "resize, pad, cut, resize (Pillow)": partial(resize_twice, resize=_by_pil),
}
"""Ways from pictures to a batch."""


# Heatmaps [B, K, H, W] to keypoints in the picture, [B, K, 2].


def all_at_once(heatmaps: Tensor, crops: list[Crop]) -> Points:
    """Decode all heatmaps at once; lead each person's keypoints back at once."""
    xy = heatmap_to_crop(quarter_offset(heatmaps)[0], SPEC.heatmap_stride).double().numpy()
    return np.stack([crop.to_picture(one) for crop, one in zip(crops, xy, strict=True)])


def loop_for_offsets(heatmaps: Tensor, crops: list[Crop]) -> Points:
    """Find all peaks at once, look at each one's neighbors in a loop, then person by person."""
    maps = heatmaps.numpy()
    number, keypoints, height, width = maps.shape
    peaks = maps.reshape(number, keypoints, -1).argmax(2)
    xy = np.stack([peaks % width, peaks // width], axis=-1).astype(np.float64)
    for person in range(number):
        for keypoint in range(keypoints):
            x, y = map(int, xy[person, keypoint])
            one = maps[person, keypoint]
            if 0 < x < width - 1 and 0 < y < height - 1:
                slope = [one[y, x + 1] - one[y, x - 1], one[y + 1, x] - one[y - 1, x]]
                xy[person, keypoint] += 0.25 * np.sign(slope)
    found = heatmap_to_crop(xy, SPEC.heatmap_stride)
    return np.stack([crop.to_picture(one) for crop, one in zip(crops, found, strict=True)])


def loop_for_all(heatmaps: Tensor, crops: list[Crop]) -> Points:
    """Find all peaks at once; neighbors and the way back in tensors, keypoint by keypoint."""
    number, keypoints, height, width = heatmaps.shape
    peaks = heatmaps.flatten(2).argmax(2)
    xy = torch.stack([peaks % width, peaks // width], dim=-1).float()
    out = np.empty((number, keypoints, 2))
    for person in range(number):
        for keypoint in range(keypoints):
            x, y = (int(one) for one in xy[person, keypoint])
            one = heatmaps[person, keypoint]
            if 0 < x < width - 1 and 0 < y < height - 1:
                slope = torch.stack([one[y, x + 1] - one[y, x - 1], one[y + 1, x] - one[y - 1, x]])
                xy[person, keypoint] += 0.25 * slope.sign()
            found = heatmap_to_crop(xy[person, keypoint], SPEC.heatmap_stride)
            there = np.vstack([crops[person].matrix, [0.0, 0.0, 1.0]])
            out[person, keypoint] = (np.linalg.inv(there) @ [*found.tolist(), 1.0])[:2]
    return out


READERS: dict[str, Callable[[Tensor, list[Crop]], Points]] = {
    OURS: all_at_once,
    "a loop for the quarter offset (NumPy)": loop_for_offsets,
    "a loop for offset and way back (tensors)": loop_for_all,
}
"""Ways from heatmaps to keypoints."""
