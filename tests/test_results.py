"""Predictions written for datasets' own tools, and read back."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from hgzoo import results
from hgzoo.cli import main
from hgzoo.config import InputSpec
from hgzoo.data import DATASETS, Dataset, usable
from hgzoo.errors import DataError, UnknownNameError
from hgzoo.metrics import hits
from hgzoo.model import StackedHourglass
from hgzoo.scoring import BENCHMARKS, read_predictions
from hgzoo.skeletons import SKELETONS
from tests.conftest import small_config
from tests.people import write_coco, write_example_folder, write_lsp, write_mpii


def network(folder: Path, *, num_keypoints: int) -> str:
    config = small_config(num_keypoints=num_keypoints)
    StackedHourglass(config, input=InputSpec(size=(32, 48))).save_pretrained(folder / "net")
    return str(folder / "net")


def evaluate(root: Path, dataset: str, export: str, *, num_keypoints: int) -> dict[str, Any]:
    """Judge a network that knows nothing by command; return the figures."""
    net = network(root, num_keypoints=num_keypoints)
    command = ["evaluate", net, "--data", str(root), "--dataset", dataset, "--quiet"]
    files = ["--json", str(root / "evaluated.json"), "--export", str(root / export)]
    assert main([*command, *files]) == 0
    table: dict[str, Any] = json.loads((root / "evaluated.json").read_text(encoding="utf-8"))
    return table


def write_easy_mpii(root: Path) -> None:
    """Write people with heads so large that a network that knows nothing is right now and then."""
    write_mpii(root)
    with h5py.File(root / "mpii" / "valid.h5", "a") as file:
        file["normalize"][:] = 90.0


def score(root: Path, dataset: str, annotations: str, predictions: str) -> dict[str, Any]:
    files = ["--annotations", str(root / annotations), "--predictions", str(root / predictions)]
    assert main(["score", dataset, *files, "--json", str(root / "scored.json")]) == 0
    table: dict[str, Any] = json.loads((root / "scored.json").read_text(encoding="utf-8"))
    return table


def made_up(dataset: str, root: Path, *, num_keypoints: int) -> results.Results:
    """Predict (x, y) = (1, 2), 0-based, with score 0.25, for all whose picture is there."""
    people = DATASETS[dataset].validation(root)
    judged = usable(people)[0]
    xy = np.tile([1.0, 2.0], (len(judged), num_keypoints, 1))
    return results.collect(dataset, people, judged, xy, np.full(xy.shape[:2], 0.25))


@pytest.mark.parametrize(
    ("dataset", "ending"), [("lsp", ".h5"), ("mine", ".npz"), ("my_coco.json", ".json")]
)
def test_predictions_on_any_dataset_have_a_format(dataset: str, ending: str) -> None:
    """Also on one that a user registers, and on a file in COCO's format."""
    results.find_format(Path(f"found{ending}"), dataset, [])


def test_predictions_leave_in_their_datasets_own_pixels(tmp_path: Path) -> None:
    for dataset, prepare, num_keypoints, first in (
        ("coco", write_coco, 17, [1.0, 2.0]),
        ("lsp", write_lsp, 14, [2.0, 3.0]),
        ("mpii", write_mpii, 16, [2.0, 3.0]),
    ):
        prepare(tmp_path)
        found = made_up(dataset, tmp_path, num_keypoints=num_keypoints)
        assert (found.keypoints == first).all()


def test_people_without_a_picture_keep_their_row_and_are_misses(tmp_path: Path) -> None:
    write_mpii(tmp_path)
    (tmp_path / "mpii" / "images" / "im00002.jpg").unlink()
    found = made_up("mpii", tmp_path, num_keypoints=16)
    assert np.isnan(found.keypoints).all((1, 2)).tolist() == [False, True, False, False, False]
    everywhere = np.ones((5, 16), bool)
    right = hits(found.keypoints, found.keypoints, everywhere, np.full(5, 9.0), threshold=0.5)
    assert right.all(1).tolist() == [True, False, True, True, True]
    assert not right[1].any()


# MPII.


@pytest.mark.parametrize("name", ["preds.h5", "preds.npz", "preds.mat"])
def test_an_export_of_mpii_scores_as_it_was_judged(tmp_path: Path, name: str) -> None:
    write_easy_mpii(tmp_path)
    judged = evaluate(tmp_path, "mpii", name, num_keypoints=16)
    scored = score(tmp_path, "mpii", "mpii/valid.h5", name)
    for figures in ("keypoints", "groups", "means", "area", "visibility"):
        assert scored[figures] == pytest.approx(judged[figures], nan_ok=True)
    assert 0 < judged["means"]["16 pooled"] < 100


def test_people_left_out_of_judging_are_misses_when_scored(tmp_path: Path) -> None:
    """All five have fifteen keypoints, so one who is missing takes a fifth."""
    write_easy_mpii(tmp_path)
    (tmp_path / "mpii" / "images" / "im00002.jpg").unlink()
    judged = evaluate(tmp_path, "mpii", "preds.h5", num_keypoints=16)
    scored = score(tmp_path, "mpii", "mpii/valid.h5", "preds.h5")
    assert (judged["people"], scored["people"]) == (4, 5)
    assert scored["area"]["16 pooled"] == pytest.approx(judged["area"]["16 pooled"] * 4 / 5)
    assert scored["area"]["16 pooled"] > 0


def test_the_h5_names_people_as_mpiis_own_does(tmp_path: Path) -> None:
    write_mpii(tmp_path)
    found = made_up("mpii", tmp_path, num_keypoints=16)
    results.FORMATS["mpii"][".h5"].write(tmp_path / "preds.h5", found)
    with h5py.File(tmp_path / "preds.h5") as file, h5py.File(tmp_path / "mpii/valid.h5") as own:
        assert file["preds"].shape == (5, 16, 2)
        assert file["scores"].shape == (5, 16)
        for name in ("index", "person"):
            np.testing.assert_array_equal(file[name], own[name])


def test_the_mat_is_the_struct_of_mpiis_toolkit(tmp_path: Path) -> None:
    """Pictures rise by their place in the official list; places and ids count from 1."""
    write_mpii(tmp_path)
    (tmp_path / "mpii" / "images" / "im00002.jpg").unlink()  # place 28 from 0, second person
    found = made_up("mpii", tmp_path, num_keypoints=16)
    found.keypoints[2] = np.arange(32.0).reshape(16, 2)  # place 21 from 0, third person
    results.FORMATS["mpii"][".mat"].write(tmp_path / "pred.mat", found)
    content = scipy.io.loadmat(tmp_path / "pred.mat", struct_as_record=False)
    assert content["imgidxs"].tolist() == [[8.0, 15.0, 22.0, 29.0, 36.0]]
    assert [one.item() for one in content["rectidxs"].ravel()] == [2.0, 1.0, 3.0, 2.0, 1.0]
    pred = content["pred"]
    assert pred.shape == (1, 5)
    picture = pred[0, 2]
    assert picture.image[0, 0].name.item() == "im00003.jpg"
    first, second, third = picture.annorect[0]
    assert first.annopoints.size == second.annopoints.size == first.objpos.size == 0
    points = third.annopoints[0, 0].point[0]
    assert [point.id.item() for point in points] == list(range(16))
    assert [point.x.item() for point in points] == list(range(0, 32, 2))
    assert [point.y.item() for point in points] == list(range(1, 33, 2))
    assert points[0].score.item() == 0.25
    with h5py.File(tmp_path / "mpii" / "valid.h5") as own:
        scale = own["scale"][2] / 1.25
        x, y = own["center"][2]
    assert third.scale.item() == pytest.approx(scale)
    assert third.objpos[0, 0].x.item() == pytest.approx(x)
    assert third.objpos[0, 0].y.item() == pytest.approx(y - 15 * scale)
    missing = pred[0, 3].annorect[0, 1].annopoints[0, 0].point[0]
    assert np.isnan([point.x.item() for point in missing]).all()


def test_published_people_survive_the_way_out_and_back(assets: Path, tmp_path: Path) -> None:
    people = DATASETS["mpii"].validation(assets / "data")[:300]
    xy = np.stack([person.keypoints for person in people])
    found = results.collect("mpii", people, people, xy, np.ones(xy.shape[:2]))
    truth = BENCHMARKS["mpii"].read(assets / "data" / "mpii" / "valid.h5")
    for name in ("a.h5", "a.mat"):
        path = tmp_path / name
        results.find_format(path, "mpii", people).write(path, found)
        read = read_predictions(path, people=300, num_keypoints=16)
        np.testing.assert_allclose(read, truth.keypoints[:300], atol=1e-9)


def test_a_format_that_needs_numbers_is_refused_before_judging(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mpii(tmp_path)
    with h5py.File(tmp_path / "mpii" / "valid.h5", "a") as file:
        del file["index"]
    people = DATASETS["mpii"].validation(tmp_path)
    with pytest.raises(DataError, match=r"do not hold; use the dataset's own file, or \.h5, \.npz"):
        results.find_format(tmp_path / "a.mat", "mpii", people)
    evaluate(tmp_path, "mpii", "preds.h5", num_keypoints=16)
    with h5py.File(tmp_path / "preds.h5") as file:
        assert set(file) == {"preds", "scores", "person"}
    command = ["evaluate", network(tmp_path, num_keypoints=16), "--data", str(tmp_path)]
    assert main([*command, "--dataset", "mpii", "--export", "preds.h55"]) == 1
    assert "unknown file for predictions on mpii '.h55'" in capsys.readouterr().err


# LSP.


def test_an_export_of_lsp_has_the_judged_people(tmp_path: Path) -> None:
    write_lsp(tmp_path)
    found = made_up("lsp", tmp_path, num_keypoints=14)
    results.find_format(tmp_path / "a.npz", "lsp", found.people).write(tmp_path / "a.npz", found)
    with np.load(tmp_path / "a.npz") as content:
        assert set(content.files) == {"preds", "scores"}
        assert content["preds"].shape == (200, 14, 2)
    with pytest.raises(UnknownNameError, match=r"\.h5, \.npz"):
        results.find_format(tmp_path / "a.json", "lsp", found.people)


def test_a_registered_dataset_is_evaluated_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name on the command line, like a published one; its numbers and pixels are its own."""
    write_lsp(tmp_path, number=810)
    mine = Dataset(
        skeleton=SKELETONS["lsp"],
        train=DATASETS["lsp"].train,
        validation=DATASETS["lsp"].validation,
        first_pixel=0,
    )
    monkeypatch.setitem(DATASETS, "mine", mine)
    judged = evaluate(tmp_path, "mine", "mine.h5", num_keypoints=14)
    assert (judged["dataset"], judged["people"]) == ("mine", 10)
    with h5py.File(tmp_path / "mine.h5") as file:
        assert file["preds"].shape == (10, 14, 2)
        assert np.isfinite(file["preds"][:]).all()


def test_a_file_in_cocos_format_is_evaluated_and_exported(tmp_path: Path) -> None:
    write_example_folder(tmp_path)
    (tmp_path / "pictures").rename(tmp_path / "images")
    judged = evaluate(tmp_path, "my_coco.json", "results.json", num_keypoints=17)
    scored = score(tmp_path, "coco", "my_coco.json", "results.json")
    assert scored["people"] == judged["people"] == 6
    assert scored["figures"] == pytest.approx(judged["oks"]["figures"])


# COCO.


ANNOTATIONS = "coco/annotations/person_keypoints_val2017.json"


def test_an_export_of_coco_scores_as_it_was_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_coco(tmp_path)
    judged = evaluate(tmp_path, "coco", "results.json", num_keypoints=17)
    printed = capsys.readouterr().out
    assert "PCK@0.1 of 6 people" in printed
    assert "6 predictions for 6 people,\nin ground-truth boxes; COCO's sigmas" in printed
    scored = score(tmp_path, "coco", ANNOTATIONS, "results.json")
    assert scored["figures"] == pytest.approx(judged["oks"]["figures"])
    assert scored["curve"] == judged["oks"]["curve"]
    assert 0 < scored["figures"]["AP"] < 100
    assert "the file does not tell" in capsys.readouterr().out


def test_an_export_of_coco_names_pictures_and_scores_people(tmp_path: Path) -> None:
    write_coco(tmp_path)
    (tmp_path / "coco" / "val2017" / "im00002.jpg").unlink()
    found = made_up("coco", tmp_path, num_keypoints=17)
    found.scores[5] = np.arange(17.0)
    results.find_format(tmp_path / "a.json", "coco", found.people).write(tmp_path / "a.json", found)
    people = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [one["image_id"] for one in people] == [70, 70, 72, 72]
    assert people[0]["keypoints"] == [1.0, 2.0, 0.25] * 17
    assert people[3]["score"] == 8.0
    assert {one["category_id"] for one in people} == {1}


def test_pictures_that_are_missing_do_not_lower_the_judgement(tmp_path: Path) -> None:
    """Judging goes by the pictures that are there; a scorer of the file counts all."""
    write_coco(tmp_path)
    whole = evaluate(tmp_path, "coco", "results.json", num_keypoints=17)
    (tmp_path / "coco" / "val2017" / "im00002.jpg").unlink()
    part = evaluate(tmp_path, "coco", "results.json", num_keypoints=17)
    assert (whole["oks"]["people"], part["oks"]["people"]) == (6, 4)
    scored = score(tmp_path, "coco", ANNOTATIONS, "results.json")
    assert scored["people"] == 6
    assert scored["figures"]["AR"] == pytest.approx(part["oks"]["figures"]["AR"] * 4 / 6)
    assert scored["figures"]["AR"] > 0
