"""A network as a folder, the way the Hugging Face Hub keeps it: weights, config.json, model card.

config.json has timm's keys (architecture, num_classes, model_args, pretrained_cfg), so that timm's
loader reads it too; names, pairs and limbs of the keypoints stand at its root, and what only hgzoo
knows under "hgzoo".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hgzoo import cards, checkpoints, recipes
from hgzoo.calibration import calibrated
from hgzoo.checkpoints import Checkpoint
from hgzoo.config import InputSpec, ModelConfig, Recipe
from hgzoo.errors import ConfigError, HgzooError, WeightsError
from hgzoo.files import atomic, is_folder, write_text
from hgzoo.geometry import Crop
from hgzoo.inference import Network, read_keypoints
from hgzoo.normalization import to_tensor
from hgzoo.pictures import DEMO, RGB, load
from hgzoo.skeletons import SKELETONS, Pose
from hgzoo.visualize import draw_skeleton, draw_stacks

WEIGHTS_FILES = ("model.safetensors", "best.safetensors", "pytorch_model.bin")
"""Ours and the Hub's, that of a run folder of `hgzoo train`, and the older one of timm."""

CONFIG_FILE = "config.json"
CARD_FILE = "README.md"
PICTURE_FILE = "picture.jpg"

GENERIC = "stacked_hourglass"
"""The architecture of a network that is no variant of the zoo."""


def write(
    checkpoint: Checkpoint,
    directory: Path,
    *,
    half: bool = False,
    address: str = "",
    picture: RGB | None = None,
) -> None:
    """Write weights, config.json, model card and picture into a folder.

    Args:
        checkpoint: The network.
        directory: The folder; made where it does not exist.
        half: Store the weights in half precision.
        address: What the card's example loads; "" takes the folder.
        picture: What the network sees, [H, W, 3], 0..255.

    Raises:
        WeightsError: It cannot be written.
    """
    if checkpoint.weights:  # where others keep them is not true of this folder
        here = replace(checkpoint.weights, file="", sha256="", hub_id="", revision="main")
        checkpoint = replace(checkpoint, weights=here)
    try:
        card = cards.card(
            checkpoint,
            address=address or f"local-dir:{directory.resolve().name}",
            picture="" if picture is None else PICTURE_FILE,
        )
        _check_ours(directory)
        # Without config.json the weights tell themselves what they are: so an interruption never
        # leaves weights beside the description of others.
        for name in (CONFIG_FILE, PICTURE_FILE):
            (directory / name).unlink(missing_ok=True)
        checkpoints.write(checkpoint, directory / WEIGHTS_FILES[0], half=half)
        if picture is not None:
            with atomic(directory / PICTURE_FILE) as temporary:
                Image.fromarray(picture).save(temporary, format="JPEG", quality=90)
        write_text(directory / CARD_FILE, cards.front_matter(checkpoint) + card.rstrip("\n"))
        write_text(directory / CONFIG_FILE, json.dumps(to_config(checkpoint), indent=2))
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot write {directory}: {error}") from error


def _check_ours(directory: Path) -> None:
    """Refuse a folder whose files belong to something else.

    Raises:
        WeightsError: Names the file that would be lost.
    """
    for name, mark in ((CARD_FILE, cards.MARK), (CONFIG_FILE, '"pretrained_cfg"')):
        path = directory / name
        if path.exists() and mark not in path.read_text(encoding="utf-8", errors="replace"):
            raise WeightsError(f"{path} is not hgzoo's and would be lost; choose another folder")


def read(path: Path, *, like: Recipe | None = None, contract: str = "") -> Checkpoint:
    """Read weights: a folder that `write`, timm or `hgzoo train` left, or any checkpoint file.

    Args:
        path: The folder or file.
        like: Says what pictures are expected and what the heatmaps mean, where the weights do not.
        contract: As for `hgzoo.checkpoints.read`.

    Raises:
        WeightsError: There are no weights, or they are damaged or of no known layout.
        ConfigError: config.json cannot be read.
    """
    if not is_folder(path):
        return checkpoints.read(path, like=like, contract=contract)
    found = [path / name for name in WEIGHTS_FILES if (path / name).is_file()]
    if not found:
        raise WeightsError(f"{path} holds none of {', '.join(WEIGHTS_FILES)}")
    if not (path / CONFIG_FILE).is_file():
        return checkpoints.read(found[0], like=like, contract=contract)
    if contract:
        raise ConfigError(f"{path} says itself what pictures it expects; leave contract out")
    recipe = read_config(path / CONFIG_FILE)
    return replace(
        checkpoints.read(found[0], like=recipe),
        model=recipe.model,
        input=recipe.input,
        output=recipe.output,
        name=recipe.name if recipe.weights else "",
        weights=recipe.weights.get(recipe.default_weights),
        path=path,
    )


def read_config(path: Path) -> Recipe:
    """Read a config.json as a recipe whose weights have the tag that the folder's name tells.

    Raises:
        ConfigError: It is no config.json of a network of hgzoo.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return _from_config(table, where=str(path))
    except HgzooError as error:
        raise ConfigError(f"{path}: {error}") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path} is no config.json of hgzoo or timm: {error!r}") from error


def to_config(checkpoint: Checkpoint) -> dict[str, Any]:  # Any: JSON
    """Return what config.json says of a network."""
    described = checkpoints.describe(checkpoint)
    described["output"].pop("skeleton")
    arguments = described.pop("model")
    skeleton = checkpoint.output.skeleton_for(checkpoint.model.num_keypoints)
    variant = checkpoint.name.partition(".")[0]
    return {
        "architecture": variant if variant in recipes.names() else GENERIC,
        "num_classes": arguments.pop("num_keypoints"),
        "num_features": checkpoint.model.num_feats,
        "model_args": {"in_chans": arguments.pop("in_channels"), **arguments},
        "pretrained_cfg": timm_record(checkpoint.model, checkpoint.input),
        "skeleton": skeleton.name,
        "keypoints": skeleton.keypoints,
        "flip_pairs": skeleton.flip_pairs,
        "limbs": skeleton.limbs,
        "groups": skeleton.groups,
        "hgzoo": described,
    }


def timm_record(model: ModelConfig, spec: InputSpec) -> dict[str, Any]:  # Any: timm's own types
    """Return the input contract as timm writes it, under timm's names."""
    return {
        "num_classes": model.num_keypoints,
        "input_size": (model.in_channels, *spec.size),
        "mean": spec.mean,
        "std": spec.std,
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "first_conv": "stem.conv",
        "classifier": tuple(f"heads.{stack}.heatmaps" for stack in range(model.num_stacks)),
    }


def _from_config(table: Mapping[str, Any], *, where: str) -> Recipe:
    """Read config.json; one that timm wrote leaves the rest to the variant's recipe."""
    arguments = {
        **table.get("model_args", {}),
        "num_keypoints": table["num_classes"],
        "in_channels": table["pretrained_cfg"]["input_size"][0],
    }
    for theirs in ("in_chans", "num_classes", "global_pool"):  # timm's; said above, or nothing here
        arguments.pop(theirs, None)
    if "hgzoo" not in table:
        return _like_variant(table, arguments, where=where)
    names = ("keypoints", "flip_pairs", "limbs", "groups")
    skeleton = {"name": table["skeleton"], **{name: table[name] for name in names}}
    described = dict(table["hgzoo"])
    described["output"] = {**described["output"], "skeleton": skeleton}
    record = checkpoints.from_description({**described, "model": arguments}, where=where)
    weights = record.pop("weights", None)
    tag = record["name"].partition(".")[2] or "own"
    return Recipe(
        **{**record, "name": record["name"] or Path(where).parent.name},
        summary=f"A network from {Path(where).parent}.",
        default_weights=tag if weights else "",
        weights={tag: weights} if weights else {},
    )


def _like_variant(table: Mapping[str, Any], arguments: dict[str, Any], *, where: str) -> Recipe:
    if table["architecture"] == GENERIC:
        folder = Path(where).parent
        summary = f"A network from {folder}."
        recipe = Recipe(name=folder.name, summary=summary, model=ModelConfig(num_stacks=1))
    else:
        recipe = recipes.read(table["architecture"])
    model = recipes.from_table(
        ModelConfig, {**recipes.to_table(recipe.model), **arguments}, where=where
    )
    record = table["pretrained_cfg"]
    values = {name: record[name] for name in ("mean", "std") if name in record}
    size = {"size": record["input_size"][1:]}
    spec = {**recipes.to_table(recipe.input), **values, **size}
    return replace(
        recipe,
        model=model,
        input=recipes.from_table(InputSpec, spec, where=where),
        default_weights="",
        weights={},
    )


def picture_of(network: Network) -> RGB | None:
    """Draw what a network of human keypoints sees in the picture that comes with hgzoo.

    Args:
        network: In evaluation mode.

    Returns:
        The skeleton on the crop, then the heatmaps of every stack, [H, W, 3], 0..255; None for
        networks of other keypoints or other pictures than RGB and gray.
    """
    config, spec = network.config, network.input
    skeleton = network.output.skeleton_for(config.num_keypoints)
    if skeleton.name not in SKELETONS or config.in_channels not in (1, 3):
        return None
    pixels = load(DEMO)
    height, width = pixels.shape[:2]
    crop = Crop.from_box((0.0, 0.0, float(width), float(height)), size=spec.size).warp(pixels)
    reading = read_keypoints(network, to_tensor(crop[None]), flip=True)
    calibration = network.output.calibration
    pose = Pose(
        keypoints=reading.xy[0].double().cpu().numpy(),
        scores=calibrated(reading.score[0].double().cpu().numpy(), calibration),
        names=skeleton.keypoints,
        box=(0.0, 0.0, float(spec.size[1]), float(spec.size[0])),
        skeleton=skeleton,
        heatmaps=np.stack([stack[0].cpu().numpy() for stack in reading.heights]),
        calibrated=calibration.known,
    )
    drawn = draw_stacks(crop, pose)
    skeleton_only = draw_stacks(draw_skeleton(crop, [pose]), replace(pose, heatmaps=None))
    drawn[:, : skeleton_only.shape[1]] = skeleton_only
    return drawn
