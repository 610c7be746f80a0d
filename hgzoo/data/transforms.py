"""Sample to crop: what a network is shown of an annotated person."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from hgzoo.config import AugmentConfig, InputSpec
from hgzoo.data.augmentations import half_body, paste, patches, place_beside, plain, whole
from hgzoo.data.samples import Sample
from hgzoo.errors import ConfigError
from hgzoo.geometry import (
    MPII_PERSON_PIXELS,
    Crop,
    box_around,
    crop_to_heatmap,
    flip_keypoints,
    inside,
)
from hgzoo.normalization import LUMA, to_tensor
from hgzoo.pictures import load, size_of
from hgzoo.skeletons import Skeleton

CORNER = 0.35
"""How much of a picture's shorter side a piece of its corner takes; of backgrounds, at least."""

FAR = -1e4
"""Coordinates of somebody who is not there, crop pixels: no Gaussian reaches from there."""

KNOWN_MARGIN = 0.1
"""How far round an annotated person it is known that nobody else is, of the longer side."""


class Batch(NamedTuple):
    """Crops and their keypoints.

    Attributes:
        images: [B, 3, H, W], uint8.
        keypoints: (x, y), [B, K, 2], crop pixels, float32.
        visible: Annotated, usable and inside the crop, [B, K] bool.
        index: Which samples they are, [B].
        weight: How much their labels count in the loss, [B], float32.
        company: Keypoints of everybody else in the crop, [B, N, K, 2], crop pixels, float32; `FAR`
            where there are fewer than N, or outside the crop.
        known: Heatmap pixels of which it is known whether anybody is there, [B, H, W] bool.

    Examples:
        >>> from pathlib import Path
        >>> import torch
        >>> from hgzoo.config import InputSpec
        >>> from hgzoo.data import Crops, loader, read_coco
        >>> samples, skeleton = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> crops = Crops(samples, spec=InputSpec(size=(128, 128)), skeleton=skeleton)
        >>> batch = next(iter(loader(crops, [[(0, 0), (0, 1)]]))).to(torch.device("cpu"))
        >>> batch.images.shape, batch.keypoints.shape, batch.index.tolist()
        (torch.Size([2, 3, 128, 128]), torch.Size([2, 17, 2]), [0, 1])
    """

    images: Tensor
    keypoints: Tensor
    visible: Tensor
    index: Tensor  # type: ignore[assignment]  # tuple has a method of this name
    weight: Tensor
    company: Tensor
    known: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the same batch on a device."""
        return Batch(*(part.to(device, non_blocking=True) for part in self))


class Item(NamedTuple):
    """One crop, as `Crops` gives it; `Batch` tells of the parts."""

    image: NDArray[np.uint8]  # [H, W, 3]
    keypoints: NDArray[np.float64]
    visible: NDArray[np.bool_]
    index: int  # type: ignore[assignment]  # tuple has a method of this name
    weight: float
    company: NDArray[np.float64]
    known: NDArray[np.bool_]


class Crops(Dataset[Item]):
    """Samples as crops, augmented where a table says how.

    Asked for (showing, index), it draws the same random numbers each time: training that was
    interrupted goes on as if it had not been.

    Args:
        samples: The people.
        spec: Size and padding of the crops.
        skeleton: Names and mirror pairs of the keypoints.
        augment: Random changes; None shows every person as annotated.
        seed: Of the random changes.

    Raises:
        ConfigError: Half bodies are asked for, and no keypoint's name tells which half it is of.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.config import InputSpec
        >>> from hgzoo.data import Crops, read_coco
        >>> samples, skeleton = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> crops = Crops(samples, spec=InputSpec(size=(128, 128)), skeleton=skeleton)
        >>> image, xy, visible, index, weight, *_ = crops[0, 3]
        >>> image.shape, xy.shape, int(visible.sum()), index, weight
        ((128, 128, 3), (17, 2), 16, 3, 1.0)
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        *,
        spec: InputSpec,
        skeleton: Skeleton,
        augment: AugmentConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.samples = samples
        self.spec = spec
        self.flip_index = skeleton.flip_index
        self.halves = skeleton.halves
        self.augment = augment
        self.seed = seed
        self.neighbors: list[int] = []
        self.backgrounds = [i for i, sample in enumerate(samples) if sample.background]
        if augment is not None and augment.half_body_prob and not any(self.halves):
            raise ConfigError(
                "half_body_prob needs keypoints of an upper or a lower half, such as 'left_wrist' "
                f"or 'left_knee'; no name tells of {', '.join(skeleton.keypoints)}"
            )
        if augment is not None and augment.neighbor_prob:
            self.neighbors = [i for i, sample in enumerate(samples) if whole(sample)]

    def __len__(self) -> int:
        """Return the number of people."""
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        """Return a sample's crop, augmented in its own way at each showing."""
        showing, index = key
        sample = self.samples[index]
        picture = load(sample.path)
        random = np.random.default_rng((self.seed, showing, index))
        if self.augment is None:
            crop = crop_of(sample, self.spec)
        else:
            if self.augment.half_body_prob and random.random() < self.augment.half_body_prob:
                sample = half_body(sample, self.halves, random)
            crop = random_crop(sample, self.spec, self.augment, random)
        image, xy, visible = crop.warp(picture), crop.to_crop(sample.keypoints), sample.visible
        company = crop.to_crop(sample.company.reshape(-1, *sample.keypoints.shape))
        known = self._known(sample, crop)
        if self.augment is not None:
            collage = self.augment.collage_prob and random.random() < self.augment.collage_prob
            if collage and not sample.background:
                kept = self._kept(sample, crop, random)
                image = np.where(kept[..., None], image, self._elsewhere(random))
                known |= ~thinned(kept, self.spec.heatmap_stride)
            if self.augment.neighbor_prob and random.random() < self.augment.neighbor_prob:
                image = self._beside(image, index, sample, crop, random)
            if self.augment.occlusion_prob and random.random() < self.augment.occlusion_prob:
                image = self._occlude(image, random)
            if random.random() < self.augment.flip_prob:
                image = image[:, ::-1]
                xy = flip_keypoints(xy, width=image.shape[1], flip_index=self.flip_index)
                visible = visible[self.flip_index]
                company = company[:, self.flip_index] * (-1, 1) + (image.shape[1] - 1, 0)
                known = known[:, ::-1]
            image = random_color(image, self.augment, random)
        visible = visible & inside(xy, self.spec.size)
        company = np.where(inside(company, self.spec.size)[..., None], company, FAR)
        image, known = np.ascontiguousarray(image), np.ascontiguousarray(known)
        return Item(image, xy, visible, index, sample.weight, company, known)

    def _known(self, sample: Sample, crop: Crop) -> NDArray[np.bool_]:
        """Tell which heatmap pixels lie near annotated people, if not everybody is annotated."""
        known = np.full(self.spec.heatmap_size, not sample.incomplete)
        if sample.incomplete:
            for person in (sample.keypoints[sample.visible], *sample.company):
                xy = crop_to_heatmap(crop.to_crop(person), self.spec.heatmap_stride)
                margin = KNOWN_MARGIN * np.ptp(xy, axis=0).max()
                (x0, y0), (x1, y1) = (
                    np.rint(xy.min(0) - margin).clip(0).astype(int),
                    np.rint(xy.max(0) + margin + 1).clip(0).astype(int),
                )
                known[y0:y1, x0:x1] = True
        return known

    def _kept(self, sample: Sample, crop: Crop, random: np.random.Generator) -> NDArray[np.bool_]:
        """Cut a picture at random round its people; tell what a crop shows of the piece.

        Args:
            sample: The person, and the company.
            crop: Where the picture lies in it.
            random: Where the numbers come from.

        Returns:
            [*spec.size].
        """
        cut = np.zeros((*size_of(sample.path), 1), np.uint8)
        people = [sample.keypoints[sample.visible], *sample.company]
        x0, y0, x1, y1 = box_around(np.concatenate(people), (cut.shape[0], cut.shape[1]))
        left, top = (int(random.uniform(0, edge)) for edge in (x0, y0))
        right, bottom = (
            math.ceil(random.uniform(edge, length))
            for edge, length in ((x1, cut.shape[1]), (y1, cut.shape[0]))
        )
        cut[top:bottom, left:right] = 255
        return crop.warp(cut)[..., 0] > 127

    def _beside(
        self,
        image: NDArray[np.uint8],
        index: int,
        sample: Sample,
        crop: Crop,
        random: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """Put another person of the set, if there is one, beside this one: before or behind it."""
        if not set(self.neighbors[:2]) - {index}:
            return image  # nobody else
        drawn = int(random.integers(len(self.neighbors)))
        beside = self.neighbors[drawn]
        other = self.samples[beside if beside != index else self.neighbors[drawn - 1]]
        where = place_beside(sample, crop, other, random)
        behind = random.random() < 1 / 2
        front = crop.to_crop(sample.keypoints[sample.visible]) if behind else None
        return paste(image, load(other.path), where, other.keypoints[other.visible], front)

    def _occlude(self, image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
        """Hide parts of a crop by another picture, or by noise or one color."""
        mask = patches(self.spec.size, random)
        fill = self._elsewhere(random) if random.random() < 1 / 2 else plain(image, random)
        return np.where(mask, fill, image)

    def _elsewhere(self, random: np.random.Generator) -> NDArray[np.uint8]:
        """Return a piece of another picture, of a background if there are any, [*spec.size, 3]."""
        if self.backgrounds:
            drawn = self.backgrounds[int(random.integers(len(self.backgrounds)))]
            share = random.uniform(CORNER, 1.0)
        else:
            drawn, share = int(random.integers(len(self.samples))), CORNER
        return corner(load(self.samples[drawn].path), self.spec.size, random, share=share)


def thinned(mask: NDArray[np.bool_], stride: int) -> NDArray[np.bool_]:
    """Tell for each heatmap pixel whether a mask of crop pixels covers any of it, [H, W]."""
    height, width = (length // stride for length in mask.shape)
    return np.asarray(mask.reshape(height, stride, width, stride).any((1, 3)))


def corner(
    picture: NDArray[np.uint8],
    size: tuple[int, int],
    random: np.random.Generator,
    *,
    share: float = CORNER,
) -> NDArray[np.uint8]:
    """Enlarge a piece of one of a picture's corners, where its person seldom is.

    Args:
        picture: [H, W, 3], 0..255.
        size: (height, width) to bring it to.
        random: Where the choice comes from.
        share: How much of the picture's shorter side the piece takes.

    Returns:
        [*size, 3], 0..255.
    """
    height, width = picture.shape[:2]
    unit = share * min(height / size[0], width / size[1])
    tall, wide = size[0] * unit, size[1] * unit
    x0, y0 = random.integers(2, size=2) * (width - wide, height - tall)
    box = (float(x0), float(y0), float(x0 + wide), float(y0 + tall))
    return Crop.from_box(box, size=size).warp(picture)


def collate(items: Sequence[Item]) -> Batch:
    """Stack items into a batch; the pictures keep their channels last in memory."""
    images, xy, visible, index, weight, company, known = zip(*items, strict=True)
    others = np.full((len(items), max(map(len, company)), *xy[0].shape), FAR)
    for row, present in zip(others, company, strict=True):
        row[: len(present)] = present
    return Batch(
        images=to_tensor(np.stack(images)),
        keypoints=torch.from_numpy(np.stack(xy)).float(),
        visible=torch.from_numpy(np.stack(visible)),
        index=torch.tensor(index),
        weight=torch.tensor(weight, dtype=torch.float32),
        company=torch.from_numpy(others).float(),
        known=torch.from_numpy(np.stack(known)),
    )


def loader(
    crops: Crops, batches: Iterable[Sequence[tuple[int, int]]], *, workers: int = 0
) -> DataLoader[Item]:
    """Read crops in batches, in this process or beside it.

    Args:
        crops: The samples.
        batches: Keys of each batch: a list, or an `EpochBatches`.
        workers: Processes that read; 0 reads in this one.

    Returns:
        Yields a `Batch` for each list of keys.

    With workers, OpenCV's own threads are switched off in this process: a forked worker would wait
    forever for threads that the fork did not copy.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.config import InputSpec
        >>> from hgzoo.data import Crops, EpochBatches, loader, read_coco
        >>> samples, skeleton = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> crops = Crops(samples, spec=InputSpec(size=(128, 128)), skeleton=skeleton)
        >>> order = EpochBatches([1] * len(samples), batch_size=3, seed=0)
        >>> [batch.images.shape[0] for batch in loader(crops, order)]
        [3, 3]
    """
    if workers:
        cv2.setNumThreads(0)
    return DataLoader(
        crops,
        batch_sampler=cast("Sampler[list[int]]", batches),
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=_leave_signals_alone,
    )


def _leave_signals_alone(worker: int) -> None:
    """Let the training process alone decide when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def crop_of(sample: Sample, spec: InputSpec) -> Crop:
    """Show a person as a network expects it: upright, centered, padded.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.config import InputSpec
        >>> from hgzoo.data import crop_of, read_coco
        >>> samples, _ = read_coco(Path("my_coco.json"), Path("pictures"))
        >>> crop = crop_of(samples[0], InputSpec(size=(128, 128)))
        >>> crop.size, crop.center == samples[0].center, crop.rotation
        ((128, 128), True, 0.0)
    """
    return Crop.from_center_scale(sample.center, sample.scale * spec.box_padding, size=spec.size)


def random_crop(
    sample: Sample, spec: InputSpec, augment: AugmentConfig, random: np.random.Generator
) -> Crop:
    """Draw a crop of random scale, rotation and shift (paper, Section 3.4)."""
    scale_sd, turn_sd = random.standard_normal(2)
    shift = random.standard_normal(2) * augment.shift_std * sample.scale * MPII_PERSON_PIXELS
    zoom = 2.0 ** (augment.scale_std * np.clip(scale_sd, -augment.scale_clip, augment.scale_clip))
    turn = np.clip(turn_sd, -augment.rotation_clip, augment.rotation_clip) * augment.rotation_std
    turned = random.random() < augment.rotation_prob
    x, y = np.array(sample.center) + shift
    return Crop.from_center_scale(
        (float(x), float(y)),
        sample.scale * spec.box_padding * float(zoom),
        size=spec.size,
        rotation=float(turn) if turned else 0.0,
    )


def random_color(
    image: NDArray[np.uint8], augment: AugmentConfig, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Multiply each channel by a random number, and take the color away now and then.

    Args:
        image: [H, W, 3], RGB, 0..255.
        augment: The ranges.
        random: Where the numbers come from.

    Returns:
        [H, W, 3], 0..255, clipped.
    """
    gains = random.uniform(*augment.color, size=3)
    if random.random() < augment.gray_prob:
        image = np.repeat((image @ np.array(LUMA))[..., None], 3, axis=2).astype(np.uint8)
    table = np.clip(np.arange(256)[:, None] * gains, 0, 255).astype(np.uint8)  # [256, 3]
    return table[image, np.arange(3)]
