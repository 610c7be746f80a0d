"""What scores are worth: measured, read back, and the same everywhere."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import hgzoo
from hgzoo import checkpoints, directories, factory, recipes
from hgzoo.calibration import calibrated, fit, halves, reliability, rising
from hgzoo.cli import main
from hgzoo.config import Calibration, OutputSpec
from hgzoo.errors import ConfigError
from hgzoo.inference import NetworkReader
from tests.conftest import small_model
from tests.people import WALKING, write_lsp

TABLE = Calibration(peaks=(0.0, 0.02, 0.5), right=(0.1, 0.4, 0.9))


def known_model() -> hgzoo.StackedHourglass:
    """A small network that says what its scores are worth."""
    torch.manual_seed(0)
    model = small_model(depth=1)
    model.output = replace(model.output, calibration=TABLE)
    return model.eval()


def test_ten_scores_have_the_isotonic_fit_worked_out_by_hand() -> None:
    peaks = np.arange(1, 11) / 10
    right = np.array([0, 0, 1, 0, 1, 0, 0, 1, 1, 1], bool)
    # Pairs: 0, 1/2, 1/2, 1/2, 1. Nothing falls, so nothing is averaged.
    found = fit(peaks, right, knots=5)
    assert found.peaks == (0.0, 0.15, 0.35, 0.55, 0.75, 0.95)
    assert found.right == (0.0, 0.0, 0.5, 0.5, 0.5, 1.0)


def test_falling_shares_are_averaged_by_their_weight() -> None:
    # One by one: 1 then 0, 0 makes 1/3 thrice.
    values = np.array([0.0, 1.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(rising(values, np.ones(5, int)), [0, 1 / 3, 1 / 3, 1 / 3, 1])
    np.testing.assert_allclose(rising(np.array([0.9, 0.3]), np.array([1, 2])), [0.5, 0.5])


@pytest.mark.parametrize("knots", [1, 3, 8, 100])
def test_a_fit_rises_and_stays_a_probability(knots: int) -> None:
    rng = np.random.default_rng(0)
    peaks = rng.normal(0.3, 0.4, 500)  # heights of other networks leave 0..1
    found = fit(peaks, rng.random(500) < peaks, knots=knots)
    scores = calibrated(np.linspace(-2.0, 2.0, 999), found)
    assert (np.diff(scores) >= 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("peaks", [[0.5] * 4, [0.5, 0.5, 0.5, 0.50001], [0.0] * 4])
def test_equal_peaks_make_one_point(peaks: list[float]) -> None:
    found = fit(np.array(peaks), np.array([True, False, True, False]))
    assert calibrated(np.array([0.5]), found).tolist() == [0.5]


def test_between_two_points_the_line_is_straight_and_beyond_them_flat() -> None:
    scores = calibrated(np.array([-1.0, 0.01, 0.26, 0.6]), TABLE)
    np.testing.assert_allclose(scores, [0.1, 0.25, 0.65, 0.9])


def test_without_a_calibration_scores_stay() -> None:
    peaks = np.array([-0.2, 1.3])
    assert calibrated(peaks, Calibration()) is peaks


def test_what_was_fitted_is_true_of_others() -> None:
    rng = np.random.default_rng(0)
    peaks = rng.random((2, 20_000)) * 0.6
    right = rng.random(peaks.shape) < np.sqrt(peaks / 0.6)
    found = reliability(calibrated(peaks[1], fit(peaks[0], right[0], knots=16)), right[1])
    assert reliability(peaks[1], right[1]).error > 30
    assert found.error < 2


def test_the_error_of_scores_is_worked_out_by_hand() -> None:
    # Bin 0.9: 3 of 0.95, 2 of them right; bin 0.1: 1 of 0.1, right; an outer one counts inside.
    scores = np.array([0.95, 0.95, 0.95, 0.1, 1.5])
    found = reliability(scores, np.array([True, True, False, True, True]))
    assert found.counts == [1, 4]
    assert found.right == [1.0, 0.75]
    np.testing.assert_allclose(found.error, 100 * (1 * 0.9 + 4 * abs(4.35 / 4 - 0.75)) / 5)


def test_people_of_one_image_are_in_one_half() -> None:
    pictures = [f"{number // 3}.jpg" for number in range(60)]
    first = halves(pictures)
    assert first.reshape(-1, 3).all(1).sum() == 10
    assert (~first.reshape(-1, 3)).all(1).sum() == 10


@pytest.mark.parametrize(
    ("peaks", "right", "message"),
    [
        ((0.1,), (), "as many"),
        ((0.2, 0.1), (0.1, 0.2), "must rise"),
        ((0.1, float("nan")), (0.1, 0.2), "must rise"),
        ((0.1, 0.2), (0.2, 0.1), "not fall"),
        ((0.1, 0.2), (0.2, 1.1), "0..1"),
    ],
)
def test_what_is_no_rising_line_is_refused(
    peaks: tuple[float, ...], right: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Calibration(peaks=peaks, right=right)


def test_poses_have_probabilities_and_heatmaps_stay() -> None:
    model = known_model()
    predictor = hgzoo.Predictor(model, detector="whole")
    (pose,) = predictor(WALKING, heatmaps=True)
    found = predictor.reader(predictor.view(WALKING)[None])
    assert predictor.calibrated
    assert pose.calibrated
    np.testing.assert_allclose(pose.scores, calibrated(found.scores[0], TABLE))
    assert pose.heatmaps is not None
    np.testing.assert_allclose(found.scores[0], pose.heatmaps[-1].max((1, 2)), rtol=1e-5)


def test_without_a_calibration_a_pose_has_heights() -> None:
    predictor = hgzoo.Predictor(small_model(depth=1), detector="whole")
    (pose,) = predictor(WALKING)
    assert not pose.calibrated
    np.testing.assert_array_equal(
        pose.scores, predictor.reader(predictor.view(WALKING)[None]).scores[0]
    )


def test_detectors_still_see_heights() -> None:
    model = known_model()
    crops = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    known = NetworkReader(model)(crops).scores
    model.output = model.output.uncalibrated()
    np.testing.assert_array_equal(known, NetworkReader(model)(crops).scores)


def test_an_onnx_file_gives_the_scores_of_torch(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="the onnx extra is not installed")
    pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
    from hgzoo.export import export

    model = known_model()
    export(model, tmp_path / "model.onnx")
    (ours,) = hgzoo.Predictor(model, flip=False, detector="whole")(WALKING)
    (theirs,) = hgzoo.Predictor(tmp_path / "model.onnx", detector="whole")(WALKING)
    assert theirs.calibrated
    np.testing.assert_allclose(theirs.scores, ours.scores, atol=1e-3)


def test_files_and_folders_keep_it(tmp_path: Path) -> None:
    checkpoint = known_model().checkpoint()
    checkpoints.write(checkpoint, tmp_path / "file.safetensors")
    assert checkpoints.read(tmp_path / "file.safetensors").output.calibration == TABLE
    directories.write(checkpoint, tmp_path / "folder")
    assert directories.read(tmp_path / "folder").output.calibration == TABLE


def test_other_weights_do_not_inherit_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = factory.model_info("hg1_nano")
    known = replace(recipe, output=replace(recipe.output, calibration=TABLE))
    monkeypatch.setattr(recipes, "read", lambda name: known)
    assert factory.find_weights("hg1_nano").output.calibration == TABLE
    assert not hgzoo.create_model("hg1_nano").output.calibration.known  # random
    model = hgzoo.create_model("hg1_nano", pretrained=True, num_keypoints=5)
    assert not model.output.calibration.known  # new heads
    bare = tmp_path / "bare.pth"
    torch.save(factory.load_model("hg1_nano").state_dict(), bare)
    found = hgzoo.create_model("hg1_nano", checkpoint_path=bare)
    assert not found.output.calibration.known


def test_a_recipe_says_it_in_two_lines() -> None:
    table = {"calibration": {"peaks": [0.1, 0.6], "right": [0, 1]}}
    found = recipes.from_table(OutputSpec, table, where="mine")
    assert found.calibration == Calibration(peaks=(0.1, 0.6), right=(0.0, 1.0))


@pytest.mark.parametrize("name", ["hg1_nano", "hg2_tiny"])
def test_the_zoo_says_what_the_results_say(name: str) -> None:
    told = Path(__file__).parents[1] / "docs" / "results" / f"{name}.calibration.json"
    known = hgzoo.model_info(name).output.calibration
    if known.known:
        measured = json.loads(told.read_text(encoding="utf-8"))["calibration"]
        assert recipes.to_table(known) == {key: tuple(value) for key, value in measured.items()}


def test_the_command_measures_and_writes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lsp(tmp_path)
    torch.manual_seed(0)
    mine, out, figures = (tmp_path / name for name in ("a.safetensors", "b.safetensors", "c.json"))
    checkpoints.write(small_model(depth=1).checkpoint(), mine)
    words = ["calibrate", str(mine), "--data", str(tmp_path), "--quiet"]
    assert main([*words, "--out", str(out), "--json", str(figures)]) == 0
    told = json.loads(figures.read_text())
    found = factory.load_model(out).output.calibration
    assert list(found.peaks) == told["calibration"]["peaks"]
    assert sum(told["after"]["counts"]) == told["keypoints"] == told["no_flip"]["keypoints"]
    assert "[output.calibration]\npeaks = [" in capsys.readouterr().out
