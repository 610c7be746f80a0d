"""From crops to keypoints, the same way for evaluation and for prediction."""

from __future__ import annotations

import logging
import math
import time
from contextlib import AbstractContextManager
from functools import cache
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgzoo.config import InputSpec, ModelConfig, OutputSpec, Precision
from hgzoo.decoders import DECODERS, Decode, heights
from hgzoo.errors import ConfigError, UnknownNameError
from hgzoo.geometry import flip_heatmaps, heatmap_to_crop
from hgzoo.normalization import normalize, to_tensor
from hgzoo.readers import Found

Module = TypeVar("Module", bound=nn.Module)

logger = logging.getLogger(__name__)


class Network(Protocol):
    """What can be read: a network that says what it expects and what it means."""

    config: ModelConfig
    input: InputSpec
    output: OutputSpec

    @property
    def device(self) -> torch.device:
        """Where it takes its pictures."""

    @property
    def dtype(self) -> torch.dtype:
        """The number format in which it takes them."""

    def __call__(self, images: Tensor, /) -> list[Tensor]:
        """Return heatmaps [B, K, H/4, W/4] of normalized pictures [B, C, H, W], first to last.

        Those of every stack, or of the last one alone.
        """


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Run what follows in a number format, where torch knows an operation to be safe in it.

    Args:
        device: Where it runs.
        precision: "bfloat16" is about twice as fast on processors that have it; "auto" finds out.
    """
    enabled = chosen_precision(device, precision) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def chosen_precision(device: torch.device, precision: Precision) -> Precision:
    """Return "float32" or "bfloat16"; for "auto" the one that this machine multiplies faster in.

    Processors without instructions for bfloat16 imitate it, which is slower than float32. "auto"
    measures a product of matrices in both, once in a process: some milliseconds. On a GPU it
    takes bfloat16 where the GPU has it.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return _faster_precision() if device.type == "cpu" else "float32"


@cache
def _faster_precision() -> Precision:
    """Measure on the CPU: the best of a few products each, in turns."""
    matrices = {
        torch.float32: torch.ones(512, 512),
        torch.bfloat16: torch.ones(512, 512, dtype=torch.bfloat16),
    }
    seconds = dict.fromkeys(matrices, math.inf)
    for _ in range(5):
        for dtype, matrix in matrices.items():
            start = time.perf_counter()
            matrix @ matrix
            seconds[dtype] = min(seconds[dtype], time.perf_counter() - start)
    faster = seconds[torch.bfloat16] < seconds[torch.float32]
    logger.info("precision auto: %s", "bfloat16" if faster else "float32")
    return "bfloat16" if faster else "float32"


def move(model: Module, device: str) -> Module:
    """Bring a network to a device.

    Raises:
        ConfigError: This machine has no such device.
    """
    try:
        if torch.device(device).type == "meta":
            raise RuntimeError("it holds no numbers")
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch raises both
        reason = str(error).splitlines()[0]
        raise ConfigError(f'cannot run on device {device!r} ({reason}); "cpu" is safe') from error


def decoder_for(model: Network, name: str) -> Decode:
    """Return a decoder by name; "" means the one the weights come with.

    Raises:
        UnknownNameError: There is no such decoder.
    """
    name = name or model.output.decoder
    if name not in DECODERS:
        raise UnknownNameError("decoder", name, DECODERS)
    return DECODERS[name]


class Reading(NamedTuple):
    """What a network says of a batch of crops.

    Attributes:
        xy: Keypoints (x, y), [B, K, 2], crop pixels.
        score: [B, K]; in 0..1 for networks whose heatmaps are logits.
        heights: Every stack's heatmaps as heights, first to last, each [B, K, H, W].
    """

    xy: Tensor
    score: Tensor
    heights: list[Tensor]


def prepare(images: Tensor, spec: InputSpec) -> Tensor:
    """Bring crops to the range that a network expects, [B, C, H, W], 0..255 to float32."""
    return normalize(images, spec.mean, spec.std, stretch=spec.contrast == "stretched")


@torch.inference_mode()
def read_keypoints(
    model: Network, images: Tensor, *, flip: bool = False, decoder: str = ""
) -> Reading:
    """Run a network on crops and read the last stack's keypoints.

    Args:
        model: In evaluation mode, on any device.
        images: Crops, [B, C, H, W], RGB 0..255, uint8.
        flip: Average the heatmaps of each crop and of its mirror (paper, Section 3.4).
        decoder: A key of `hgzoo.decoders.DECODERS`; "" takes the one the weights come with.

    Returns:
        Keypoints, scores and heatmaps, on the network's device.

    Raises:
        UnknownNameError: There is no such decoder.
        InputError: The crops have a size the network cannot take.
    """
    decode = decoder_for(model, decoder)
    ready = prepare(images.to(model.device), model.input).to(model.dtype)
    stacks = _heights(model, ready)
    if flip:
        index = model.output.skeleton_for(model.config.num_keypoints).flip_index
        mirrored = _heights(model, ready.flip(-1))
        stacks = [
            (one + flip_heatmaps(other, flip_index=index)) / 2
            for one, other in zip(stacks, mirrored, strict=True)
        ]
    xy, score = decode(stacks[-1])
    return Reading(heatmap_to_crop(xy, model.input.heatmap_stride), score, stacks)


def _heights(model: Network, ready: Tensor) -> list[Tensor]:
    return [heights(stack.float(), model.output.heatmaps) for stack in model(ready)]


class NetworkReader:
    """Asks a network for the keypoints in crops.

    Args:
        model: Is put into evaluation mode.
        flip: Average with the mirrored crop.
        decoder: A key of `hgzoo.decoders.DECODERS`; "" takes the one the weights come with.
        device: Where it runs, such as "cpu" or "cuda"; "" leaves it where it is.
        fast: A network that gives the same last heatmaps sooner; runs where nobody asks for those
            of every stack.

    Raises:
        UnknownNameError: There is no such decoder.
        ConfigError: There is no such device.
    """

    def __init__(
        self,
        model: Network,
        *,
        flip: bool = True,
        decoder: str = "",
        device: str = "",
        fast: Network | None = None,
    ) -> None:
        decoder_for(model, decoder)  # a wrong name is told now, not at the first picture
        self.model = _placed(model, device)
        self.fast = None if fast is None else _placed(fast, device)
        self.flip = flip
        self.decoder = decoder
        self.input = model.input
        self.skeleton = model.output.skeleton_for(model.config.num_keypoints)

    def __call__(self, crops: NDArray[np.uint8], *, heatmaps: bool = False) -> Found:
        """Read the keypoints of the person in each crop; see `hgzoo.readers.Reader`."""
        model = self.model if heatmaps or self.fast is None else self.fast
        read = read_keypoints(model, to_tensor(crops), flip=self.flip, decoder=self.decoder)
        return Found(
            read.xy.double().cpu().numpy(),
            read.score.double().cpu().numpy(),
            np.stack([one.cpu().numpy() for one in read.heights]) if heatmaps else None,
        )

    def without_flip(self) -> NetworkReader:
        """Return a reader of the same network that does not look at the mirror image."""
        return NetworkReader(self.model, flip=False, decoder=self.decoder, fast=self.fast)


def _placed(model: Network, device: str) -> Network:
    """Bring a network to a device, if it can be moved, and into evaluation mode."""
    if isinstance(model, nn.Module):
        model.eval()
        if device:
            move(model, device)
    elif device not in ("", "cpu"):
        raise ConfigError(f"this network runs on the CPU, not on device {device!r}")
    return model
