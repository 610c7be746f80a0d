"""Datasets as published: annotation files to `Sample` records, samples to crops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hgzoo.config import Metric
from hgzoo.data.batches import EpochBatches
from hgzoo.data.boxes import (
    backgrounds_train,
    lsp_boxes_train,
    lsp_boxes_validation,
    lspet_boxes_train,
    people_boxes_train,
    people_boxes_validation,
)
from hgzoo.data.coco import (
    coco_annotations,
    coco_train,
    coco_validation,
    read_annotations,
    read_coco,
)
from hgzoo.data.flic import flic_train, flic_validation
from hgzoo.data.lsp import lsp_train, lsp_validation, lspet_cleaned_train, lspet_train
from hgzoo.data.matching import matched
from hgzoo.data.mpii import mpii_train, mpii_validation
from hgzoo.data.people import (
    people_by_hand_train,
    people_by_hand_validation,
    people_movenet_train,
    people_movenet_validation,
)
from hgzoo.data.samples import Sample, inspect, sample_from_keypoints, usable
from hgzoo.data.transforms import Batch, Crops, crop_of, loader
from hgzoo.errors import ConfigError, UnknownNameError
from hgzoo.skeletons import SKELETONS, Skeleton

ReadSamples = Callable[[Path], list[Sample]]
"""Reads people from the folder that holds the datasets' folders."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A published dataset.

    Attributes:
        skeleton: What its keypoints are.
        train: Reads the people to train on from the folder that holds the datasets.
        validation: Reads the people to judge by; None where there are none.
        metric: What its figures are called: a key of `hgzoo.engine.METRICS`.
        threshold: Fraction of a person's reference length within which a keypoint is right.
        first_pixel: The coordinate of the top-left pixel in the dataset's own files; the samples
            count from 0.
        oks_annotations: Finds the file of the people to judge by, for a dataset in COCO's format
            that is also judged by OKS average precision.
    """

    skeleton: Skeleton
    train: ReadSamples
    validation: ReadSamples | None = None
    metric: Metric = "pck"
    threshold: float = 0.2
    first_pixel: int = 1
    oks_annotations: Callable[[Path], Path] | None = None


DATASETS: dict[str, Dataset] = {
    "backgrounds": Dataset(skeleton=SKELETONS["box"], train=backgrounds_train),
    "coco": Dataset(
        skeleton=SKELETONS["coco"],
        train=coco_train,
        validation=coco_validation,
        threshold=0.1,
        first_pixel=0,
        oks_annotations=coco_annotations,
    ),
    "flic": Dataset(skeleton=SKELETONS["flic"], train=flic_train, validation=flic_validation),
    "lsp": Dataset(skeleton=SKELETONS["lsp"], train=lsp_train, validation=lsp_validation),
    "lsp_boxes": Dataset(
        skeleton=SKELETONS["box"],
        train=lsp_boxes_train,
        validation=lsp_boxes_validation,
        threshold=0.1,
    ),
    "lspet": Dataset(skeleton=SKELETONS["lsp"], train=lspet_train),
    "lspet_cleaned": Dataset(skeleton=SKELETONS["lsp"], train=lspet_cleaned_train),
    "lspet_boxes": Dataset(skeleton=SKELETONS["box"], train=lspet_boxes_train),
    "mpii": Dataset(
        skeleton=SKELETONS["mpii"],
        train=mpii_train,
        validation=mpii_validation,
        metric="pckh",
        threshold=0.5,
    ),
    "people_boxes": Dataset(
        skeleton=SKELETONS["box"],
        train=people_boxes_train,
        validation=people_boxes_validation,
        threshold=0.1,
        first_pixel=0,
    ),
    "people_by_hand": Dataset(
        skeleton=SKELETONS["coco"],
        train=people_by_hand_train,
        validation=people_by_hand_validation,
        first_pixel=0,
    ),
    "people_movenet": Dataset(
        skeleton=SKELETONS["coco"],
        train=people_movenet_train,
        validation=people_movenet_validation,
        first_pixel=0,
    ),
}
"""Every dataset by name; each is read from the folder that holds the datasets' folders."""


def find(name: str, part: str, root: Path | None = None) -> tuple[Dataset, ReadSamples]:
    """Look a dataset up.

    Args:
        name: A key of `DATASETS`, or the path of a JSON file in COCO's format, below the root; its
            images lie beside it, or in a folder "images" there.
        part: "train" or "validation"; a file is either.
        root: The folder that holds the datasets; None where the file's path is whole.

    Returns:
        The dataset, and what reads that part of it.

    Raises:
        UnknownNameError: There is no such dataset.
        ConfigError: It has no such part.
        DataError: The file is missing or damaged.

    Examples:
        >>> from pathlib import Path
        >>> from hgzoo.data import find
        >>> dataset, read = find("mpii", "validation")
        >>> dataset.metric, dataset.threshold, dataset.skeleton.num_keypoints
        ('pckh', 0.5, 16)
        >>> find("lspet", "validation")
        Traceback (most recent call last):
            ...
        hgzoo.errors.ConfigError: lspet has no validation part; coco, flic, lsp, ...
        >>> mine, read = find("my_coco.json", "train", Path())
        >>> mine.skeleton.name, len(read(Path()))
        ('coco', 6)
    """
    dataset = _own_file(name, root or Path()) if name.endswith(".json") else DATASETS.get(name)
    if dataset is None:
        raise UnknownNameError("dataset", name, DATASETS)
    read = dataset.train if part == "train" else dataset.validation
    if read is None:
        known = [one for one, each in DATASETS.items() if each.validation]
        raise ConfigError(f"{name} has no {part} part; {', '.join(known)} have")
    return dataset, read


def _own_file(name: str, root: Path) -> Dataset:
    """Describe a file in COCO's format as a dataset."""

    def read(root: Path) -> list[Sample]:
        path = root / name
        images = path.parent / "images"
        return read_coco(path, images if images.is_dir() else path.parent)[0]

    return Dataset(
        skeleton=read_annotations(root / name).skeleton,
        train=read,
        validation=read,
        threshold=0.1,
        first_pixel=0,
        oks_annotations=lambda root: root / name,
    )


__all__ = [
    "DATASETS",
    "Batch",
    "Crops",
    "Dataset",
    "EpochBatches",
    "ReadSamples",
    "Sample",
    "crop_of",
    "find",
    "inspect",
    "loader",
    "matched",
    "read_coco",
    "sample_from_keypoints",
    "usable",
]
