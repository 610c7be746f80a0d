"""What a recipe says, as frozen records. No torch here: reading a recipe is instant.

Each record is one table of a file in zoo_configs; its attributes are the keys of that table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal

from hgzoo.errors import ConfigError, UnknownNameError
from hgzoo.skeletons import SKELETONS, Skeleton, nameless

HeatmapKind = Literal["heights", "logits", "log_odds"]
Metric = Literal["pck", "pckh"]
Precision = Literal["auto", "float32", "bfloat16"]

MOST = {
    "num_stacks": 64,
    "num_blocks": 64,
    "depth": 10,
    "num_feats": 8192,
    "num_keypoints": 8192,
    "in_channels": 1024,
}
"""Limits far beyond use, so that a damaged or hostile file cannot keep us building for ever."""

SAVE_EVERY = 500
"""Batches between two checkpoints of a training run, where nobody says."""

MOST_RESIDUALS = 8192
MOST_PIXELS = 2**24


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture.

    Attributes:
        num_stacks: Hourglasses in a row.
        num_feats: Width of the network, even.
        num_blocks: Residuals at each place of an hourglass.
        depth: Halvings inside one hourglass.
        stem_channels: Outgoing channels of the stem's 7x7 convolution and three residuals; the
            last is `num_feats`.
        residual: A name in `hgzoo.blocks.RESIDUALS`.
        num_keypoints: K, the number of heatmaps of each stack.
        in_channels: Channels of the picture.
        inner_supervision: For a single hourglass: how many coarser resolutions on its way up get
            a head of their own (the paper's HG-Int, Section 4.3, has two).
    """

    num_stacks: int
    num_feats: int = 256
    num_blocks: int = 1
    depth: int = 4
    stem_channels: tuple[int, int, int, int] = (64, 128, 256, 256)
    residual: str = "preact_bottleneck"
    num_keypoints: int = 16
    in_channels: int = 3
    inner_supervision: int = 0

    def __post_init__(self) -> None:
        """Refuse networks that cannot be built.

        Raises:
            ConfigError: Says which number is wrong, and what it must be.
        """
        for name, most in MOST.items():
            number = getattr(self, name)
            if type(number) is not int or number < 1:
                raise ConfigError(f"{name} must be a whole number and at least 1, got {number!r}")
            if number > most:
                raise ConfigError(f"{name} must be at most {most}, got {number}")
        if self.num_stacks * (3 * self.depth + 2) * self.num_blocks > MOST_RESIDUALS:
            raise ConfigError(
                f"{self.num_stacks} stacks of depth {self.depth} with {self.num_blocks} residuals "
                f"a place are more than {MOST_RESIDUALS} residuals"
            )
        widths = (self.num_feats, *self.stem_channels[1:])
        if len(self.stem_channels) != 4 or any(w < 2 or w % 2 for w in widths):
            raise ConfigError(
                "num_feats and the last three stem_channels must be even and positive, "
                f"got {self.num_feats} and {list(self.stem_channels)}"
            )
        if self.stem_channels[0] < 1 or self.stem_channels[3] != self.num_feats:
            raise ConfigError(
                f"stem_channels must end in num_feats ({self.num_feats}) and be positive, "
                f"got {list(self.stem_channels)}"
            )
        most = self.depth if self.num_stacks == 1 else 0
        if not 0 <= self.inner_supervision <= most:
            raise ConfigError(
                f"inner_supervision must be 0 to {most} here (several stacks supervise each "
                f"other already), got {self.inner_supervision}"
            )


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """The pictures a network expects.

    Attributes:
        size: (height, width) of a crop, pixels.
        heatmap_stride: Crop pixels per heatmap pixel; 4, as the stem makes it.
        mean: Subtracted from each channel, RGB, range 0..1.
        std: Divides each channel after that.
        box_padding: A crop shows this times the person's extent, in each direction.
        contrast: "stretched" brings each crop's darkest number to 0 and its brightest to 1 before
            the mean is subtracted, as the image library did with which bearpaw's weights were
            trained and judged; "kept" leaves it.

    Examples:
        >>> from hgzoo.config import InputSpec
        >>> InputSpec(size=(256, 192)).heatmap_size
        (64, 48)
        >>> InputSpec(mean=(0.25, 0.5, 0.75)).for_channels(1).mean
        (0.5,)
    """

    size: tuple[int, int] = (256, 256)
    heatmap_stride: int = 4
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    box_padding: float = 1.25
    contrast: Literal["kept", "stretched"] = "kept"

    def __post_init__(self) -> None:
        """Refuse contracts that no picture can meet.

        Raises:
            ConfigError: Says which value is wrong, and what it must be.
        """
        if len(self.size) != 2 or min(self.size) < 1 or self.size[0] * self.size[1] > MOST_PIXELS:
            raise ConfigError(
                f"size must be (height, width) in pixels, {MOST_PIXELS} of them at most, "
                f"got {self.size}"
            )
        if self.heatmap_stride != 4:
            raise ConfigError(f"heatmap_stride must be 4, the stem's, got {self.heatmap_stride}")
        finite = all(map(math.isfinite, (*self.mean, *self.std)))
        if len(self.mean) != len(self.std) or not finite or min(self.std, default=0.0) <= 0.0:
            raise ConfigError(
                "mean and std need one finite number a channel, and std above 0; "
                f"got {self.mean} and {self.std}"
            )
        if not 0.0 < self.box_padding < math.inf:
            raise ConfigError(f"box_padding must be above 0, got {self.box_padding}")

    def for_channels(self, in_channels: int) -> InputSpec:
        """Give each channel a mean and std: the average for one, repeated for others.

        Raises:
            ConfigError: There is no channel.
        """
        old = len(self.mean)
        if old == in_channels:
            return self
        if in_channels < 1:
            raise ConfigError(f"a picture needs at least 1 channel, got {in_channels}")
        if in_channels == 1:
            return replace(self, mean=(sum(self.mean) / old,), std=(sum(self.std) / old,))
        mean, std = (tuple(v[i % old] for i in range(in_channels)) for v in (self.mean, self.std))
        return replace(self, mean=mean, std=std)

    @property
    def heatmap_size(self) -> tuple[int, int]:
        """(height, width) of the heatmaps."""
        return self.size[0] // self.heatmap_stride, self.size[1] // self.heatmap_stride


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """What a network's heatmaps mean.

    Attributes:
        heatmaps: "heights" where a pixel is the height of a Gaussian (networks trained with a
            squared error), "logits" where a softmax over the pixels makes it a probability,
            "log_odds" where a sigmoid does it for each pixel alone, so that a heatmap may be empty.
        skeleton: Names, pairs and limbs of the keypoints. A table writes it out, or gives a key of
            `hgzoo.skeletons.SKELETONS`, or "" for points without names.
        decoder: A key of `hgzoo.decoders.DECODERS`: how keypoints are read from the heatmaps.

    Examples:
        >>> from hgzoo.config import OutputSpec
        >>> OutputSpec().skeleton_for(2).keypoints
        ('keypoint_0', 'keypoint_1')
    """

    heatmaps: HeatmapKind = "heights"
    skeleton: Skeleton = SKELETONS["mpii"]
    decoder: str = "quarter_offset"

    def skeleton_for(self, num_keypoints: int) -> Skeleton:
        """Return the skeleton, nameless where the network has another number of keypoints."""
        fits = self.skeleton.num_keypoints == num_keypoints
        return self.skeleton if fits else nameless(num_keypoints)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of training pictures. The defaults are the paper's public option file.

    Attributes:
        scale_std: The crop's size is multiplied by 2**N(0, scale_std).
        scale_clip: Draws of that normal are clipped to so many standard deviations.
        rotation_std: Degrees; the angle is N(0, rotation_std).
        rotation_clip: Draws of that normal are clipped to so many standard deviations.
        rotation_prob: How often a crop is rotated at all.
        shift_std: The crop's center moves by N(0, shift_std) of the person's extent, x and y.
        flip_prob: How often a crop is mirrored.
        color: Each channel is multiplied by a number from this range.
        gray_prob: How often a crop loses its color.
        collage_prob: How often the picture is cut at random round the person, and what a crop
            shows beyond that is a piece of another picture instead of black: where a picture ends
            then does not betray where its person is.
        half_body_prob: How often, 0..1, a crop shows only the upper or the lower half of a person
            with at least 8 annotated keypoints, 3 of them in that half.
        occlusion_prob: How often, 0..1, one to three patches, each 0.1 to 0.35 of the crop high and
            wide, hide parts of it. Keypoints beneath stay labeled.
        neighbor_prob: How often, 0..1, another person of the set is pasted beside this one, before
            or behind it, at 0.7 to 1.2 times its extent. Its keypoints are not labeled.
    """

    scale_std: float = 0.25
    scale_clip: float = 2.0
    rotation_std: float = 30.0
    rotation_clip: float = 2.0
    rotation_prob: float = 0.4
    shift_std: float = 0.0
    flip_prob: float = 0.5
    color: tuple[float, float] = (0.6, 1.4)
    gray_prob: float = 0.0
    collage_prob: float = 0.0
    half_body_prob: float = 0.0
    occlusion_prob: float = 0.0
    neighbor_prob: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no probability.

        Raises:
            ConfigError: Says which number is wrong, and what it must be.
        """
        for key in fields(self):
            value = getattr(self, key.name)
            if key.name.endswith("_prob") and not 0.0 <= value <= 1.0:
                raise ConfigError(f"{key.name} must be in 0..1, got {value}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How weights are made.

    Attributes:
        datasets: Name of each training set (a key of `hgzoo.data.DATASETS`, or the path of a JSON
            file in COCO's format, below the folder of the datasets), and how often an epoch shows
            each of its images: 2 shows all of them twice, 0.5 every second one. Keypoints are
            matched by name.
        label_weights: How much the labels of a training set count in the loss; 1 where a set is
            not named. Labels in COCO's format may carry a "weight" besides.
        validation: Name of each held-out set, and its share in the mean by which the best epoch
            is chosen; 0 only reports it.
        init: Weights to go on from, such as "hg2_tiny.people"; "" starts from random ones. Heatmap
            layers of keypoints with the same name are taken over.
        target: A key of `hgzoo.targets.TARGETS`.
        sigma: Width of the target's Gaussian, heatmap pixels.
        loss: A key of `hgzoo.losses.LOSSES`.
        unlabeled: Keypoints without annotation: "ignore" leaves them out of the loss, "zero"
            (the paper's rule) asks for an empty heatmap.
        hard_keypoints: Only so many keypoints of largest loss count in each picture; 0 for all.
        epochs: Passes over the training pictures.
        batch_size: Pictures a step; several processes share them.
        accumulate: Steps whose gradients are added before the weights move.
        optimizer: A name that timm.optim knows.
        optimizer_args: Further numbers for it, such as alpha and eps.
        momentum: Of optimizers that have one.
        lr: Peak learning rate.
        weight_decay: Weight decay.
        schedule: A name that timm.scheduler knows ("cosine", "step"), or "plateau" (the paper's):
            the rate is multiplied by `decay_rate` once validation stalls.
        warmup_epochs: Epochs (a fraction is fine) in which the rate climbs from zero.
        min_lr: Where the schedule ends.
        decay_rate: The factor of "plateau" and "step".
        decay_epochs: Epochs between two drops of "step".
        patience: Epochs without progress that "plateau" waits.
        ema_decay: Decay of the weights' running average; 0 for none.
        clip_grad: Largest norm of the gradient; 0 for none.
        grad_checkpointing: Trade time for memory.
        seed: Of the weights, the order and the augmentation.
        augment: The table [train.augment].
    """

    datasets: Mapping[str, float] = field(default_factory=dict)
    label_weights: Mapping[str, float] = field(default_factory=dict)
    validation: Mapping[str, float] = field(default_factory=dict)
    init: str = ""
    target: str = "gaussian"
    sigma: float = 1.0
    loss: str = "mse"
    unlabeled: Literal["ignore", "zero"] = "ignore"
    hard_keypoints: int = 0
    epochs: int = 100
    batch_size: int = 16
    accumulate: int = 1
    optimizer: str = "adamw"
    optimizer_args: Mapping[str, float] = field(default_factory=dict)
    momentum: float = 0.9
    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup_epochs: float = 0.0
    min_lr: float = 0.0
    decay_rate: float = 0.2
    decay_epochs: int = 30
    patience: int = 5
    ema_decay: float = 0.0
    clip_grad: float = 0.0
    grad_checkpointing: bool = False
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        """Refuse numbers that cannot train.

        Raises:
            ConfigError: Says which number is wrong, and what it must be.
        """
        for name in ("epochs", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("sigma", "lr"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        if not 0.0 <= self.ema_decay < 1.0:
            raise ConfigError(f"ema_decay must be in [0, 1), got {self.ema_decay}")
        for name in ("datasets", "label_weights", "validation"):
            for dataset, number in getattr(self, name).items():
                if not 0.0 <= number < math.inf:
                    raise ConfigError(f"{name}.{dataset} must be 0 or more, got {number}")
        for dataset in self.label_weights:
            if dataset not in self.datasets:
                raise UnknownNameError("dataset in label_weights", dataset, self.datasets)
        if self.validation and not any(self.validation.values()):
            raise ConfigError("one set of validation at least needs a share above 0")


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """How weights are judged.

    Attributes:
        metric: "pck" or "pckh": how figures are called. What distances are divided by comes with
            the people: the torso (LSP, FLIC) or the head's size (MPII).
        threshold: A keypoint is right within this fraction of that length.
        flip: Average the heatmaps of the picture and its mirror.
    """

    metric: Metric = "pck"
    threshold: float = 0.2
    flip: bool = True


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A figure, and the command that printed it.

    Attributes:
        value: The figure that stands for all.
        metric: What it is, of what, on which pictures.
        command: What printed it.
        rows: The rows it is the mean of.
    """

    value: float
    metric: str
    command: str
    rows: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A figure that somebody else published.

    Attributes:
        value: The figure.
        metric: What it is, of what, on which pictures.
        source: Who says so.
    """

    value: float
    metric: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Pretrained weights of a variant: where they are, and what may be done with them.

    Attributes:
        file: File name under hgzoo/weights, in the wheel; "" where they are not in it.
        hub_id: Repository on the Hugging Face Hub that holds our safetensors, "owner/name".
        revision: The commit, tag or branch of it that is meant.
        sha256: Of our safetensors, in the wheel or on the Hub; "" where not known yet.
        url: Address of the original file, which is converted on arrival.
        url_sha256: Of the original file: all 64 hex digits, or the 8 and more its name carries; ""
            where nobody published it.
        licence: Terms of use.
        spdx: The licence's identifier in lower case, as the Hub writes it.
        redistributable: Whether the terms let us publish them on the Hub.
        source: What they were trained on, and by whom.
        not_for: What they should not be used for.
        measured: Figures that a command of this repository printed.
        reported: Figures that others published.
    """

    file: str = ""
    hub_id: str = ""
    revision: str = "main"
    sha256: str = ""
    url: str = ""
    url_sha256: str = ""
    licence: str
    spdx: str = "other"
    redistributable: bool = True
    source: str
    not_for: str = ""
    measured: tuple[Measured, ...] = ()
    reported: tuple[Reported, ...] = ()

    def __post_init__(self) -> None:
        """Refuse hashes that cannot be compared.

        Raises:
            ConfigError: Says which value is wrong, and what it must be.
        """
        if self.file and not self.sha256:
            raise ConfigError(f"the weights {self.file} need their sha256")
        if not re.fullmatch(r"[\w.+-]+", self.spdx):
            raise ConfigError(f"spdx must be a licence's identifier, got {self.spdx!r}")
        for name, least in (("sha256", 64), ("url_sha256", 8)):
            digits = getattr(self, name)
            if digits and not (
                least <= len(digits) <= 64 and set(digits) <= set("0123456789abcdef")
            ):
                raise ConfigError(f"{name} must be {least} to 64 hex digits, got {digits!r}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One variant's whole story: a file of zoo_configs.

    Attributes:
        name: The file's stem.
        summary: One sentence.
        paper: Where the variant comes from.
        default_weights: The tag that `pretrained=True` means; "" where none exist.
        model: The table [model].
        input: The table [input].
        output: The table [output].
        weights: The tables [weights.TAG].
        train: The table [train].
        eval: The table [eval].
    """

    name: str
    summary: str
    paper: str = ""
    default_weights: str = ""
    model: ModelConfig
    input: InputSpec = field(default_factory=InputSpec)
    output: OutputSpec = field(default_factory=OutputSpec)
    weights: Mapping[str, Weights] = field(default_factory=dict)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)

    def __post_init__(self) -> None:
        """Refuse a recipe whose tables contradict each other.

        Raises:
            ConfigError: Says which tables, and how.
        """
        if self.default_weights and self.default_weights not in self.weights:
            raise ConfigError(
                f"recipe {self.name!r}: default_weights {self.default_weights!r} has no table "
                f"[weights.{self.default_weights}]"
            )
        check_together(self.model, self.input, where=f"recipe {self.name!r}")


def check_together(model: ModelConfig, spec: InputSpec, *, where: str) -> None:
    """Refuse pictures that a network cannot take.

    Raises:
        ConfigError: Channels or size do not fit.

    Examples:
        >>> from hgzoo.config import InputSpec, ModelConfig, check_together
        >>> check_together(ModelConfig(num_stacks=1), InputSpec(size=(256, 192)), where="mine")
        >>> check_together(ModelConfig(num_stacks=1), InputSpec(size=(250, 192)), where="mine")
        Traceback (most recent call last):
            ...
        hgzoo.errors.ConfigError: mine: [input] size [250, 192] must divide by 64
    """
    if len(spec.mean) != model.in_channels:
        raise ConfigError(
            f"{where}: [input] has {len(spec.mean)} means for {model.in_channels} channels"
        )
    step = spec.heatmap_stride * 2**model.depth
    if spec.size[0] % step or spec.size[1] % step:
        raise ConfigError(f"{where}: [input] size {list(spec.size)} must divide by {step}")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What belongs to the machine and not to the recipe.

    Attributes:
        precision: Number format of the forward pass; weights and losses are always float32. "auto"
            takes the faster one of this machine.
        workers: Processes that read pictures beside the training process.
        progress: Show a progress bar.
        save_every: Batches between two checkpoints; each epoch ends with one too.
    """

    precision: Precision = "float32"
    workers: int = 0
    progress: bool = True
    save_every: int = SAVE_EVERY

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense.

        Raises:
            ConfigError: Says which.
        """
        if self.save_every < 1:
            raise ConfigError(f"save_every must be at least 1 batch, got {self.save_every}")
