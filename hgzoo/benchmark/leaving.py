"""What leaving after the first sure stack saves, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hgzoo import metrics
from hgzoo.anytime import confidence
from hgzoo.data import Sample, crop_of
from hgzoo.geometry import heatmap_to_crop
from hgzoo.inference import decoder_for, read_keypoints
from hgzoo.model import StackedHourglass
from hgzoo.normalization import to_tensor
from hgzoo.pictures import load
from hgzoo.progress import bar

BATCH = 16


def stacks_judged(
    model: StackedHourglass,
    samples: Sequence[Sample],
    *,
    threshold: float,
    progress: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Judge every stack of a network on annotated people, without flip test.

    Args:
        model: In evaluation mode.
        samples: The people, each with a keypoint that counts.
        threshold: A keypoint is right within this fraction of the person's reference length.
        progress: Show a progress bar.

    Returns:
        How sure the network is of each person after each stack, [S, N], and the part of the
        person's annotated keypoints that are right there, [S, N], 0..1; `hgzoo.anytime.exits`
        takes both.
    """
    decode = decoder_for(model, "")
    spec = model.input
    sure, right = np.zeros((2, model.config.num_stacks, len(samples)))
    starts = range(0, len(samples), BATCH)
    for start in bar(starts, "judging", show=progress, unit="batch"):
        people = samples[start : start + BATCH]
        crops = [crop_of(one, spec) for one in people]
        shown = [crop.warp(load(one.path)) for crop, one in zip(crops, people, strict=True)]
        reading = read_keypoints(model, to_tensor(np.stack(shown)))
        for stack, heatmaps in enumerate(reading.heights[-model.config.num_stacks :]):
            sure[stack, start : start + BATCH] = confidence(heatmaps).cpu().numpy()
            xy = heatmap_to_crop(decode(heatmaps)[0], spec.heatmap_stride).double().cpu().numpy()
            for row, (crop, one) in enumerate(zip(crops, people, strict=True)):
                right[stack, start + row] = _part_right(crop.to_picture(xy[row]), one, threshold)
    return sure, right


def _part_right(xy: NDArray[np.float64], person: Sample, threshold: float) -> float:
    visible = person.visible[None]
    hits = metrics.hits(
        xy[None],
        person.keypoints[None],
        visible,
        np.array([person.reference]),
        threshold=threshold,
    )
    return float(hits[visible].mean())
