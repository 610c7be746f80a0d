"""MPII's own annotations in MATLAB's form, and the split of Tompson et al."""

import gzip
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from hgzoo.data import DATASETS, mpii
from hgzoo.data.mpii import from_json
from hgzoo.data.mpii_mat import from_mat, validation_people
from hgzoo.data.samples import Sample
from hgzoo.errors import DataError
from hgzoo.skeletons import SKELETONS
from tests.people import mat_person, structs, write_mpii, write_mpii_mat

MAT = "mpii_human_pose_v1_u12_1.mat"
NECK, TOP = 8, 9
EMPTY = np.zeros((0, 0))


def some(number: int = 3, **fields: Any) -> dict[str, Any]:
    """A person with the first keypoints at (10, 20), (11, 22), (12, 24) and so on."""
    points = [{"x": 10.0 + k, "y": 20.0 + 2 * k, "id": float(k)} for k in range(number)]
    return {**mat_person(points, center=(30.0, 40.0), scale=2.0), **fields}


def read(tmp_path: Path, *people: dict[str, Any], name: str = "000000001.jpg") -> list[Sample]:
    write_mpii_mat(tmp_path / MAT, [(name, structs(people))])
    return [sample for sample, _ in from_mat(tmp_path / MAT, tmp_path)]


def test_a_person_is_read_0_based(tmp_path: Path) -> None:
    (person,) = read(tmp_path, some())
    assert person.keypoints[:3].tolist() == [[9.0, 19.0], [10.0, 21.0], [11.0, 23.0]]
    assert np.flatnonzero(person.visible).tolist() == [0, 1, 2]
    assert np.isfinite(person.keypoints).all()
    assert person.center == (29.0, 69.0)  # 15 times scale further down
    assert person.scale == 2.0
    assert person.reference == pytest.approx(0.6 * 50.0)  # a box 30 wide and 40 high
    assert person.path == tmp_path / "000000001.jpg"


@pytest.mark.parametrize(
    ("flag", "hidden"), [("0", True), ("1", False), (0.0, True), (1, False), (EMPTY, False)]
)
def test_a_visibility_flag_is_a_text_a_number_or_empty(
    tmp_path: Path, flag: Any, hidden: bool
) -> None:
    points = [
        {"x": 5.0, "y": 7.0, "id": 10, "is_visible": flag},
        {"x": 6.0, "y": 9.0, "id": NECK, "is_visible": EMPTY},
    ]
    (person,) = read(tmp_path, mat_person(points, center=(30.0, 40.0), scale=2.0))
    assert person.visible[[NECK, 10]].all()
    assert person.hidden[[NECK, 10]].tolist() == [False, hidden]


def test_without_any_flags_everything_is_to_be_seen(tmp_path: Path) -> None:
    (person,) = read(tmp_path, some(16))
    assert person.visible.all()
    assert not person.hidden.any()


def test_one_keypoint_or_all_out_of_order_are_read_by_their_ids(tmp_path: Path) -> None:
    one = mat_person([{"x": 5.0, "y": 7.0, "id": 4}], center=(3.0, 4.0), scale=1.0)
    points = [{"x": 10.0 + k, "y": 90.0 - k, "id": k} for k in reversed(range(16))]
    first, second = read(tmp_path, one, mat_person(points, center=(3.0, 4.0), scale=1.0))
    assert np.flatnonzero(first.visible).tolist() == [4]
    assert first.keypoints[4].tolist() == [4.0, 6.0]
    knee = SKELETONS["mpii"].keypoints.index("left_knee")
    assert second.keypoints[knee].tolist() == [13.0, 85.0]


def test_small_whole_numbers_do_not_overflow(tmp_path: Path) -> None:
    """MATLAB keeps whole numbers in as few bytes as they need."""
    box = dict(zip(("x1", "y1", "x2", "y2"), np.array([41, 61, 11, 21], np.uint8), strict=True))
    points = [{"x": np.uint8(250), "y": np.uint8(9), "id": np.uint8(0)}]
    person = mat_person(points, center=np.array([250, 250], np.uint8), scale=np.uint8(20))
    (sample,) = read(tmp_path, {**person, **box})
    assert sample.center == (249.0, 549.0)
    assert sample.reference == pytest.approx(30.0)


@pytest.mark.parametrize(
    "lacking",
    [{"annopoints": EMPTY}, {"annopoints": structs([{"point": EMPTY}])}],
    ids=["empty", "no point"],
)
def test_people_without_keypoints_are_nobody(tmp_path: Path, lacking: dict[str, Any]) -> None:
    (person,) = read(tmp_path, some(**lacking), some(4))
    assert person.visible.sum() == 4
    assert person.others == 0


@pytest.mark.parametrize("lacking", ["objpos", "scale"])
def test_people_without_place_or_scale_are_only_company(tmp_path: Path, lacking: str) -> None:
    (person,) = read(tmp_path, some(**{lacking: EMPTY}), some(4))
    assert person.visible.sum() == 4
    assert person.others == 1


def test_a_person_without_a_box_around_the_head_has_no_reference(tmp_path: Path) -> None:
    (person,) = read(tmp_path, some(x2=EMPTY))
    assert person.reference == 0.0


def test_pictures_without_people_and_test_pictures_yield_nobody(tmp_path: Path) -> None:
    unlabelled = some()
    del unlabelled["annopoints"]
    pictures = [
        ("000000001.jpg", EMPTY),
        ("000000002.jpg", structs([unlabelled])),
        ("000000003.jpg", structs([some()])),
        ("000000004.jpg", structs([some()])),
    ]
    write_mpii_mat(tmp_path / MAT, pictures, train=[1, 1, 0, 1])
    ((person, valid),) = from_mat(tmp_path / MAT, tmp_path)
    assert person.path.name == "000000004.jpg"
    assert not valid
    assert (person.picture_id, person.person_id) == (3, 0)


def test_validation_pictures_people_outside_the_split_are_in_neither_part(tmp_path: Path) -> None:
    """Of picture 005808361.jpg, the first in valid.h5, the first person is in the split."""
    pictures = [
        ("005808361.jpg", structs([some(3), some(4)])),
        ("000000001.jpg", structs([some(5), some(6)])),
    ]
    write_mpii_mat(tmp_path / "mpii" / "annot" / MAT, pictures)
    (person,) = DATASETS["mpii"].validation(tmp_path)
    assert (person.visible.sum(), person.others) == (3, 1)
    assert [one.visible.sum() for one in DATASETS["mpii"].train(tmp_path)] == [5, 6]


def test_both_parts_come_from_one_reading_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mpii" / MAT
    write_mpii_mat(path, [("000000001.jpg", structs([some()]))])
    read: list[Path] = []

    def counted(path: Path, images: Path) -> list[tuple[Sample, bool]]:
        read.append(path)
        return from_mat(path, images)

    monkeypatch.setattr(mpii, "from_mat", counted)
    assert len(DATASETS["mpii"].train(tmp_path)) == 1
    assert DATASETS["mpii"].validation(tmp_path) == []
    assert read == [path]
    write_mpii_mat(path, [("000000001.jpg", structs([some(), some()]))])
    os.utime(path, ns=(0, 0))
    assert len(DATASETS["mpii"].train(tmp_path)) == 2


@pytest.mark.parametrize("folder", ["", "annot", "mpii_human_pose_v1_u12_2"])
def test_the_file_may_lie_where_it_is_unpacked(tmp_path: Path, folder: str) -> None:
    write_mpii_mat(tmp_path / "mpii" / folder / MAT, [("000000001.jpg", structs([some()]))])
    (person,) = DATASETS["mpii"].train(tmp_path)
    assert person.path == tmp_path / "mpii" / "images" / "000000001.jpg"


def test_h5_goes_before_the_mat_and_the_mat_before_json(tmp_path: Path) -> None:
    write_mpii(tmp_path, number=2)
    write_mpii_mat(tmp_path / "mpii" / MAT, [("005808361.jpg", structs([some()]))])
    (tmp_path / "mpii" / "valid.json").write_text("[]", encoding="utf-8")
    assert len(DATASETS["mpii"].validation(tmp_path)) == 2
    (tmp_path / "mpii" / "valid.h5").unlink()
    assert len(DATASETS["mpii"].validation(tmp_path)) == 1
    (tmp_path / "mpii" / MAT).unlink()
    assert DATASETS["mpii"].validation(tmp_path) == []


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    write_mpii_mat(tmp_path / MAT, [("000000001.jpg", structs([some()]))])
    whole = (tmp_path / MAT).read_bytes()
    (tmp_path / MAT).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match="mpii_human_pose_v1_u12_1"):
        from_mat(tmp_path / MAT, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        {"joints": np.ones((3, 14, 5))},
        {"RELEASE": np.ones(3)},
        {"RELEASE": structs([{"annolist": EMPTY}])},
        {"RELEASE": structs([{"annolist": structs([{"image": EMPTY}]), "img_train": 1}])},
        {"RELEASE": structs([{"annolist": EMPTY, "img_train": np.ones((1, 4))}])},
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    scipy.io.savemat(tmp_path / MAT, content)
    with pytest.raises(DataError, match="mpii_human_pose_v1_u12_1"):
        from_mat(tmp_path / MAT, tmp_path)


@pytest.mark.parametrize("index", [-1, 16, EMPTY, "knee"])
def test_an_unknown_keypoint_is_refused(tmp_path: Path, index: Any) -> None:
    points = [{"x": 5.0, "y": 7.0, "id": index}]
    with pytest.raises(DataError, match=MAT):
        read(tmp_path, mat_person(points, center=(3.0, 4.0), scale=1.0))


# Against the other forms of the same annotations.


def as_published(person: dict[str, Any]) -> dict[str, Any]:
    """Turn a person of the JSON back; flags are texts or numbers, neck and head top have none."""
    points = [
        {
            "x": x,
            "y": y,
            "id": k,
            "is_visible": EMPTY if k in (NECK, TOP) else (flag, f"{flag:.0f}")[k % 2],
        }
        for k, (x, y, flag) in enumerate(person["joint_self"])
        if (x, y) != (0.0, 0.0)
    ]
    return mat_person(points, center=person["objpos"], scale=person["scale_provided"])


def test_the_mat_says_what_the_json_says(assets: Path, tmp_path: Path) -> None:
    """Each 100th picture, with each person at its place and as many others as the JSON counts."""
    folder = assets / "data" / "mpii"
    with gzip.open(folder / "mpii_annotations.json.gz", "rt", encoding="utf-8") as file:
        table = json.load(file)
    by_picture: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for person in table:
        by_picture[person["img_paths"]][int(person["people_index"])] = person
    chosen = dict(list(by_picture.items())[::100])
    true = [person for people in chosen.values() for person in people.values()]
    (tmp_path / "some.json").write_text(json.dumps(true), encoding="utf-8")
    write_mpii_mat(tmp_path / MAT, [(name, annorect(people)) for name, people in chosen.items()])
    expected = from_json(tmp_path / "some.json", tmp_path)
    assert sum(valid for _, valid in expected) > 20
    for (one, in_split), (other, valid) in zip(
        from_mat(tmp_path / MAT, tmp_path), expected, strict=True
    ):
        assert (one.path, in_split, one.others) == (other.path, valid, other.others)
        assert (one.center, one.scale) == (other.center, other.scale)
        assert one.person_id == other.person_id
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
        np.testing.assert_array_equal(one.visible, other.visible)
        np.testing.assert_array_equal(one.hidden, other.hidden)


def annorect(people: dict[int, dict[str, Any]]) -> np.ndarray:
    """Put people at their places, those whom the JSON only counts behind, and boxes in between."""
    crowd = int(next(iter(people.values()))["numOtherPeople"]) + 1
    known = {place: as_published(person) for place, person in people.items()}
    boxes = [known.get(place, {"x1": 1.0}) for place in range(1, max(known) + 1)]
    return structs(boxes + [some()] * (crowd - len(known)))


def test_the_split_is_that_of_valid_h5_person_by_person(assets: Path) -> None:
    import h5py

    with h5py.File(assets / "data" / "mpii" / "valid.h5") as file:
        names = [name.decode() for name in file["imgname"]]
        people = {(name, int(at) + 1) for name, at in zip(names, file["person"], strict=True)}
    shipped = {(name, place) for name, places in validation_people().items() for place in places}
    assert shipped == people
    assert len(shipped) == 2958
