"""Model cards: what weights are, what they may be used for, and how good they are known to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from hgzoo.checkpoints import Checkpoint
from hgzoo.config import Measured, Reported, TrainConfig, Weights

MARK = "library_name: hgzoo"
"""What every card of ours holds."""

UNKNOWN = Weights(
    licence="Not stated: ask whoever trained it.",
    source="Not stated.",
)
"""What a card says of weights that nobody described."""


def card(
    checkpoint: Checkpoint,
    *,
    address: str,
    summary: str = "",
    picture: str = "",
    train: TrainConfig | None = None,
) -> str:
    """Write a model card as Markdown; every fact and figure in it comes from the arguments.

    Args:
        checkpoint: The network; its tensors only count.
        address: What the example loads, such as "hg2_tiny.people" or "hf-hub:owner/name".
        summary: One sentence on the architecture.
        picture: File name of a picture beside the card.
        train: The recipe of the training.
    """
    weights = checkpoint.weights or UNKNOWN
    parts = [
        f"# {checkpoint.name or 'A stacked hourglass network'}",
        _architecture(checkpoint, summary),
        picture and f"![A picture and what the network sees in it, stack by stack]({picture})",
        *_measured(weights.measured),
        _reported(weights.reported),
        f"## What it is for\n\n{_purpose(checkpoint)}",
        weights.not_for and f"## What it is not for\n\n{weights.not_for}",
        f"## What it was trained on\n\n{weights.source}",
        train and _training(train),
        f"## Terms\n\n{weights.licence}",
        f'## Use\n\n```python\nimport hgzoo\n\nposes = hgzoo.Predictor("{address}")'
        '("photo.jpg")\n```',
        _files(weights),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def front_matter(checkpoint: Checkpoint) -> str:
    """Write what the Hub reads at the head of a card."""
    spdx = (checkpoint.weights or UNKNOWN).spdx
    lines = [
        "---",
        MARK,
        "pipeline_tag: keypoint-detection",
        f"license: {spdx}",
        *(["license_name: see-the-terms-below", "license_link: README.md"] * (spdx == "other")),
        "tags:",
        *(f"- {tag}" for tag in ("pose-estimation", "keypoint-detection", "stacked-hourglass")),
        "---",
    ]
    return "\n".join(lines) + "\n\n"


def num_parameters(tensors: Mapping[str, Tensor]) -> int:
    """Count the trainable numbers of a state dict."""
    return sum(v.numel() for name, v in tensors.items() if name.endswith((".weight", ".bias")))


def _architecture(checkpoint: Checkpoint, summary: str) -> str:
    config = checkpoint.model
    stacks = "One hourglass" if config.num_stacks == 1 else f"{config.num_stacks} hourglasses"
    return (
        f"{summary or f'{stacks} of {config.num_feats} features.'} The network is that of "
        "[Stacked Hourglass Networks for Human Pose Estimation](https://arxiv.org/abs/1603.06937); "
        f"depth {config.depth}, residuals a place: {config.num_blocks}, stem "
        f"{', '.join(map(str, config.stem_channels))}; "
        f"{num_parameters(checkpoint.tensors):,} parameters."
    )


def _measured(measured: Sequence[Measured]) -> list[str]:
    tables = []
    for one in measured:
        rows = {**one.rows, "mean": one.value}
        tables.append(
            f"{one.metric}, as `{one.command}` prints it:\n\n"
            f"| {' | '.join(rows)} |\n|{' ---: |' * len(rows)}\n"
            f"| {' | '.join(f'{value:.2f}' for value in rows.values())} |"
        )
    return tables


def _reported(reported: Sequence[Reported]) -> str:
    if not reported:
        return ""
    rows = [f"| {one.value} | {one.metric} | {one.source} |" for one in reported]
    head = "Reported by others; hgzoo has not measured it:\n\n| value | metric | who says so |\n"
    return head + "\n".join(["| ---: | --- | --- |", *rows])


def _purpose(checkpoint: Checkpoint) -> str:
    spec, output, config = checkpoint.input, checkpoint.output, checkpoint.model
    (height, width), heatmaps = spec.size, "x".join(map(str, spec.heatmap_size))
    skeleton = output.skeleton_for(config.num_keypoints)
    names = ", ".join(skeleton.keypoints)
    stretched = "its contrast stretched to the full range, " * (spec.contrast == "stretched")
    limbs = ", ".join(
        f"{skeleton.keypoints[a]} to {skeleton.keypoints[b]}" for a, b in skeleton.limbs
    )
    return (
        f"Finding {config.num_keypoints} keypoints of the person or thing in the middle of a crop. "
        f"Input: {'RGB' if config.in_channels == 3 else f'{config.in_channels} channels'}, "
        f"{height}x{width}, {spec.box_padding} times the box's extent, {stretched}"
        f"minus mean {list(spec.mean)}, divided by std {list(spec.std)} (range 0 to 1). "
        f"Heatmaps {heatmaps} are {output.heatmaps}; decoder: {output.decoder}.\n\n"
        f"Keypoints: {names}."
    ) + (f"\n\nLimbs: {limbs}." if limbs else "")


def _training(train: TrainConfig) -> str:
    begin = f"from {train.init}" if train.init else "from random weights"
    return (
        f"Recipe: {train.epochs} epochs {begin}, batches of {train.batch_size}, {train.optimizer} "
        f"with a peak rate of {train.lr}, schedule {train.schedule}, loss {train.loss}, "
        f"Gaussians of sigma {train.sigma}. The rest stands in the recipe's [train] table."
    )


def _files(weights: Weights) -> str:
    lines = []
    if weights.file:
        lines.append(f"The file is `{weights.file}`, SHA-256 `{weights.sha256}`.")
    if weights.url:
        known = f"SHA-256 `{weights.url_sha256}…`" if weights.url_sha256 else "no published hash"
        lines.append(f"Converted from <{weights.url}> ({known}).")
    return " ".join(lines)
