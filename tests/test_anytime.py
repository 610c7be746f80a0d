"""Leaving after the first stack that is sure."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hgzoo import engine
from hgzoo.anytime import AnytimeHourglass, calibrate, confidence, exits
from hgzoo.benchmark.leaving import stacks_judged
from hgzoo.cli import main
from hgzoo.config import EvalConfig, Options
from hgzoo.data import DATASETS, crop_of
from hgzoo.decoders import heights
from hgzoo.errors import ConfigError
from hgzoo.inference import NetworkReader
from hgzoo.pictures import load
from tests.conftest import images, shaken, small_model
from tests.people import write_lsp


@torch.inference_mode()
def test_each_picture_leaves_after_the_first_sure_stack() -> None:
    model = shaken(small_model(num_stacks=3))
    pictures = images(6)
    stacks = model(pictures)
    sure = torch.stack([confidence(heights(one, "logits")) for one in stacks])  # [3, 6]
    threshold = float(sure[0].median())
    first = [next((s for s in range(2) if sure[s, n] >= threshold), 2) for n in range(6)]
    assert len(set(first)) > 1
    anytime = AnytimeHourglass(model, threshold=threshold)
    (found,) = anytime(pictures)
    wanted = torch.stack([stacks[stack][n] for n, stack in enumerate(first)])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert anytime.left == [first.count(stack) for stack in range(3)]


@pytest.mark.parametrize(("threshold", "stack"), [(0.0, 0), (float("inf"), 2)])
@torch.inference_mode()
def test_the_ends_are_the_first_and_the_last_stack(threshold: float, stack: int) -> None:
    model = shaken(small_model(num_stacks=3))
    pictures = images(2)
    (found,) = AnytimeHourglass(model, threshold=threshold)(pictures)
    torch.testing.assert_close(found, model(pictures)[stack], rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_it_works_in_bfloat16() -> None:
    model = shaken(small_model(num_stacks=3))
    pictures = images(2)
    anytime = AnytimeHourglass(model, threshold=0.0, dtype=torch.bfloat16)
    (found,) = anytime(pictures)
    wanted = model(pictures)[0]
    assert found.dtype == torch.float32
    assert 0 < (found - wanted).abs().max() < 0.1 * wanted.abs().max()


def test_stacks_that_are_not_needed_do_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    anytime = AnytimeHourglass(shaken(small_model(num_stacks=3)), threshold=0.0)
    for hourglass in anytime.lean.hourglasses[1:]:
        monkeypatch.setattr(hourglass, "forward", lambda _: pytest.fail("it ran"))
    anytime(images(2))


def test_confidence_is_the_mean_of_the_peaks() -> None:
    heatmaps = torch.zeros(1, 2, 3, 4)
    heatmaps[0, 0, 1, 2], heatmaps[0, 1, 0, 0] = 0.5, 0.1
    torch.testing.assert_close(confidence(heatmaps), torch.tensor([0.3]))


SURE = np.array([[0.9, 0.2, 0.6], [0.9, 0.8, 0.7]])
HITS = np.array([[1.0, 0.0, 0.5], [1.0, 1.0, 1.0]])


def test_exits_by_hand() -> None:
    found = [(one.threshold, one.stacks, round(one.correct, 6)) for one in exits(SURE, HITS)]
    assert found == [
        (np.inf, 2.0, 100.0),
        (0.9, pytest.approx(5 / 3), 100.0),
        (0.6, pytest.approx(4 / 3), pytest.approx(250 / 3)),
        (0.2, 1.0, 50.0),
    ]


@pytest.mark.parametrize(("loss", "threshold"), [(0.0, 0.9), (20.0, 0.6), (50.0, 0.2)])
def test_the_threshold_saves_what_the_loss_allows(loss: float, threshold: float) -> None:
    assert calibrate(exits(SURE, HITS), loss=loss).threshold == threshold


def test_what_cannot_be_calibrated_is_told() -> None:
    with pytest.raises(ConfigError, match="loss must be 0 or more"):
        calibrate(exits(SURE, HITS), loss=-1.0)
    with pytest.raises(ConfigError, match="not empty"):
        exits(SURE[:, :0], HITS[:, :0])


def test_every_stack_is_judged_as_evaluate_does(tmp_path: Path) -> None:
    write_lsp(tmp_path, number=1000)
    people = DATASETS["lsp"].validation(tmp_path)[:20]
    model = shaken(small_model())
    sure, right = stacks_judged(model, people, threshold=0.8, progress=False)
    config = EvalConfig(threshold=0.8, flip=False)
    report = engine.evaluate(model, people, config, options=Options(progress=False))
    np.testing.assert_allclose(100 * right.mean(1), report.stacks)
    assert 0 < right.mean() < 1
    reader = NetworkReader(model, flip=False)
    crop = crop_of(people[3], model.input).warp(load(people[3].path))
    heatmaps = reader(crop[None], heatmaps=True).heatmaps
    assert heatmaps is not None
    np.testing.assert_allclose(sure[:, 3], heatmaps[:, 0].max((2, 3)).mean(1), rtol=1e-3)


def test_the_command_calibrates_on_every_second_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lsp(tmp_path, number=1000)
    shaken(small_model()).save_pretrained(tmp_path / "mine")
    words = ["benchmark", "anytime", str(tmp_path / "mine"), "--data", str(tmp_path), "--quiet"]
    files = ["--plot", str(tmp_path / "a.png"), "--json", str(tmp_path / "a.json")]
    assert main([*words, *files, "--loss", "100"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[2].startswith("| judged | inf | 2.00 |")
    assert "| calibrated on |" in rows[-2]
    table = json.loads((tmp_path / "a.json").read_text())
    assert table["calibrated"]["stacks"] == 1.0
    assert table["exits"][0]["threshold"] is None
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (720, 480)
    shaken(small_model(num_stacks=1)).save_pretrained(tmp_path / "one")
    assert main([*words[:2], str(tmp_path / "one"), *words[3:]]) == 1
    assert "nowhere to leave early" in capsys.readouterr().err
