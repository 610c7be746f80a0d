"""Pretrained weights for one's own keypoints."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hgzoo
import hgzoo.data
from hgzoo import finetuning
from hgzoo.cli import main
from hgzoo.config import AugmentConfig, Options
from hgzoo.data import read_coco
from hgzoo.errors import ConfigError
from hgzoo.finetuning import FINETUNE, finetune, prepare, split
from tests.conftest import small_model

NAMES = ["left_corner", "right_corner", "middle"]


@pytest.fixture
def triangles(tmp_path: Path) -> Path:
    """Twelve pictures of a triangle, annotated in COCO's format; one picture is missing."""
    random = np.random.default_rng(0)
    images, annotations = [], []
    (tmp_path / "pictures").mkdir()
    for number in range(12):
        picture = random.integers(0, 60, (64, 96, 3), dtype=np.uint8)
        corners = random.uniform([10, 10], [80, 50], (3, 2)).round()
        for (x, y), color in zip(corners.astype(int), np.eye(3, dtype=int) * 255, strict=True):
            picture[y - 3 : y + 4, x - 3 : x + 4] = color
        Image.fromarray(picture).save(tmp_path / "pictures" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png"})
        flags = np.column_stack([corners, [2, 2, 2]])
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "bbox": [5, 5, 85, 55],
                "keypoints": flags.ravel().tolist(),
            }
        )
    (tmp_path / "pictures" / "11.png").unlink()
    category = {"id": 1, "name": "triangle", "keypoints": NAMES, "skeleton": [[1, 3], [3, 2]]}
    table = {"images": images, "annotations": annotations, "categories": [category]}
    (tmp_path / "own.json").write_text(json.dumps(table), encoding="utf-8")
    return tmp_path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    small_model(num_feats=8, stem_channels=(2, 4, 8, 8)).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def test_new_heads_bring_new_names(triangles: Path, base: Path) -> None:
    skeleton = read_coco(triangles / "own.json", triangles / "pictures")[1]
    recipe, model = prepare(base, skeleton)
    assert model.config.num_keypoints == recipe.model.num_keypoints == 3
    assert model.output.skeleton == skeleton
    assert skeleton.flip_pairs == ((0, 1),)
    assert recipe.train.loss == "spatial_cross_entropy"  # the base's heatmaps are logits
    kept = hgzoo.create_model(base, pretrained=True)
    assert torch.equal(model.stem.conv.weight, kept.stem.conv.weight)


def test_a_picture_is_on_one_side_only(triangles: Path) -> None:
    samples, _ = read_coco(triangles / "own.json", triangles / "pictures")
    train, judges = split([*samples, *samples], share=0.25)
    assert len(judges) == 6
    assert {s.path for s in train} | {s.path for s in judges} == {s.path for s in samples}
    assert not {s.path for s in train} & {s.path for s in judges}
    again = split([*samples, *samples], share=0.25)
    assert [s.path for s in again[1]] == [s.path for s in judges]
    with pytest.raises(ConfigError, match="annotate another one"):
        split(samples[:1])


def test_ten_lines_finetune_and_the_folder_predicts_with_the_new_names(
    triangles: Path, base: Path
) -> None:
    samples, skeleton = hgzoo.data.read_coco(triangles / "own.json", triangles / "pictures")
    still = AugmentConfig(scale_std=0.0, rotation_prob=0.0, flip_prob=0.0, color=(1.0, 1.0))
    train = replace(FINETUNE, epochs=2, batch_size=4, warmup_epochs=0.0, augment=still)
    report = finetune(
        base, samples, skeleton, out=triangles / "run", train=train, options=Options(progress=False)
    )
    assert report is not None
    assert 0.0 <= report.mean <= 100.0
    predictor = hgzoo.Predictor(triangles / "run")
    (pose,) = predictor(triangles / "pictures" / "0.png")
    assert pose.names == tuple(NAMES)
    assert pose.skeleton == skeleton
    back = hgzoo.create_model(f"local-dir:{triangles / 'run'}", pretrained=True)
    assert back.output.skeleton == skeleton
    assert "left_corner" in (triangles / "run" / "README.md").read_text(encoding="utf-8")


def test_finetuning_learns(triangles: Path, base: Path) -> None:
    samples, skeleton = read_coco(triangles / "own.json", triangles / "pictures")
    train = replace(FINETUNE, epochs=12, batch_size=5, lr=5e-3, warmup_epochs=0.0, ema_decay=0.0)
    quiet = Options(progress=False)
    finetune(base, samples, skeleton, out=triangles / "run", train=train, options=quiet)
    lines = (triangles / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < losses[0] - 0.4


@pytest.mark.parametrize("stacks", [0, 1, 2])
def test_what_is_frozen_does_not_move_and_the_rest_does(
    triangles: Path, base: Path, stacks: int
) -> None:
    skeleton = read_coco(triangles / "own.json", triangles / "pictures")[1]
    _, model = prepare(base, skeleton, frozen_stacks=stacks)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(moving, lr=1.0)
    sum(heatmaps.square().mean() for heatmaps in model(torch.randn(2, 3, 32, 48))).backward()
    optimizer.step()
    moved = {n for n, value in model.state_dict().items() if not torch.equal(before[n], value)}
    frozen = [
        "stem.",
        *(f"{part}.{s}." for part in ("hourglasses", "heads") for s in range(stacks)),
    ]
    assert not {
        name for name in moved if name.startswith(tuple(frozen)) and ".heatmaps." not in name
    }
    assert {"heads.0.heatmaps.weight", "heads.1.heatmaps.weight"} <= moved
    assert any(name.startswith("hourglasses.1.") for name in moved) == (stacks < 2)


def test_more_stacks_than_there_are_cannot_be_frozen(base: Path) -> None:
    model = hgzoo.create_model(base, pretrained=True)
    with pytest.raises(ConfigError, match="0 to 2 stacks"):
        model.freeze(3)


def test_finetune_by_command(
    triangles: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--data", str(triangles / "own.json"), "--images", str(triangles / "pictures")]
    out = ["--out", str(triangles / "run"), "--quiet", "--freeze", "1"]
    changes = ["--set", "epochs=1", "--set", "batch_size=4", "--set", "warmup_epochs=0.0"]
    assert main(["finetune", str(base), *files, *out, *changes]) == 0
    captured = capsys.readouterr()
    assert "left out:" in captured.err
    assert "11.png: the picture is missing" in captured.err
    assert "11 of 12 annotated things; 3 keypoints" in captured.err
    assert "[('left_corner', 'right_corner')]" in captured.err
    assert "PCK@0.1 of 1 people" in captured.out
    assert captured.err.endswith(f"use it: hgzoo predict photo.jpg --model {triangles / 'run'}\n")
    assert (
        main(
            [
                "predict",
                str(triangles / "pictures" / "0.png"),
                "--model",
                str(triangles / "run"),
                "--out",
                str(triangles / "drawn"),
            ]
        )
        == 0
    )


def test_it_is_shown_on_real_people(assets: Path, tmp_path: Path) -> None:
    """The weights that ship, given COCO's 17 keypoints: one epoch on four pictures."""
    folder = assets / "data" / "coco"
    samples, skeleton = read_coco(folder / "person_keypoints_mini.json", folder)
    train = replace(finetuning.FINETUNE, epochs=1, batch_size=4, warmup_epochs=0.0)
    quiet = Options(progress=False)
    report = finetune("hg2_tiny", samples, skeleton, out=tmp_path, train=train, options=quiet)
    assert report is not None
    (pose,) = hgzoo.Predictor(tmp_path, detector="whole")(folder / "000000000785.jpg")
    assert pose.names[0] == "nose"
    assert len(pose.names) == 17


def test_new_heads_are_the_seeds(triangles: Path, base: Path) -> None:
    """Whatever else drew random numbers before, and in every process of several."""
    _, skeleton = read_coco(triangles / "own.json", triangles / "pictures")

    def head(seed: int) -> torch.Tensor:
        torch.rand(seed + 7)
        model = prepare(base, skeleton, train=replace(FINETUNE, seed=seed))[1]
        return model.heads[0].heatmaps.weight

    assert torch.equal(head(1), head(1))
    assert not torch.equal(head(1), head(2))
