"""OKS average precision: hand-worked figures, pycocotools' own, and refused files."""

import json
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hgzoo import oks
from hgzoo.cli import main
from hgzoo.data.coco import Annotations, read_annotations
from hgzoo.errors import ConfigError, DataError, UnknownNameError
from hgzoo.pictures import load
from hgzoo.skeletons import SKELETONS

CORNERS = ["left_ear", "right_ear", "nose", "tail"]
XY = np.array([[20.0, 10.0], [80.0, 12.0], [50.0, 40.0], [33.0, 90.0]])

Write = Callable[..., Path]


def entry(xy: np.ndarray, flag: Any = 2, **changes: Any) -> dict[str, Any]:
    """Return one annotated cat of 100 times 100 pixels; sigma 0.05 is then 10 pixels."""
    numbers = np.column_stack([xy, np.broadcast_to(flag, len(xy))]).ravel().tolist()
    usual = {"image_id": 7, "category_id": 3, "keypoints": numbers, "bbox": [0, 0, 100, 100]}
    return {"id": 0, "area": 10_000, "iscrowd": 0, **usual, **changes}


def moved(right: float, down: float = 0.0) -> np.ndarray:
    return XY + np.array([right, down])


def guess(xy: np.ndarray, score: float = 0.9, **changes: Any) -> dict[str, Any]:
    numbers = np.column_stack([xy, np.full(len(xy), 0.5)]).ravel().tolist()
    return {"image_id": 7, "category_id": 3, "keypoints": numbers, "score": score, **changes}


@pytest.fixture
def cats(tmp_path: Path) -> Callable[..., Annotations]:
    def read(*annotations: dict[str, Any], names: Any = CORNERS) -> Annotations:
        table = {
            "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
            "categories": [
                {"id": 2, "name": "dog"},
                {"id": 3, "name": "cat", "keypoints": names},
            ],
            "annotations": list(annotations),
        }
        path = tmp_path / "cats.json"
        path.write_text(json.dumps(table), encoding="utf-8")
        return read_annotations(path)

    return read


def figures(truth: Annotations, *results: dict[str, Any], **options: Any) -> dict[str, float]:
    return oks.precision(truth, results, boxes=oks.ANY_BOXES, **options).figures


def write(tmp_path: Path, results: Any) -> Path:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("distance", "average", "strict"),
    [
        (0.0, 100.0, 100.0),
        (5.0, 80.0, 100.0),  # exp(-1/8) = 0.88: eight thresholds of ten
        (10.0, 30.0, 0.0),  # exp(-1/2) = 0.61: 0.50, 0.55 and 0.60
        (12.0, 0.0, 0.0),  # exp(-0.72) = 0.49
    ],
)
def test_similarity_falls_with_the_distance_over_two_sigmas(
    cats: Callable[..., Annotations], distance: float, average: float, strict: float
) -> None:
    found = figures(cats(entry(XY)), guess(moved(0.6 * distance, -0.8 * distance)))
    assert found["AP"] == pytest.approx(average)
    assert found["AP75"] == pytest.approx(strict)
    assert found["AP50"] == pytest.approx(100.0 if average else 0.0)
    assert found["AR"] == pytest.approx(average)


def test_only_annotated_keypoints_are_compared(cats: Callable[..., Annotations]) -> None:
    """One of three is far off: the similarity is 2/3, above 0.50, 0.55, 0.60 and 0.65."""
    off = XY + np.array([[0, 0], [500, 0], [0, 0], [500, 500]])
    assert figures(cats(entry(XY, [2, 1, 2, 0])), guess(off))["AP"] == pytest.approx(40.0)


def test_cocos_keypoints_have_cocos_sigmas(cats: Callable[..., Annotations]) -> None:
    """Only the nose is annotated; 5.2 pixels are two of its sigmas, 15.8 two of an ankle's."""
    xy = np.random.default_rng(0).uniform(10, 90, (17, 2))
    nose = entry(xy, [2] + [0] * 16)
    truth = cats(nose, names=SKELETONS["coco"].keypoints)
    assert figures(truth, guess(xy + np.array([5.2, 0.0])))["AP"] == pytest.approx(30.0)
    assert oks.find_sigmas(truth)[1] == "COCO's sigmas"
    other = cats(nose, names=[f"point_{n}" for n in range(17)])
    assert oks.find_sigmas(other)[0] == [0.05] * 17


def test_given_sigmas_are_used(cats: Callable[..., Annotations]) -> None:
    truth, results = cats(entry(XY)), guess(moved(10.0))
    assert figures(truth, results, sigmas=[0.1])["AP"] == pytest.approx(80.0)
    assert figures(truth, results, sigmas=[0.1, 0.1, 0.1, 1e-6])["AP"] == pytest.approx(40.0)
    with pytest.raises(ConfigError, match="3 sigmas for 4 keypoints; give 1 or all"):
        figures(truth, results, sigmas=[0.1, 0.1, 0.1])
    with pytest.raises(ConfigError, match=r"above 0, such as 0\.05; got 0$"):
        figures(truth, results, sigmas=[0.0])


def test_a_wrong_guess_below_a_right_one_costs_nothing_and_above_it_a_half(
    cats: Callable[..., Annotations],
) -> None:
    truth = cats(entry(XY))
    assert figures(truth, guess(XY), guess(XY + 400, 0.8))["AP"] == pytest.approx(100.0)
    assert figures(truth, guess(XY), guess(XY + 400, 0.95))["AP"] == pytest.approx(50.0)


def test_a_person_nobody_found_halves_the_recall(cats: Callable[..., Annotations]) -> None:
    """Precision is 1 at the 51 recalls from 0.00 to 0.50, and 0 at the 50 above."""
    truth = cats(entry(XY), entry(XY, image_id=8, id=1))
    found = figures(truth, guess(XY))
    assert found["AP"] == pytest.approx(100 * 51 / 101)
    assert found["AR"] == pytest.approx(50.0)


def test_only_the_pictures_asked_for_are_judged(cats: Callable[..., Annotations]) -> None:
    truth = cats(entry(XY), entry(XY, image_id=8, id=1))
    assert figures(truth, guess(XY), pictures={7})["AP"] == pytest.approx(100.0)
    assert figures(truth, guess(XY), pictures={7, 8})["AP"] < 100.0


def test_people_without_keypoints_and_crowds_are_left_in_peace(
    cats: Callable[..., Annotations],
) -> None:
    """Guesses that lie on them are neither right nor wrong, whatever their score."""
    far = {"bbox": [300, 300, 50, 50], "area": 2500}
    unlabeled = entry(np.zeros((4, 2)), 0, id=1, **far)
    crowd = {**entry(XY, id=2, image_id=8, iscrowd=1, bbox=[300, 300, 50, 50]), "keypoints": []}
    truth = cats(entry(XY), unlabeled, crowd)
    on_them = [guess(XY / 4 + 310, 0.95), guess(XY / 4 + 310, 0.95, image_id=8)]
    found = oks.precision(truth, [guess(XY), *on_them], boxes=oks.TRUE_BOXES)
    assert found.figures["AP"] == pytest.approx(100.0)
    assert (found.people, found.predictions) == (1, 3)


def test_sizes_that_nobody_has_are_left_out(cats: Callable[..., Annotations]) -> None:
    assert "AP medium" not in figures(cats(entry(XY)), guess(XY))
    assert "AP large" in figures(cats(entry(XY)), guess(XY))
    small = figures(cats(entry(XY, area=95.0**2)), guess(XY))
    assert "AP large" not in small
    assert small["AR medium"] == 100.0


def test_an_area_that_is_missing_is_the_boxs(cats: Callable[..., Annotations]) -> None:
    bare = entry(XY, bbox=[0, 0, 100, 400])
    del bare["area"], bare["id"], bare["iscrowd"]
    found = figures(cats(bare), guess(moved(10.0)))
    assert found["AP"] == pytest.approx(80.0)  # four times the area, half the distance


def coco_results(assets: Path, *, noise: float) -> tuple[Path, list[dict[str, Any]]]:
    """Guess everybody whom the small COCO set annotates, with noise."""
    path = assets / "data" / "coco" / "person_keypoints_mini.json"
    random = np.random.default_rng(0)
    results = []
    for one in json.loads(path.read_text(encoding="utf-8"))["annotations"]:
        if any(one["keypoints"]):
            xy = np.reshape(one["keypoints"], (17, 3))[:, :2]
            xy = xy + random.normal(scale=noise * one["area"] ** 0.5 + 1e-9, size=(17, 2))
            guessed = guess(xy, random.uniform(), image_id=one["image_id"], category_id=1)
            results.append(guessed)
    return path, results


def test_cocos_annotations_scored_against_themselves_are_perfect(assets: Path) -> None:
    path, results = coco_results(assets, noise=0.0)
    found = oks.precision(read_annotations(path), results, boxes=oks.TRUE_BOXES)
    assert found.people == 12
    assert found.figures == pytest.approx(dict.fromkeys(oks.FIGURES, 100.0))


def test_figures_are_those_of_pycocotools_on_the_files(assets: Path, tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    path, results = coco_results(assets, noise=0.08)
    with redirect_stdout(StringIO()):
        truth = COCO(str(path))
        judge = COCOeval(truth, truth.loadRes(str(write(tmp_path, results))), "keypoints")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    found = oks.precision(read_annotations(path), results, boxes=oks.TRUE_BOXES)
    assert list(found.figures.values()) == pytest.approx((100 * judge.stats).tolist())
    assert 20 < found.figures["AP"] < 80


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 9}, "prediction 1 is of picture 9, which .*cats.json does not have"),
        ({"image_id": "7"}, "picture '7'"),
        ({"image_id": []}, "prediction 1"),
        ({"category_id": 1}, r"category 1; there are 2 \(dog\), 3 \(cat\)"),
        ({"keypoints": [1.0] * 51}, r"holds keypoints \[51\]; cat has 4, which makes \[12\]"),
        ({"keypoints": [[1.0, 2.0, 3.0]] * 4}, r"\[4, 3\]"),
        ({"keypoints": ["a"] * 12}, "prediction 1"),
        ({"keypoints": [float("nan")] * 12}, "not finite; leave such people out"),
        ({"score": None}, "prediction 1"),
    ],
)
def test_foreign_predictions_are_refused(
    cats: Callable[..., Annotations], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = write(tmp_path, [guess(XY), guess(XY, **changes)])
    with pytest.raises(DataError, match=message):
        oks.read_results(path, cats(entry(XY)))


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[1]", b"[{}]", b"[]", b"[" * 100_000])
def test_damaged_predictions_are_refused(
    cats: Callable[..., Annotations], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"results\.json"):
        oks.read_results(path, cats(entry(XY)))
    with pytest.raises(DataError, match="cannot read"):
        oks.read_results(tmp_path / "nothing.json", cats(entry(XY)))


def test_predictions_of_other_categories_are_passed_over(
    cats: Callable[..., Annotations], tmp_path: Path
) -> None:
    path = write(tmp_path, [guess(XY), guess(XY[:2], category_id=2)])
    assert len(oks.read_results(path, cats(entry(XY)))) == 1


@pytest.mark.parametrize("changes", [{"image_id": 9}, {"category_id": 2}])
def test_results_that_are_not_judged_here_are_not_taken_for_misses(
    cats: Callable[..., Annotations], changes: dict[str, Any]
) -> None:
    with pytest.raises(DataError, match="has category 3 and 2 pictures"):
        figures(cats(entry(XY)), guess(XY), guess(XY, **changes))


def test_score_coco_by_command(
    cats: Callable[..., Annotations], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = cats(entry(XY))
    files = ["--annotations", str(truth.path)]
    files += ["--predictions", str(write(tmp_path, [guess(moved(10.0))]))]
    out = ["--json", str(tmp_path / "s.json"), "--plot", str(tmp_path / "s.png")]
    assert main(["score", "coco", *files, *out]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines() == [
        "OKS average precision of 1 predictions for 1 people,",
        f"{oks.ANY_BOXES}; sigma 0.05 for every keypoint, as nothing better is known",
        "",
        "  AP                        30.00",
        "  AP50                     100.00",
        "  AP75                       0.00",
        "  AP large                  30.00",
        "  AR                        30.00",
        "  AR50                     100.00",
        "  AR75                       0.00",
        "  AR large                  30.00",
    ]
    table = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert table["figures"]["AP"] == pytest.approx(30.0)
    assert table["curve"]["OKS 0.60"] == pytest.approx([100.0] * 101)
    assert set(table["curve"]["OKS 0.65"]) == {0.0}
    assert load(tmp_path / "s.png").std() > 10
    assert main(["score", "coco", *files, "--sigmas", "0.1,0.1,0.1,0.1"]) == 0
    assert "sigmas 0.1, 0.1, 0.1, 0.1 as given" in capsys.readouterr().out
    assert main(["score", "coco", *files, "--category", "catt"]) == 1
    assert "did you mean cat?" in capsys.readouterr().err
    assert main(["score", "mpii", *files, "--sigmas", "0.1"]) == 1
    assert "--sigmas and --category are for coco" in capsys.readouterr().err


def test_a_category_is_looked_up(cats: Callable[..., Annotations]) -> None:
    path = cats(entry(XY)).path
    with pytest.raises(UnknownNameError, match="did you mean cat"):
        read_annotations(path, category="catt")
