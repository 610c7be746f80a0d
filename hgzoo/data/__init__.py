"""Datasets as published: annotation files to `Sample` records, samples to crops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hgzoo.data.batches import EpochBatches
from hgzoo.data.lsp import lsp_train, lsp_validation, lspet_train
from hgzoo.data.samples import Sample, sample_from_keypoints
from hgzoo.data.transforms import Batch, Crops, crop_of, loader

ReadSamples = Callable[[Path], list[Sample]]

TRAINING_SETS: dict[str, ReadSamples] = {"lsp": lsp_train, "lspet": lspet_train}
"""Sets to train on by name; each is read from the folder that holds the datasets."""

VALIDATION_SETS: dict[str, ReadSamples] = {"lsp": lsp_validation}
"""Sets to judge by."""

__all__ = [
    "TRAINING_SETS",
    "VALIDATION_SETS",
    "Batch",
    "Crops",
    "EpochBatches",
    "ReadSamples",
    "Sample",
    "crop_of",
    "loader",
    "sample_from_keypoints",
]
