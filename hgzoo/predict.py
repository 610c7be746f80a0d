"""A picture in, keypoints in that picture's pixels out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hgzoo import factory
from hgzoo.errors import ConfigError, InputError, names_near_misses
from hgzoo.geometry import Box, Crop, to_tensor
from hgzoo.inference import Reading, decoder_for, move, read_keypoints
from hgzoo.model import StackedHourglass
from hgzoo.pictures import load
from hgzoo.skeletons import Pose

if TYPE_CHECKING:
    from torch import Tensor

    OnePicture = str | Path | Image.Image | NDArray[np.uint8] | Tensor


class Predictor:
    """Finds one person's keypoints in each box of each picture.

    Args:
        model: A network with its weights, or what `load_model` takes: a name of the zoo
            ("hg2_tiny", "hf-hub:owner/name"), a checkpoint file, or a folder.
        flip: Average with the mirrored picture: twice the time, and half a point of PCK better
            for hg2_tiny on LSP.
        decoder: A key of `hgzoo.decoders.DECODERS`; "" takes the one the weights come with.
        batch_size: Crops that pass the network at a time.
        device: Where it runs, such as "cpu" or "cuda".

    Raises:
        UnknownNameError: No such variant, weights or decoder.
        WeightsError: The variant has no weights, or they are damaged.
        ConfigError: A batch of less than one crop, or no such device.
    """

    @names_near_misses
    def __init__(
        self,
        model: StackedHourglass | str | Path,
        *,
        flip: bool = True,
        decoder: str = "",
        batch_size: int = 16,
        device: str = "cpu",
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        network = model if isinstance(model, StackedHourglass) else load_model(model)
        decoder_for(network, decoder)  # a wrong name is told now, not at the first picture
        self.model = move(network.eval(), device)
        self.skeleton = network.output.skeleton_for(network.config.num_keypoints)
        self.flip = flip
        self.decoder = decoder
        self.batch_size = batch_size

    def __call__(
        self,
        pictures: OnePicture | Sequence[OnePicture],
        *,
        boxes: Sequence[Box] | Sequence[Sequence[Box]] | None = None,
        heatmaps: bool = False,
    ) -> list[Pose] | list[list[Pose]]:
        """Predict the keypoints of the person in each box.

        Args:
            pictures: One picture or a list of them; each a path, a PIL image, uint8 RGB
                [H, W, 3] or gray [H, W], or a uint8 tensor [3, H, W].
            boxes: For one picture a list of boxes, for a list of pictures a list of such lists.
                A box is (x0, y0, x1, y1), edges, in pixels of the upright picture, and holds one
                person, with some room round it in the crop; it may reach over the border. None
                takes the whole picture, without more room.
            heatmaps: Keep every stack's heatmaps in the poses.

        Returns:
            One picture gives one pose a box; a list of pictures gives a list of such lists.

        Raises:
            InputError: A picture cannot be read, or a box has no area or lies wholly outside.
        """
        if isinstance(pictures, list | tuple):
            return self.many(pictures, boxes=boxes, heatmaps=heatmaps)  # type: ignore[arg-type]
        one = None if boxes is None else [boxes]
        return self.many([pictures], boxes=one, heatmaps=heatmaps)[0]  # type: ignore[list-item, arg-type]

    def many(
        self,
        pictures: Sequence[OnePicture],
        *,
        boxes: Sequence[Sequence[Box]] | None = None,
        heatmaps: bool = False,
    ) -> list[list[Pose]]:
        """Predict for a list of pictures; what a call with a list does."""
        if boxes is not None and len(boxes) != len(pictures):
            raise InputError(
                f"{len(pictures)} pictures need as many lists of boxes, got {len(boxes)}"
            )
        asked: list[tuple[Box, Crop]] = []
        cut: list[NDArray[np.uint8]] = []
        counts: list[int] = []
        for number, picture in enumerate(pictures):
            pixels = load(picture)
            wanted = None if boxes is None else boxes[number]
            crops = self._crops(pixels, wanted)
            asked += crops
            cut += [crop.warp(pixels) for _, crop in crops]
            counts.append(len(crops))
        poses = iter(self._poses(asked, cut, heatmaps=heatmaps))
        return [[next(poses) for _ in range(count)] for count in counts]

    def view(self, picture: OnePicture, box: Box | None = None) -> NDArray[np.uint8]:
        """Return what the network sees of a box.

        Args:
            picture: One picture, as for a call.
            box: (x0, y0, x1, y1), edges, pixels; None takes the whole picture, and so does a box
                that is the whole picture.

        Returns:
            [*input size, 3], RGB, 0..255.
        """
        pixels = load(picture)
        return self._crops(pixels, None if box is None else [box])[0][1].warp(pixels)

    def _crops(
        self, pixels: NDArray[np.uint8], boxes: Sequence[Box] | None
    ) -> list[tuple[Box, Crop]]:
        """Return each box with the crop that shows it."""
        height, width = pixels.shape[:2]
        spec = self.model.input
        whole = (0.0, 0.0, float(width), float(height))
        crops = []
        for box in [whole] if boxes is None else boxes:
            checked = _checked(box, width=width, height=height)
            padding = 1.0 if checked == whole else spec.box_padding
            crops.append((checked, Crop.from_box(checked, size=spec.size, padding=padding)))
        return crops

    def _poses(
        self, asked: list[tuple[Box, Crop]], cut: list[NDArray[np.uint8]], *, heatmaps: bool
    ) -> Iterator[Pose]:
        for start in range(0, len(asked), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            images = to_tensor(np.stack(cut[chosen]))
            reading = read_keypoints(self.model, images, flip=self.flip, decoder=self.decoder)
            for row, (box, crop) in enumerate(asked[chosen]):
                yield self._pose(reading, row, box, crop, heatmaps=heatmaps)

    def _pose(self, reading: Reading, row: int, box: Box, crop: Crop, *, heatmaps: bool) -> Pose:
        stacks = [stack[row].cpu().numpy() for stack in reading.heights] if heatmaps else None
        return Pose(
            keypoints=crop.to_picture(reading.xy[row].double().cpu().numpy()),
            scores=reading.score[row].double().cpu().numpy(),
            names=self.skeleton.keypoints,
            box=box,
            skeleton=self.skeleton,
            heatmaps=None if stacks is None else np.stack(stacks),
        )


def load_model(name: str | Path) -> StackedHourglass:
    """Load a network with its weights.

    Args:
        name: A name of the zoo ("hg2_tiny", "hg2_tiny.lsp", "hf-hub:owner/name"), or the path of
            a checkpoint file, of a folder that `save_pretrained` wrote, or of a run folder of
            `hgzoo train`.

    Raises:
        UnknownNameError: No such variant or weights.
        WeightsError: The variant has no weights, they cannot be had, or they are damaged.
    """
    return StackedHourglass.from_checkpoint(factory.find_weights(name), where=str(name))


def _checked(box: Sequence[float], *, width: int, height: int) -> Box:
    """Refuse a box without an area, or without any of the picture."""
    try:
        x0, y0, x1, y1 = (float(edge) for edge in box)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"boxes is a list of boxes for each picture, each (x0, y0, x1, y1); got {box!r} for one"
        ) from error
    if not (x1 > x0 and y1 > y0 and np.isfinite([x0, y0, x1, y1]).all()):
        raise InputError(f"a box is (x0, y0, x1, y1) with x1 > x0 and y1 > y0, got {tuple(box)}")
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        raise InputError(
            f"the box {tuple(box)} lies outside the picture, "
            f"which is {width} wide and {height} high"
        )
    return x0, y0, x1, y1
