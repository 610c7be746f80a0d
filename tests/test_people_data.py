"""People of everyday photographs: who is trained on and who is judged by."""

import json
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hgzoo.data import DATASETS, Sample
from hgzoo.data.people import held_out, never_trained_on
from hgzoo.errors import DataError
from hgzoo.skeletons import SKELETONS

NAMES = SKELETONS["coco"].keypoints
LABELS = {"people_by_hand": "by hand", "people_movenet": "MoveNet"}
SHARES = {"COCO 2017": 1 / 4, "pelota": 1 / 5}
"""How many of a source's images are held out, where it is not a tenth."""

HELD_OUT = min(held_out())
LEFT_OUT = min(never_trained_on() - held_out())
TRAINED = "trained.jpg"

TRUNK = ("shoulder", "hip")

NEAR_COPY = 0.95
"""Correlation from which two images are near copies."""


def person(*missing: str, image: int = 1, number: int = 1) -> dict[str, Any]:
    """A person whose left shoulder is at (10, 20) and whose right hip 30 right, 40 down of it."""
    places = {name: [5.0 + 2 * n, 90.0 - n, 2] for n, name in enumerate(NAMES)}
    places["left_shoulder"], places["right_hip"] = [10.0, 20.0, 2], [40.0, 60.0, 1]
    keypoints = [[0.0, 0.0, 0] if name in missing else places[name] for name in NAMES]
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [0.0, 10.0, 51.0, 100.0],
        "area": 5100.0,
        "keypoints": [value for keypoint in keypoints for value in keypoint],
    }


def write(root: Path, *people: dict[str, Any], file_name: str = TRAINED, **image: Any) -> Path:
    """Write people.json with one image, annotated by hand unless told; return the root."""
    table = {
        "images": [{"id": 1, "file_name": file_name, "labels": "by hand", **image}],
        "categories": [{"id": 1, "name": "person", "keypoints": NAMES}],
        "annotations": people,
    }
    (root / "people").mkdir(exist_ok=True)
    (root / "people" / "people.json").write_text(json.dumps(table), encoding="utf-8")
    return root


def parts(root: Path, name: str = "people_by_hand") -> tuple[list[Sample], list[Sample]]:
    """Read training and validation."""
    validation = DATASETS[name].validation
    assert validation is not None
    return DATASETS[name].train(root), validation(root)


# What is read, and what is not.


def test_the_box_tells_where_and_the_torso_what_distances_count_by(tmp_path: Path) -> None:
    (sample,), judged = parts(write(tmp_path, person("nose")))
    assert judged == []
    assert sample.path == tmp_path / "people" / "images" / TRAINED
    assert sample.reference == 50.0  # 30 right, 40 down
    assert sample.center == (25.0, 59.5)
    assert sample.scale == 100 / 200
    assert np.flatnonzero(~sample.visible).tolist() == [NAMES.index("nose")]
    assert np.flatnonzero(sample.hidden).tolist() == [NAMES.index("right_hip")]
    assert (sample.picture_id, sample.person_id, sample.others) == (1, 1, 0)


@pytest.mark.parametrize("missing", ["left_shoulder", "right_hip"])
def test_a_torso_with_a_missing_end_has_no_length(tmp_path: Path, missing: str) -> None:
    (sample,), _ = parts(write(tmp_path, person(missing)))
    assert sample.reference == 0.0


def test_trained_on_are_people_with_four_keypoints(tmp_path: Path) -> None:
    people = [person(*NAMES[:missing], number=missing) for missing in (12, 13, 14, 16)]
    train, _ = parts(write(tmp_path, *people))
    assert [sample.visible.sum() for sample in train] == [5, 4]


def test_a_held_out_image_is_judged_by_and_not_trained_on(tmp_path: Path) -> None:
    train, judged = parts(write(tmp_path, person(), file_name=HELD_OUT))
    assert (len(train), len(judged)) == (0, 1)


def test_judged_by_are_people_with_ten_keypoints_and_a_trunk(tmp_path: Path) -> None:
    face, legs = NAMES[:5], NAMES[13:]
    people = [
        person(number=1),
        person(*face, *legs[:2], number=2),  # ten
        person(*face, *legs[:3], number=3),  # nine
        *(person(f"{side}_{part}", number=9) for side in ("left", "right") for part in TRUNK),
    ]
    _, judged = parts(write(tmp_path, *people, file_name=HELD_OUT))
    assert [sample.person_id for sample in judged] == [1, 2]


def test_a_near_copy_of_a_held_out_image_is_in_neither_part(tmp_path: Path) -> None:
    assert parts(write(tmp_path, person(), file_name=LEFT_OUT)) == ([], [])


@pytest.mark.parametrize("file_name", [TRAINED, HELD_OUT])
def test_people_are_told_apart_by_who_annotated_them(tmp_path: Path, file_name: str) -> None:
    for dataset, labels in LABELS.items():
        write(tmp_path, person(), file_name=file_name, labels=labels)
        found = {name: sum(map(len, parts(tmp_path, name))) for name in LABELS}
        assert found == {name: int(name == dataset) for name in LABELS}


# Files that cannot be used.


@pytest.mark.parametrize("labels", ["by foot", "", None, 3, ["by hand"]])
def test_an_image_must_say_who_annotated_it(tmp_path: Path, labels: Any) -> None:
    write(tmp_path, person(), labels=labels)
    with pytest.raises(
        DataError, match=r"people\.json: labels of image 1 should be one of 'by hand'"
    ):
        DATASETS["people_movenet"].train(tmp_path)


def test_an_image_without_labels_is_refused(tmp_path: Path) -> None:
    write(tmp_path, person())
    path = tmp_path / "people" / "people.json"
    path.write_text(path.read_text().replace("labels", "label"), encoding="utf-8")
    with pytest.raises(DataError, match=r"people\.json: labels of image 1 .* not None"):
        DATASETS["people_by_hand"].train(tmp_path)


def test_a_missing_folder_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the folder that holds people/people\.json"):
        DATASETS["people_by_hand"].train(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"images": []}', b"\xff"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "people.json").write_bytes(content)
    with pytest.raises(DataError, match=r"people\.json is not in COCO's format"):
        DATASETS["people_movenet"].validation(tmp_path)


def test_other_keypoints_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, person()) / "people" / "people.json"
    path.write_text(path.read_text().replace("nose", "snout"), encoding="utf-8")
    with pytest.raises(DataError, match="should have COCO's 17 keypoints"):
        DATASETS["people_by_hand"].train(tmp_path)


# The split of the real images.


@pytest.fixture(scope="module")
def root(assets: Path) -> Path:
    return assets / "data"


@pytest.fixture(scope="module")
def images(root: Path) -> dict[str, dict[str, Any]]:
    """The images by their file name."""
    table = json.loads((root / "people" / "people.json").read_text(encoding="utf-8"))
    return {image["file_name"]: image for image in table["images"]}


def test_held_out_and_left_out_images_are_two_sorted_lists() -> None:
    text = (files("hgzoo.data") / "people_held_out.json").read_text(encoding="utf-8")
    split = json.loads(text)
    assert set(split) == {"held_out", "left_out"}
    for names in split.values():
        assert names == sorted(set(names))
    assert not set(split["held_out"]) & set(split["left_out"])


def test_every_name_is_that_of_an_image(images: dict[str, Any]) -> None:
    assert never_trained_on() <= set(images)


@pytest.mark.parametrize("name", LABELS)
def test_no_held_out_image_is_trained_on(root: Path, name: str) -> None:
    train, judged = ({sample.path.name for sample in part} for part in parts(root, name))
    assert train
    assert judged
    assert not train & never_trained_on()
    assert judged <= held_out()


@pytest.mark.parametrize("name", LABELS)
def test_everybody_judged_by_has_a_known_torso(root: Path, name: str) -> None:
    trunk = [NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in TRUNK]
    for sample in parts(root, name)[1]:
        assert sample.visible.sum() >= 10
        assert sample.visible[trunk].all()
        length = sample.keypoints[NAMES.index("left_shoulder")]
        length = length - sample.keypoints[NAMES.index("right_hip")]
        assert sample.reference == pytest.approx(np.hypot(*length))


def test_every_source_is_held_out_in_its_share(images: dict[str, Any]) -> None:
    whole = Counter(image["source"] for image in images.values())
    out = Counter(images[name]["source"] for name in held_out())
    for source, number in whole.items():
        share = SHARES.get(source, SHARES.get(source.split()[0], 1 / 10))
        assert abs(out[source] - share * number) <= max(1.0, 0.02 * number), source


def test_images_of_one_original_are_on_one_side(images: dict[str, Any]) -> None:
    sides: dict[tuple[str, str], set[bool]] = {}
    for name, image in images.items():
        sides.setdefault((image["source"], image["original"]), set()).add(name in held_out())
    assert all(len(one) == 1 for one in sides.values())


def test_no_image_trained_on_looks_like_a_held_out_one(root: Path, images: dict[str, Any]) -> None:
    """By the correlation of 32 × 32 grey pixels, as they are or mirrored."""
    judged, trained = sorted(held_out()), sorted(set(images) - never_trained_on())
    small = {name: thumbnail(root / "people" / "images" / name) for name in judged + trained}
    mine, theirs = (np.stack([small[name] for name in part]) for part in (judged, trained))
    mirrored = theirs[:, :, ::-1]
    for others in (theirs, mirrored):
        alike = mine.reshape(len(mine), -1) @ others.reshape(len(others), -1).T
        assert alike.max() < NEAR_COPY


def thumbnail(path: Path) -> np.ndarray:
    """Return [32, 32], mean 0, length 1."""
    with Image.open(path) as picture:
        picture.draft("L", (64, 64))  # decodes no more than that needs
        grey = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.BOX), np.float32)
    grey = grey - grey.mean()
    return grey / np.linalg.norm(grey)
