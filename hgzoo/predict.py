"""A picture in, keypoints in that picture's pixels out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hgzoo import detectors
from hgzoo.calibration import calibrated
from hgzoo.detectors import Detector
from hgzoo.errors import ConfigError, InputError, names_near_misses
from hgzoo.geometry import Box, Crop
from hgzoo.pictures import load
from hgzoo.readers import Found, Reader
from hgzoo.skeletons import PEOPLE, Pose

if TYPE_CHECKING:
    from torch import Tensor

    from hgzoo.inference import Network

    OnePicture = str | Path | Image.Image | NDArray[np.uint8] | Tensor
    AnyPicture = TypeVar("AnyPicture", bound=OnePicture)


_LOADING = RLock()
"""One thread at a time makes a detector; those that want the same one wait for it."""


class _Asked(NamedTuple):
    """One person to look at: which picture, where in it, and its pixels."""

    picture: int
    box: Box
    crop: Crop
    pixels: NDArray[np.uint8]


class Predictor:
    """Finds people's keypoints: one person's in each box, or in each that a detector finds.

    Args:
        model: A network with its weights, or one that `hgzoo.optimize` made, or what
            `hgzoo.factory.load_model` takes: a name of the zoo ("hg2_tiny",
            "hf-hub:owner/name"), a checkpoint file, or a folder; or an ONNX file that
            `hgzoo export` wrote, which runs without torch.
        flip: Average with the mirrored picture: twice the time, and a point of PCK better for
            hg2_tiny on LSP. None does it wherever it can be chosen; an ONNX file does it or not,
            as it was exported.
        decoder: A key of `hgzoo.decoders.DECODERS`; "" takes the one the weights come with.
        batch_size: Crops that pass the network at a time.
        device: Where it runs, such as "cpu" or "cuda".
        detector: Asked for the boxes where none are given: a key of
            `hgzoo.detectors.DETECTORS`, or a callable from a picture, RGB [H, W, 3], to boxes.
            "auto" takes the "finder" for people's keypoints, and "search" for others and for ONNX
            files, for which the finder would load torch. What it needs is loaded when it is first
            asked.

    Attributes:
        skeleton: Names and pairs of the K keypoints.
        calibrated: Whether scores are probabilities; see `Pose`.

    Raises:
        UnknownNameError: No such variant, weights, decoder or detector.
        WeightsError: The variant has no weights, or they are damaged.
        MissingExtraError: The detector needs a package that is not installed.
        ConfigError: A batch of less than one crop, no such device, or an ONNX file that was
            exported otherwise.

    Examples:
        >>> import hgzoo
        >>> predictor = hgzoo.Predictor("hg2_tiny")
        >>> (pose,) = predictor("photo.jpg", boxes=[(100, 80, 300, 460)])
        >>> pose.keypoints.shape, pose.scores.shape, pose.names[:2]
        ((19, 2), (19,), ('nose', 'left_eye'))
        >>> predictor.view("photo.jpg").shape  # what the network sees
        (128, 128, 3)
    """

    @names_near_misses
    def __init__(
        self,
        model: Network | str | Path,
        *,
        flip: bool | None = None,
        decoder: str = "",
        batch_size: int = 16,
        device: str = "cpu",
        detector: str | Detector = "auto",
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        self.reader = _reader(model, flip=flip, decoder=decoder, device=device)
        self.skeleton = self.reader.skeleton
        self.calibrated = self.reader.calibration.known
        self.batch_size = batch_size
        self.sigmas = self.skeleton.sigmas
        if detector == "auto":
            by_torch = not _is_onnx(model)
            detector = "finder" if by_torch and self.skeleton in PEOPLE else "search"
        detectors.check(detector)
        self._detector = detector

    @property
    def detector(self) -> Detector:
        """What finds the boxes where none are given; another one may be put in its place.

        A detector that has weights reads them when it is first asked for, here or by a picture
        without boxes.

        Raises:
            WeightsError: They cannot be had, or are damaged.
        """
        if isinstance(self._detector, str):
            with _LOADING:
                if isinstance(self._detector, str):  # nobody was faster
                    self._detector = detectors.make(self._detector, self.reader.without_flip())
        return self._detector

    @detector.setter
    def detector(self, detector: Detector) -> None:
        self._detector = detector

    @overload
    def __call__(
        self,
        pictures: OnePicture,
        *,
        boxes: Sequence[Box] | None = None,
        heatmaps: bool = False,
    ) -> list[Pose]: ...

    @overload
    def __call__(
        self,
        pictures: list[AnyPicture] | tuple[AnyPicture, ...],
        *,
        boxes: Sequence[Sequence[Box]] | None = None,
        heatmaps: bool = False,
    ) -> list[list[Pose]]: ...

    def __call__(
        self,
        pictures: OnePicture | list[AnyPicture] | tuple[AnyPicture, ...],
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
                asks the detector; several boxes of one person then give one pose.
            heatmaps: Keep every stack's heatmaps in the poses.

        Returns:
            One picture gives one pose a box; a list of pictures gives a list of such lists. A
            box that was found stands in `Pose.box`.

        Raises:
            InputError: A picture cannot be read, or a box has no area or lies wholly outside.
            WeightsError: The detector is asked, and its weights cannot be had, or are damaged.
        """
        if isinstance(pictures, list | tuple):
            lists = cast("Sequence[Sequence[Box]] | None", boxes)
            return self.many(pictures, boxes=lists, heatmaps=heatmaps)
        one = None if boxes is None else [cast("Sequence[Box]", boxes)]
        return self.many([pictures], boxes=one, heatmaps=heatmaps)[0]

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
        poses: list[list[Pose]] = [[] for _ in pictures]
        asked = self._asked(pictures, boxes)
        batch = np.empty((self.batch_size, *self.reader.input.size, 3), np.uint8)
        while group := list(islice(asked, self.batch_size)):
            for row, one in enumerate(group):
                one.crop.warp(one.pixels, out=batch[row])
            found = self.reader(batch[: len(group)], heatmaps=heatmaps)
            for row, one in enumerate(group):
                poses[one.picture].append(self._pose(found, row, one))
        if boxes is not None:
            return poses
        return [detectors.distinct(people, sigmas=self.sigmas) for people in poses]

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
        spec = self.reader.input
        whole = (0.0, 0.0, float(width), float(height))
        crops = []
        for box in [whole] if boxes is None else boxes:
            checked = _checked(box, width=width, height=height)
            padding = 1.0 if checked == whole else spec.box_padding
            crops.append((checked, Crop.from_box(checked, size=spec.size, padding=padding)))
        return crops

    def _asked(
        self, pictures: Sequence[OnePicture], boxes: Sequence[Sequence[Box]] | None
    ) -> Iterator[_Asked]:
        for number, picture in enumerate(pictures):
            pixels = load(picture)
            wanted = self.detector(pixels) if boxes is None else boxes[number]
            for box, crop in self._crops(pixels, wanted):
                yield _Asked(number, box, crop, pixels)

    def _pose(self, found: Found, row: int, asked: _Asked) -> Pose:
        return Pose(
            keypoints=asked.crop.to_picture(found.xy[row]),
            scores=calibrated(found.scores[row], self.reader.calibration),
            names=self.skeleton.keypoints,
            box=asked.box,
            skeleton=self.skeleton,
            heatmaps=None if found.heatmaps is None else found.heatmaps[:, row],
            calibrated=self.calibrated,
        )


def _reader(model: Network | str | Path, *, flip: bool | None, decoder: str, device: str) -> Reader:
    """Find out who reads; what needs torch is loaded only where torch is needed."""
    if _is_onnx(model):
        from hgzoo.onnx_file import OnnxReader

        return OnnxReader(Path(str(model)), flip=flip, decoder=decoder, device=device)
    from hgzoo.inference import NetworkReader

    fast = None
    if isinstance(model, str | Path):
        from hgzoo.factory import load_model
        from hgzoo.lean import LeanHourglass

        model = load_model(model)
        fast = LeanHourglass(model)  # nobody else has the network, so nobody changes it
    return NetworkReader(model, flip=flip is not False, decoder=decoder, device=device, fast=fast)


def _is_onnx(model: Network | str | Path) -> bool:
    return isinstance(model, str | Path) and Path(model).suffix == ".onnx"


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
