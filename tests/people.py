"""Made-up people in the published layouts of LSP, LSPET, MPII and COCO."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from PIL import Image

from hgzoo.pictures import load
from hgzoo.skeletons import SKELETONS
from hgzoo.videos import Recorder

WALKING = Path(__file__).parent / "walking.jpg"
"""A photograph of one person, 396x528 pixels: see CREDITS.md."""


def keypoints(number: int, *, width: int, height: int) -> np.ndarray:
    """Return [number, 14, 2], 0-based, inside a picture."""
    random = np.random.default_rng(number)
    return random.uniform([6, 6], [width - 6, height - 6], (number, 14, 2))


def write_lsp(
    root: Path, *, number: int = 1000, width: int = 40, height: int = 56, noise: float = 0.0
) -> np.ndarray:
    """Write lsp/ with bright dots at the keypoints, on grey or on noise; return them, 0-based."""
    xy = keypoints(number, width=width, height=height)
    hidden = np.zeros((number, 14, 1))
    hidden[:, 3] = 1.0
    _write(root / "lsp", xy, digits=4, width=width, height=height, noise=noise)
    joints = np.concatenate([xy + 1, hidden], axis=2).transpose(2, 1, 0)  # [3, 14, N]
    scipy.io.savemat(root / "lsp" / "joints.mat", {"joints": joints})
    return xy


def write_lspet(root: Path, *, number: int = 6, width: int = 40, height: int = 56) -> np.ndarray:
    """Write lspet/ whose keypoint 3 is never labeled and holds junk; return the keypoints."""
    xy = keypoints(number, width=width, height=height)
    labeled = np.ones((number, 14, 1))
    labeled[:, 3] = 0.0
    written = xy.copy()
    written[:, 3] = -500.0
    _write(root / "lspet", xy, digits=5, width=width, height=height)
    joints = np.concatenate([written + 1, labeled], axis=2).transpose(1, 2, 0)  # [14, 3, N]
    scipy.io.savemat(root / "lspet" / "joints.mat", {"joints": joints})
    return xy


def _write(
    folder: Path, xy: np.ndarray, *, digits: int, width: int, height: int, noise: float = 0.0
) -> None:
    (folder / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    for index, points in enumerate(xy):
        grey = random.normal(90, noise, (height, width, 3))
        picture = grey.clip(0, 255).astype(np.uint8)
        for number, (x, y) in enumerate(points.round().astype(int)):
            picture[y - 1 : y + 2, x - 1 : x + 2] = (255, 15 * number, 0)
        name = f"im{index + 1:0{digits}d}.jpg"
        Image.fromarray(picture).save(folder / "images" / name, quality=95)


def write_mpii(root: Path, *, number: int = 5, width: int = 90, height: int = 120) -> np.ndarray:
    """Write mpii/ with valid.h5; keypoint 2 is hidden, keypoint 5 is not annotated."""
    import h5py

    random = np.random.default_rng(number)
    xy = random.uniform([10, 10], [width - 10, height - 10], (number, 16, 2))
    written, visible = xy + 1, np.ones((number, 16))
    written[:, 5], visible[:, 2] = 0.0, 0.0
    folder = root / "mpii"
    _write(folder, xy, digits=5, width=width, height=height)
    with h5py.File(folder / "valid.h5", "w") as file:
        file["part"], file["visible"] = written, visible
        file["imgname"] = [f"im{index + 1:05d}.jpg".encode() for index in range(number)]
        file["center"] = np.tile([width / 2 + 1, height / 2 + 1], (number, 1))
        file["scale"] = np.full(number, 1.25 * height / 200)
        file["normalize"] = np.full(number, 20.0)
        file["index"] = np.arange(number, 0.0, -1.0) * 7  # the list's last picture comes first
        file["person"] = np.arange(number) % 3.0
    return xy


def write_coco(root: Path, *, number: int = 6, width: int = 90, height: int = 120) -> np.ndarray:
    """Write coco/ with two people a picture; keypoint 5 is not annotated, 2 is hidden.

    Areas are much larger than the pictures, so that even a network that knows nothing is right now
    and then.
    """
    random = np.random.default_rng(number)
    xy = random.uniform([10, 10], [width - 10, height - 10], (number, 17, 2))
    flag = np.full((number, 17, 1), 2)
    flag[:, 2], flag[:, 5] = 1, 0
    folder = root / "coco"
    _write(folder, xy[::2], digits=5, width=width, height=height)
    (folder / "images").rename(folder / "val2017")
    pictures = range(number // 2)
    table = {
        "images": [{"id": 70 + n, "file_name": f"im{n + 1:05d}.jpg"} for n in pictures],
        "categories": [{"id": 1, "name": "person", "keypoints": SKELETONS["coco"].keypoints}],
        "annotations": [
            {
                "id": 900 + person,
                "image_id": 70 + person // 2,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [8 + person, 5, width - 20, height - 12],
                "area": 160_000 + 9_000 * person,
                "keypoints": np.hstack([xy[person], flag[person]]).ravel().tolist(),
            }
            for person in range(number)
        ],
    }
    (folder / "annotations").mkdir()
    path = folder / "annotations" / "person_keypoints_val2017.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    return xy


def write_example_folder(folder: Path) -> None:
    """Write what the examples of the pages and docstrings find where they run."""
    write_coco(folder, number=6)
    (folder / "coco" / "val2017").rename(folder / "pictures")
    annotations = folder / "coco" / "annotations" / "person_keypoints_val2017.json"
    annotations.rename(folder / "my_coco.json")
    shutil.copy(WALKING, folder / "photo.jpg")
    with Recorder(folder / "clip.mp4", fps=25.0) as video:
        for _ in range(3):
            video.write(load(WALKING))


def structs(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return rows as a MATLAB struct array, 1 × N; a field that a row lacks is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    array = np.empty((1, len(rows)), [(name, object) for name in names])
    for index, row in enumerate(rows):
        array[0, index] = tuple(row.get(name, np.zeros((0, 0))) for name in names)
    return array


def mat_person(
    points: Sequence[Mapping[str, Any]], *, center: Sequence[float], scale: float
) -> dict[str, Any]:
    """Return a person as MPII's .mat has it; points have x, y, id and perhaps is_visible."""
    return {
        **dict(zip(("x1", "y1", "x2", "y2"), (11.0, 21.0, 41.0, 61.0), strict=True)),
        "annopoints": structs([{"point": structs(points)}]),
        "scale": scale,
        "objpos": structs([dict(zip("xy", center, strict=True))]),
    }


def write_mpii_mat(path: Path, pictures: Sequence[tuple[str, Any]], *, train: Any = None) -> None:
    """Write names and annorects as mpii_human_pose_v1_u12_1.mat; all for training unless told."""
    annolist = [
        {
            "image": structs([{"name": name}]),
            "annorect": annorect,
            "frame_sec": np.zeros((0, 0)),
            "vidx": np.zeros((0, 0)),
        }
        for name, annorect in pictures
    ]
    single_person = np.empty((len(pictures), 1), object)
    single_person.fill(np.zeros((0, 0)))
    release = {
        "annolist": structs(annolist),
        "img_train": np.ones((1, len(pictures)), np.uint8) if train is None else [train],
        "version": "12",
        "single_person": single_person,
        "act": structs([{"cat_name": "sports", "act_name": [], "act_id": -1}] * len(pictures)),
        "video_list": np.zeros((0, 0)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {"RELEASE": structs([release])}, do_compression=True)
