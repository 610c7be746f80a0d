"""Model cards: what weights are, written from their recipe."""

from __future__ import annotations

from pathlib import Path

from hgzoo import factory
from hgzoo.config import Measured, Recipe


def model_card(name: str | Path) -> str:
    """Write the card of pretrained weights, as Markdown.

    Args:
        name: A variant that has weights, or a variant and a tag.

    Returns:
        The whole text; every fact and figure in it comes from the recipe.

    Raises:
        UnknownNameError: No such variant or tag.
        WeightsError: The variant has no weights.
    """
    full, weights = factory.weights_info(name)
    recipe = factory.model_info(full)
    parts = [
        f"# {full}",
        f"{recipe.summary} Network: {recipe.paper}.",
        _figures(weights.measured),
        f"## What it is for\n\n{_contract(recipe)}",
        f"## What it is not for\n\n{weights.not_for}",
        f"## What it was trained on\n\n{weights.source}\n\n{_training(recipe)}",
        f"## Terms\n\n{weights.licence}",
        f"## Use\n\n```python\nimport hgzoo\n\nposes = hgzoo.Predictor({full!r})"
        '("photo.jpg")\n```'.replace("'", '"'),
        f"The file is `{weights.file}`, SHA-256 `{weights.sha256}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _figures(measured: tuple[Measured, ...]) -> str:
    tables = []
    for one in measured:
        rows = {**one.rows, "mean": one.value}
        tables.append(
            f"{one.metric}, as `{one.command}` prints it:\n\n"
            f"| {' | '.join(rows)} |\n|{' ---: |' * len(rows)}\n"
            f"| {' | '.join(f'{value:.2f}' for value in rows.values())} |"
        )
    return "\n\n".join(tables)


def _contract(recipe: Recipe) -> str:
    height, width = recipe.input.size
    skeleton = recipe.output.skeleton_for(recipe.model.num_keypoints)
    return (
        f"Finding {recipe.model.num_keypoints} keypoints of the person in the middle of a crop. "
        f"Input: RGB, {height}x{width}, {recipe.input.box_padding} times the person's extent, "
        f"minus mean {list(recipe.input.mean)}, divided by std {list(recipe.input.std)}. "
        f"Heatmaps are {recipe.output.heatmaps}; decoder: {recipe.output.decoder}. "
        f"Parameters: {factory.num_parameters(recipe):,}.\n\n"
        f"Keypoints: {', '.join(skeleton.keypoints)}."
    )


def _training(recipe: Recipe) -> str:
    train = recipe.train
    begin = f"from {train.init}" if train.init else "from random weights"
    return (
        f"Recipe: {train.epochs} epochs {begin}, batches of {train.batch_size}, {train.optimizer} "
        f"with a peak rate of {train.lr}, schedule {train.schedule}, loss {train.loss}, "
        f"Gaussians of sigma {train.sigma}. The rest stands in the [train] table of "
        f"`zoo_configs/{recipe.name}.toml`."
    )
