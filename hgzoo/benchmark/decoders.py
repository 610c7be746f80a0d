"""How far decoders are off, on keypoints drawn where the truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hgzoo.config import HeatmapKind
from hgzoo.decoders import DECODERS, argmax, heights
from hgzoo.geometry import heatmap_to_crop
from hgzoo.targets import gaussian

SIZE = (64, 64)
STRIDE = 4
POINTS = 4096
MARGIN = 8.0


@dataclass(frozen=True, kw_only=True)
class DecoderError:
    """How far a decoder is from keypoints drawn at random places, crop pixels (stride 4).

    Attributes:
        heatmaps: What was drawn.
        decoder: Its name.
        bias_x: Mean of found minus true, x.
        bias_y: The same, y.
        mean: Mean distance.
        largest: Largest distance.
        score: Mean score; what a keypoint gets that a network is sure of.
    """

    heatmaps: str
    decoder: str
    bias_x: float
    bias_y: float
    mean: float
    largest: float
    score: float


def decoder_errors() -> Iterator[DecoderError]:
    """Draw 4096 keypoints between the pixels of 64x64 heatmaps, and read them back.

    Three kinds of heatmaps: Gaussians of sigma 1 and 2 as heights, and the logarithm of a
    Gaussian of sigma 1.2 as logits. The last row maps the highest pixel to the crop by a bare
    multiplication by four, as older code does.

    Yields:
        A row for each kind of heatmaps and each decoder.
    """
    spread = torch.tensor(SIZE[::-1]) - 1 - 2 * MARGIN
    xy = MARGIN + spread * torch.rand(POINTS, 1, 2, generator=torch.Generator().manual_seed(0))
    true = heatmap_to_crop(xy, STRIDE)
    kinds: tuple[tuple[str, float, HeatmapKind], ...] = (
        ("heights, sigma 1", 1.0, "heights"),
        ("heights, sigma 2", 2.0, "heights"),
        ("logits, sigma 1.2", 1.2, "logits"),
    )
    for text, sigma, kind in kinds:
        drawn = gaussian(xy, SIZE, sigma)
        ready = heights(drawn if kind == "heights" else drawn.clamp_min(1e-30).log(), kind)
        for name, decode in DECODERS.items():
            found, score = decode(ready)
            yield _error(text, name, heatmap_to_crop(found, STRIDE) - true, score)
    found, score = argmax(gaussian(xy, SIZE, 1.0))
    yield _error("heights, sigma 1", "argmax, times 4", found * STRIDE - true, score)


def _error(heatmaps: str, decoder: str, difference: Tensor, score: Tensor) -> DecoderError:
    distance = difference.norm(dim=-1)
    bias = difference.mean((0, 1))
    return DecoderError(
        heatmaps=heatmaps,
        decoder=decoder,
        bias_x=float(bias[0]),
        bias_y=float(bias[1]),
        mean=float(distance.mean()),
        largest=float(distance.max()),
        score=float(score.mean()),
    )
