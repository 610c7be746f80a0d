"""The stacked hourglass network: the whole forward pass on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from hgzoo import directories, sources
from hgzoo.blocks import RESIDUALS, Feedback, Hourglass, Residuals, Stem, SupervisionHead
from hgzoo.checkpoints import Checkpoint, Origin, fill, fingerprint
from hgzoo.config import InputSpec, ModelConfig, OutputSpec
from hgzoo.errors import ConfigError, InputError, UnknownNameError

STEM_STRIDE = 4


class StackedHourglass(nn.Module):
    """Hourglasses end to end, each with its own heatmaps (Newell, Yang, Deng, ECCV 2016).

    Args:
        config: The architecture.
        input: What pictures it expects. Carried for whoever prepares them; `forward` does not
            normalize.
        output: What its heatmaps mean. Carried for whoever reads them.

    Shape:
        - Input: [B, in_channels, H, W], normalized RGB, H and W divisible by 4 * 2**depth
        - Output: a list of heatmaps [B, K, H/4, W/4], first stack to last, in training and in
          evaluation alike

    Raises:
        UnknownNameError: `config.residual` stands in no table.

    Examples:
        >>> import torch
        >>> from hgzoo import StackedHourglass
        >>> from hgzoo.config import ModelConfig
        >>> widths = (2, 4, 4, 8)
        >>> config = ModelConfig(num_stacks=2, num_feats=8, stem_channels=widths, num_keypoints=5)
        >>> model = StackedHourglass(config)
        >>> [list(heatmaps.shape) for heatmaps in model(torch.zeros(1, 3, 64, 128))]
        [[1, 5, 16, 32], [1, 5, 16, 32]]
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        input: InputSpec | None = None,
        output: OutputSpec | None = None,
    ) -> None:
        super().__init__()
        if config.residual not in RESIDUALS:
            raise UnknownNameError("residual", config.residual, RESIDUALS)
        self.config = config
        self.input = input or InputSpec()
        self.output = output or OutputSpec()
        self.origin: Origin | None = None  # what its weights were, when they came from a file
        self.frozen: tuple[nn.Module, ...] = ()
        self._timm_record: dict[str, Any] = {}  # Any: timm's own; what timm knows of the weights
        make_residual = RESIDUALS[config.residual]
        feats, stacks = config.num_feats, range(config.num_stacks)

        def make_block() -> Residuals:
            return Residuals(*(make_residual(feats, feats) for _ in range(config.num_blocks)))

        def make_head() -> SupervisionHead:
            return SupervisionHead(feats, config.num_keypoints, make_block)

        self.stem = Stem(config.in_channels, config.stem_channels, make_residual)
        self.hourglasses = nn.ModuleList(Hourglass(config.depth, make_block) for _ in stacks)
        self.heads = nn.ModuleList(make_head() for _ in stacks)
        self.feedbacks = nn.ModuleList(Feedback(feats, config.num_keypoints) for _ in stacks[1:])
        self.inner_heads = nn.ModuleList(make_head() for _ in range(config.inner_supervision))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return every stack's heatmaps, first to last.

        Args:
            images: Normalized pictures, [B, in_channels, H, W].

        Returns:
            `num_stacks` tensors [B, K, H/4, W/4]; with `inner_supervision`, the coarser
            predictions of the single hourglass come first, enlarged to the same size.

        Raises:
            InputError: A side does not divide by 4 * 2**depth, or the channels differ.
        """
        return [one for _, heatmaps in self._stacks(images) for one in heatmaps]

    def _stacks(self, images: Tensor) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """Give each stack's features and its predictions, as they are made, first to last.

        Who does not keep the features lets go of them: in inference their memory is free again.
        """
        check_images(images, self.config)
        x = self.stem(images)
        for stack, (hourglass, head) in enumerate(zip(self.hourglasses, self.heads, strict=True)):
            pyramid = cast(Hourglass, hourglass).pyramid(x)
            all_heatmaps: list[Tensor] = []
            for level, inner_head in enumerate(self.inner_heads, -1 - len(self.inner_heads)):
                coarse = inner_head(pyramid[level])[1]
                all_heatmaps.append(interpolate(coarse, size=x.shape[-2:], mode="nearest"))
            feats, heatmaps = head(pyramid[-1])
            yield feats, [*all_heatmaps, heatmaps]
            if stack < len(self.feedbacks):
                x = self.feedbacks[stack](x, feats, heatmaps)

    # Weights, in and out.

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, *, where: str) -> StackedHourglass:
        """Build a network around the tensors of a checkpoint.

        Args:
            checkpoint: What `hgzoo.checkpoints.read` gave.
            where: The file or folder it was read from.

        Returns:
            The network in float32 and evaluation mode, on the CPU.

        Raises:
            WeightsError: The tensors are not those of the architecture; lists the keys.
        """
        with torch.device("meta"):
            model = cls(checkpoint.model, input=checkpoint.input, output=checkpoint.output)
        model.take(checkpoint, where=where)
        return model.eval()

    def take(self, checkpoint: Checkpoint, *, where: str) -> None:
        """Take the tensors of a checkpoint over, and remember whose they were.

        Args:
            checkpoint: Of the same architecture.
            where: The file or folder it was read from.

        Raises:
            WeightsError: The tensors are not those of the architecture; lists the keys.
        """
        fill(self, checkpoint.tensors, where=where)
        self.origin = None
        if checkpoint.weights:
            read = fingerprint(self.checkpoint())
            self.origin = Origin(checkpoint.name, checkpoint.weights, read)

    def checkpoint(self) -> Checkpoint:
        """Return the network as plain data; its tensors are not copied.

        Name and figures are those of the weights that were read, as long as nothing has changed
        since; after that only the terms remain.
        """
        now = Checkpoint(
            model=self.config, input=self.input, output=self.output, tensors=self.state_dict()
        )
        if self.origin is None:
            return now
        if fingerprint(now) == self.origin.fingerprint:
            return replace(now, name=self.origin.name, weights=self.origin.weights)
        return replace(now, weights=self.origin.passed_on())

    def save_pretrained(
        self, directory: str | Path, *, half: bool = False, address: str = ""
    ) -> None:
        """Write weights, config.json and a model card with a picture into a folder.

        Args:
            directory: The folder; made where it does not exist.
            half: Store the weights in half precision (half the size).
            address: What the card's example loads, such as "hf-hub:owner/name"; "" takes the
                folder.

        Raises:
            WeightsError: It cannot be written, or a file that is not ours would be lost.
            ConfigError: No folder is named.
        """
        if not str(directory):
            raise ConfigError("name the folder to save to")
        checkpoint = self.checkpoint()
        # Drawn by a twin in float32 and evaluation mode, so that nothing changes in this one.
        twin = self.from_checkpoint(checkpoint, where="the network")
        directories.write(
            checkpoint,
            Path(directory),
            half=half,
            address=address,
            picture=directories.picture_of(twin),
        )

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str = "main",
        cache_dir: str | Path | None = None,
    ) -> StackedHourglass:
        """Load what `save_pretrained` or `hgzoo.push_to_hub` wrote.

        Args:
            source: A folder, or a repository on the Hugging Face Hub, "owner/name"; with the
                prefix "local-dir:" or "hf-hub:" it can only be that.
            revision: Of the repository: a commit, tag or branch.
            cache_dir: Folder for what is downloaded; None takes the Hugging Face cache.

        Raises:
            WeightsError: It cannot be had, or is damaged.
        """
        folder = sources.folder_of(source, revision=revision, cache_dir=cache_dir)
        return cls.from_checkpoint(directories.read(folder), where=str(source))

    # Freezing.

    def freeze(self, num_stacks: int = 0) -> None:
        """Keep the stem and the first stacks as they are in training.

        The layers that make heatmaps, and those that feed them back, stay trainable: they are new
        where the keypoints are.

        Args:
            num_stacks: How many stacks besides the stem.

        Raises:
            ConfigError: There are not so many stacks.
        """
        stacks = self.config.num_stacks
        if not 0 <= num_stacks <= stacks:
            raise ConfigError(f"0 to {stacks} stacks can be frozen, got {num_stacks}")
        parts = [self.stem, *self.hourglasses[:num_stacks], *self.heads[:num_stacks]]
        self.frozen = (*parts, *self.feedbacks[:num_stacks])
        fed_back = [cast(Feedback, one).heatmaps for one in self.feedbacks]
        trained = {
            id(p) for layer in (*self.get_classifier(), *fed_back) for p in layer.parameters()
        }
        for part in self.frozen:
            for parameter in part.parameters():
                parameter.requires_grad_(id(parameter) in trained)
        self.train(self.training)

    def train(self, mode: bool = True) -> StackedHourglass:
        """Switch to training mode, but for what is frozen: its batch norms keep their numbers."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    @property
    def device(self) -> torch.device:
        """Where it takes its pictures."""
        return self.stem.conv.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The number format in which it takes them."""
        return self.stem.conv.weight.dtype

    # timm's interface, under timm's names.

    @property
    def num_features(self) -> int:
        """Channels of the features that the heatmaps are read from."""
        return self.config.num_feats

    @property
    def num_classes(self) -> int:
        """K, under timm's name."""
        return self.config.num_keypoints

    @property
    def feature_info(self) -> list[dict[str, Any]]:  # Any: timm's own untyped records
        """One tap of stride 4 a stack: channels, reduction, module name."""
        return [
            {"num_chs": self.num_features, "reduction": STEM_STRIDE, "module": f"heads.{stack}"}
            for stack in range(self.config.num_stacks)
        ]

    @property
    def pretrained_cfg(self) -> dict[str, Any]:  # Any: timm's own untyped record
        """The input contract as timm writes it, and what else timm wants to know of the weights."""
        return {**self._timm_record, **directories.timm_record(self.config, self.input)}

    @pretrained_cfg.setter
    def pretrained_cfg(self, record: Mapping[str, Any]) -> None:
        """Keep what timm knows of the weights: where from, which tag. The contract stays ours."""
        self._timm_record = dict(record)

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the last stack's features, [B, num_feats, H/4, W/4]."""
        for feats, _ in self._stacks(images):  # noqa: B007 - the last one counts
            pass
        return feats

    def forward_head(self, feats: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the last heatmaps of the last features, [B, K, H/4, W/4].

        Args:
            feats: What `forward_features` gave, [B, num_feats, H/4, W/4].
            pre_logits: Return the features themselves.
        """
        head = self.heads[-1]
        return feats if pre_logits else cast(SupervisionHead, head).heatmaps(feats)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Return the features of chosen stacks, and the last stack's.

        Args:
            x: Normalized pictures, [B, in_channels, H, W].
            indices: Stacks to return: a list, the last n, or all.
            norm: Without effect: the features have passed their batch norm.
            stop_early: Without effect: every stack runs.
            output_fmt: "NCHW", the only one.
            intermediates_only: Leave the last features out.

        Returns:
            The features [B, num_feats, H/4, W/4] of each chosen stack; unless
            `intermediates_only`, a pair of the last stack's features and that list.

        Raises:
            ConfigError: Another format is asked for, or a stack that does not exist.
        """
        if output_fmt != "NCHW":
            raise ConfigError(f"output_fmt must be 'NCHW', got {output_fmt!r}")
        stacks = self.config.num_stacks
        if indices is None:
            indices = stacks
        chosen = range(-indices, 0) if isinstance(indices, int) else indices
        if not chosen or any(not -stacks <= index < stacks for index in chosen):
            raise ConfigError(f"indices {list(chosen)} must name stacks 0 to {stacks - 1}")
        wanted = {index % stacks for index in chosen}
        kept: dict[int, Tensor] = {}
        for stack, (feats, _) in enumerate(self._stacks(x)):
            if stack in wanted:
                kept[stack] = feats
        taken = [kept[index % stacks] for index in chosen]
        return taken if intermediates_only else (feats, taken)

    def get_classifier(self) -> tuple[nn.Module, ...]:
        """Return the layers that make heatmaps, first stack to last."""
        heads = [*self.inner_heads, *self.heads]
        return tuple(cast(SupervisionHead, head).heatmaps for head in heads)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Give every stack new, random heatmap layers, and new layers that feed them back.

        Args:
            num_classes: The new K.
            global_pool: Without effect: heatmaps are never pooled.
        """
        feats = self.config.num_feats
        like = self.stem.conv.weight
        self.config = replace(self.config, num_keypoints=num_classes)
        self.output = self.output.uncalibrated()
        for head in (*self.inner_heads, *self.heads):
            head.heatmaps = nn.Conv2d(feats, num_classes, 1).to(like)
        for feedback in self.feedbacks:
            feedback.heatmaps = nn.Conv2d(num_classes, feats, 1).to(like)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trade time for memory in training: keep only each residual's input."""
        for module in self.modules():
            if isinstance(module, Residuals | Stem):
                module.grad_checkpointing = enable

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:  # Any: timm's own format
        """Return patterns that group parameters from stem to last stack, for layer decay.

        Args:
            coarse: Without effect: the groups are the stem and the stacks.
        """
        return {
            "stem": r"^stem",
            "blocks": [
                (r"^(?:hourglasses|heads|feedbacks)\.(\d+)", None),
                (r"^inner_heads", (0,)),
            ],
        }


def check_images(images: Tensor, config: ModelConfig) -> None:
    """Refuse pictures that a network cannot take.

    Args:
        images: Should be [B, in_channels, H, W], H and W divisible by 4 * 2**depth.
        config: The network's architecture.

    Raises:
        InputError: They are not; the message names the nearest sizes that are.

    Examples:
        >>> import torch
        >>> from hgzoo.config import ModelConfig
        >>> from hgzoo.model import check_images
        >>> check_images(torch.zeros(1, 3, 64, 128), ModelConfig(num_stacks=1))
        >>> check_images(torch.zeros(1, 3, 100, 128), ModelConfig(num_stacks=1))
        Traceback (most recent call last):
            ...
        hgzoo.errors.InputError: height and width must divide by 64 (stride 4 times ...
    """
    channels = config.in_channels
    if images.ndim != 4 or images.shape[1] != channels:
        raise InputError(
            f"expected images [B, {channels}, H, W], got {list(images.shape)}; "
            "a network for other channels is create_model(..., in_chans=...)"
        )
    step = STEM_STRIDE * 2**config.depth
    height, width = images.shape[-2:]
    if height % step or width % step or not height * width:
        near = " or ".join(
            f"{max(h, step)}x{max(w, step)}"
            for h, w in (
                (height // step * step, width // step * step),
                (-(-height // step) * step, -(-width // step) * step),
            )
        )
        raise InputError(
            f"height and width must divide by {step} (stride {STEM_STRIDE} times "
            f"2**{config.depth}), got {height}x{width}; the nearest that work: {near}"
        )
