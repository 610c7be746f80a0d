"""MPII, FLIC and COCO as published, and keypoints of anybody's own."""

import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from hgzoo.cli import main
from hgzoo.data import DATASETS, read_coco, usable
from hgzoo.data.coco import flip_pairs
from hgzoo.data.mpii import from_json
from hgzoo.data.mpii_mat import from_mat
from hgzoo.errors import DataError, UnknownNameError
from hgzoo.pictures import load
from hgzoo.skeletons import SKELETONS
from tests.people import write_coco, write_lsp, write_mpii


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_mpii(tmp_path)
    return tmp_path


# MPII.


def test_mpiis_h5_is_read_0_based(root: Path) -> None:
    true = write_mpii(root / "again")
    person = DATASETS["mpii"].validation(root)[3]
    np.testing.assert_allclose(np.delete(person.keypoints - true[3], 5, axis=0), 0.0, atol=1e-9)
    assert person.center == (45.0, 60.0)
    assert person.scale == pytest.approx(120 / 200)
    assert person.reference == 20.0
    assert person.path.name == "im00004.jpg"


def test_hidden_keypoints_of_mpii_count_and_missing_ones_do_not(root: Path) -> None:
    person = DATASETS["mpii"].validation(root)[0]
    assert np.flatnonzero(~person.visible).tolist() == [5]
    assert np.flatnonzero(person.hidden).tolist() == [2]


def test_h5_and_json_of_mpii_say_the_same(assets: Path) -> None:
    """The JSON's center and scale become the h5's, and its joints are the same numbers.

    So do the numbers of pictures and people, which the JSON counts from 1 and the h5 from 0.
    """
    folder = assets / "data" / "mpii"
    judged = DATASETS["mpii"].validation(assets / "data")
    from_h5 = {person.path.name: person for person in judged}
    everybody = from_json(folder / "mpii_annotations.json.gz", folder / "images")
    people = [sample for sample, valid in everybody if valid]
    assert (len(everybody), len(people)) == (25204, 2958)
    numbers = {(p.path.name, p.picture_id, p.person_id) for p in people}
    assert numbers == {(p.path.name, p.picture_id, p.person_id) for p in judged}
    crowd = Counter(person.path for person in people)
    alone = [person for person in people if crowd[person.path] == 1][:200]
    for person in alone:
        other = from_h5[person.path.name]
        np.testing.assert_allclose(person.center, other.center, atol=0.01)
        assert person.scale == pytest.approx(other.scale, abs=1e-3)
        seen = person.visible & other.visible  # a cut coordinate may fall to 1, "missing"
        assert (person.visible == other.visible).sum() >= 15
        # The h5 has neck and head top cut to whole pixels.
        np.testing.assert_allclose(person.keypoints[seen], other.keypoints[seen], atol=1.0)
    ratio = [p.reference / from_h5[p.path.name].reference for p in alone if p.visible[8:10].all()]
    assert np.percentile(ratio, [2, 98]) == pytest.approx([1.0, 1.0], abs=0.04)


def test_the_other_json_of_mpii_is_read(assets: Path) -> None:
    folder = assets / "data" / "mpii"
    people = from_json(folder / "mpii_mini_val.json", folder / "images")
    from_h5 = DATASETS["mpii"].validation(assets / "data")
    there, _ = usable(from_h5)
    assert len(people) == len(there) == 5
    by_name = {person.path.name: person for person in there}
    for person, _ in people:
        other = by_name[person.path.name]
        np.testing.assert_allclose(person.center, other.center, atol=0.01)
        np.testing.assert_allclose(person.keypoints, other.keypoints, atol=1.0)


def test_the_training_part_of_one_json_for_all(root: Path, tmp_path: Path) -> None:
    joints = [[float(n + 2), float(3 * n + 2), 1.0] for n in range(16)]
    person = {
        "joint_self": joints,
        "objpos": [30.0, 40.0],
        "scale_provided": 2.0,
        "img_paths": "im00001.jpg",
        "numOtherPeople": 3.0,
        "isValidation": 0.0,
    }
    text = json.dumps([person, {**person, "isValidation": 1.0}])
    with gzip.open(root / "mpii" / "mpii_annotations.json.gz", "wt", encoding="utf-8") as file:
        file.write(text)
    (sample,) = DATASETS["mpii"].train(root)
    assert sample.center == (29.0, 69.0)  # 15 times scale further down, and 0-based
    assert sample.others == 3
    assert sample.keypoints[4].tolist() == [5.0, 13.0]
    assert sample.reference == pytest.approx(0.75 * 10**0.5)  # one right, three down


@pytest.mark.parametrize("name", ["coco", "flic", "mpii"])
def test_a_folder_without_annotations_says_what_belongs_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        DATASETS[name].train(tmp_path)


def test_another_file_than_mpiis_is_told_what_is_expected(root: Path, tmp_path: Path) -> None:
    with h5py.File(root / "mpii" / "valid.h5", "a") as file:
        del file["imgname"]
    with pytest.raises(
        DataError, match=r"of MPII; one has imgname, and part as \[N, 16, 2\]; this"
    ):
        DATASETS["mpii"].validation(root)
    (tmp_path / "a.json").write_text('[{"joints": 3}]', encoding="utf-8")
    with pytest.raises(DataError, match="expected a list of people, each with joint_self"):
        from_json(tmp_path / "a.json", tmp_path)
    scipy.io.savemat(tmp_path / "a.mat", {"RELEASE": {"annolist": 1.0}})
    with pytest.raises(DataError, match="expected RELEASE with annolist and img_train"):
        from_mat(tmp_path / "a.mat", tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"joints": 3}]', b"[" * 100_000])
def test_a_damaged_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json"):
        from_json(tmp_path / "a.json", tmp_path)
    with pytest.raises(DataError, match=r"a\.json"):
        read_coco(tmp_path / "a.json", tmp_path)


# FLIC.


def test_flic_is_read(assets: Path) -> None:
    people = DATASETS["flic"].validation(assets / "data")
    assert len(people) == 1016
    torso = [p.keypoints[SKELETONS["flic"].keypoints.index("left_shoulder")] for p in people]
    assert np.isfinite(torso).all()
    assert 50 < np.median([p.reference for p in people]) < 200


# COCO, and keypoints of one's own.


def test_samples_carry_cocos_numbers(tmp_path: Path) -> None:
    write_coco(tmp_path)
    people = DATASETS["coco"].validation(tmp_path)
    assert [(p.picture_id, p.person_id) for p in people[1:4]] == [(70, 901), (71, 902), (71, 903)]


def test_a_dataset_without_numbers_says_so(tmp_path: Path) -> None:
    (cat,), _ = read_coco(write(tmp_path, own()), tmp_path)
    assert (cat.picture_id, cat.person_id) == (7, 1)
    table = own(images=[{"id": "cat", "file_name": "cat.jpg"}])
    table["annotations"][0].update(image_id="cat", id="first")
    (cat,), _ = read_coco(write(tmp_path, table), tmp_path)
    assert (cat.picture_id, cat.person_id) == (-1, -1)


def test_an_annotation_of_an_unknown_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="annotation 1 is of picture 7, which is not in the list"):
        read_coco(write(tmp_path, own(images=[])), tmp_path)


def test_coco_is_read(assets: Path) -> None:
    folder = assets / "data" / "coco"
    people, skeleton = read_coco(folder / "person_keypoints_mini.json", folder)
    assert skeleton is SKELETONS["coco"]
    assert len(people) == 12  # two of 14 annotations have no keypoint
    assert usable(people)[1] == []
    first = people[0]
    assert first.keypoints[0].tolist() == [367.0, 81.0]
    assert first.center == pytest.approx((280.79 + 108.85, 44.73 + 172.84))
    assert first.scale == pytest.approx(346.68 / 200)
    assert first.reference == pytest.approx(27789.11055**0.5)
    assert first.others == 0


def test_keypoints_of_cocos_people_lie_in_their_pictures(assets: Path) -> None:
    folder = assets / "data" / "coco"
    for person in read_coco(folder / "person_keypoints_mini.json", folder)[0]:
        height, width = load(person.path).shape[:2]
        xy = person.keypoints[person.visible]
        assert (xy >= 0).all()
        assert (xy < [width, height]).all()


def own(**changes: Any) -> dict[str, Any]:
    """A cat with four keypoints."""
    annotation = {
        "id": 1,
        "image_id": 7,
        "category_id": 3,
        "iscrowd": 0,
        "bbox": [10, 20, 30, 40],
        "keypoints": [12, 22, 2, 30, 22, 1, 21, 40, 2, 0, 0, 0],
    }
    table = {
        "images": [{"id": 7, "file_name": "cat.jpg"}],
        "categories": [
            {"id": 2, "name": "dog"},
            {
                "id": 3,
                "name": "cat",
                "skeleton": [[1, 3], [2, 3]],
                "keypoints": ["left_ear", "right_ear", "nose", "tail"],
            },
        ],
        "annotations": [annotation],
    }
    return {**table, **changes}


def write(tmp_path: Path, table: dict[str, Any]) -> Path:
    path = tmp_path / "own.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def test_keypoints_of_ones_own_bring_their_skeleton(tmp_path: Path) -> None:
    (cat,), skeleton = read_coco(write(tmp_path, own()), tmp_path)
    assert skeleton.name == "cat"
    assert skeleton.keypoints == ("left_ear", "right_ear", "nose", "tail")
    assert skeleton.flip_pairs == ((0, 1),)
    assert cat.center == (24.5, 39.5)
    assert cat.reference == pytest.approx(1200**0.5)
    assert cat.path == tmp_path / "cat.jpg"


def test_limbs_are_counted_from_1_in_the_file_and_from_0_here(tmp_path: Path) -> None:
    _, skeleton = read_coco(write(tmp_path, own()), tmp_path)
    assert own()["categories"][1]["skeleton"] == [[1, 3], [2, 3]]
    assert skeleton.limbs == ((0, 2), (1, 2))


def test_flags_2_1_and_0_are_seen_hidden_and_missing(tmp_path: Path) -> None:
    (cat,), _ = read_coco(write(tmp_path, own()), tmp_path)
    assert own()["annotations"][0]["keypoints"][2::3] == [2, 1, 2, 0]
    assert cat.visible.tolist() == [True, True, True, False]
    assert cat.hidden.tolist() == [False, True, False, False]


def test_without_a_box_the_keypoints_tell_where(tmp_path: Path) -> None:
    table = own()
    del table["annotations"][0]["bbox"]
    (cat,), _ = read_coco(write(tmp_path, table), tmp_path)
    assert cat.center == (21.0, 31.0)
    assert cat.scale == pytest.approx(19 / 200)


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (("nose", "left_eye", "right_eye"), ((1, 2),)),
        (("eye_l", "eye_r", "tail"), ((0, 1),)),
        (("REye", "LEye"), ((1, 0),)),
        (("EyeL", "EyeR", "ball"), ((0, 1),)),
        (("frontLeftPaw", "frontRightPaw"), ((0, 1),)),
        (("l", "r", "level"), ((0, 1),)),
        (("lip", "rip", "collar"), ()),
        (("left_only", "top"), ()),
    ],
)
def test_left_and_right_are_told_by_their_names(
    names: tuple[str, ...], pairs: tuple[tuple[int, int], ...]
) -> None:
    assert flip_pairs(names) == pairs


def test_a_category_must_be_clear(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean cat"):
        read_coco(write(tmp_path, own()), tmp_path, category="catt")
    table = own()
    table["categories"][0]["keypoints"] = ["paw"]
    with pytest.raises(DataError, match="it has dog, cat"):
        read_coco(write(tmp_path, table), tmp_path)
    assert len(read_coco(write(tmp_path, table), tmp_path, category="cat")[0]) == 1
    with pytest.raises(DataError, match="it has none"):
        read_coco(write(tmp_path, own(categories=[])), tmp_path)


@pytest.mark.parametrize("numbers", [[1, 2], [1, 2, 2] * 5, ["a"] * 12, None])
def test_a_wrong_annotation_is_refused(tmp_path: Path, numbers: Any) -> None:
    table = own()
    table["annotations"][0]["keypoints"] = numbers
    with pytest.raises(DataError, match="not in COCO's format"):
        read_coco(write(tmp_path, table), tmp_path)


def test_limbs_that_name_no_keypoint_are_refused(tmp_path: Path) -> None:
    table = own()
    table["categories"][1]["skeleton"] = [[1, 9]]
    with pytest.raises(DataError, match="indices run from 0 to 3"):
        read_coco(write(tmp_path, table), tmp_path)


# hgzoo data check.


def test_data_check_counts_and_draws(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "mpii" / "images" / "im00002.jpg").unlink()
    command = ["data", "check", "mpii", "--data", str(root), "--part", "validation"]
    assert main([*command, "--sheet", str(root / "sheet.png")]) == 0
    printed = capsys.readouterr().out
    assert "5 people, 4 usable, in\n4 pictures" in printed
    assert "right_hip                  4       4" in printed
    assert "height of a picture: 120 to 120 pixels" in printed
    assert "width of a picture: 90 to 90 pixels" in printed
    assert "people left out: 1\n" in printed
    assert "things worth a look: 0" in printed
    assert "im00002.jpg: the picture is missing" in printed
    assert load(root / "sheet.png").shape == (160, 960, 3)


def test_data_check_names_what_lies_outside_and_what_cannot_be_read(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A keypoint at a picture's very edge is inside; one row further is not."""
    images = root / "mpii" / "images"
    (images / "im00001.jpg").write_bytes(b"no picture")
    Image.new("RGB", (30, 120)).save(images / "im00002.jpg")  # 45 is the people's middle
    with h5py.File(root / "mpii" / "valid.h5", "r+") as file:
        file["part"][2, :2] = [[45, 121], [45, 120.4]]
    command = ["data", "check", "mpii", "--data", str(root), "--part", "validation"]
    assert main([*command, "--sheet", str(root / "sheet.png")]) == 0
    printed = capsys.readouterr().out
    assert "things worth a look: 3\n" in printed
    assert "im00001.jpg is not a picture" in printed
    assert "im00002.jpg: the middle of a person lies outside the picture" in printed
    assert "im00003.jpg: 1 keypoints lie outside the picture" in printed
    assert load(root / "sheet.png").shape == (160, 960, 3)


def test_data_check_of_nothing_usable_fails(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for picture in (root / "mpii" / "images").iterdir():
        picture.unlink()
    command = ["data", "check", "mpii", "--data", str(root), "--part", "validation"]
    assert main(command) == 1
    assert "people left out: 5\n" in capsys.readouterr().out
    assert main(["data", "check", "lspet", "--data", str(root), "--part", "validation"]) == 1
    assert "no validation part" in capsys.readouterr().err


def test_evaluate_judges_mpii_by_the_head(
    root: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from hgzoo.config import InputSpec, OutputSpec
    from hgzoo.model import StackedHourglass
    from tests.conftest import small_config

    config = small_config(num_keypoints=16)
    StackedHourglass(config, input=InputSpec(size=(32, 48))).save_pretrained(tmp_path / "net")
    box = OutputSpec(skeleton=SKELETONS["box"])
    five = replace(config, num_keypoints=5)
    StackedHourglass(five, input=InputSpec(size=(32, 48)), output=box).save_pretrained(
        tmp_path / "box"
    )
    (root / "mpii" / "images" / "im00002.jpg").unlink()
    command = ["evaluate", str(tmp_path / "net"), "--data", str(root), "--dataset", "mpii"]
    assert main([*command, "--quiet", "--json", str(tmp_path / "a.json")]) == 0
    captured = capsys.readouterr()
    assert "PCKh@0.5 of 4 people" in captured.out
    assert "stack 2" in captured.out
    assert "1 of 5 people are left out" in captured.err
    figures = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert (figures["flip"], figures["decoder"]) == (True, "quarter_offset")
    assert len(figures["stacks"]) == 2
    assert figures["stacks"][1] == pytest.approx(figures["means"]["16 pooled"])
    write_lsp(root)
    assert main(["evaluate", str(tmp_path / "box"), "--data", str(root), "--dataset", "lsp"]) == 1
    assert "the network has none of these 14 keypoints" in capsys.readouterr().err
