"""The command line, as a user meets it."""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import hgzoo
from hgzoo import checkpoints, download, recipes
from hgzoo.cli import main, parser
from hgzoo.convert import LAYOUTS
from hgzoo.factory import load_model
from hgzoo.optimization import make_optimizer
from hgzoo.pictures import load
from tests.conftest import small_model
from tests.people import write_lsp, write_lspet, write_mpii
from tests.upstream import as_theirs


@pytest.fixture
def weights(tmp_path: Path) -> str:
    checkpoints.write(small_model().checkpoint(), tmp_path / "small.safetensors")
    return str(tmp_path / "small.safetensors")


def commands(parser: argparse.ArgumentParser) -> list[list[str]]:
    """Return the words of every command, and of those below it."""
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return [
        [word, *rest]
        for group in groups
        for word, below in group.choices.items()
        for rest in ([], *commands(below))
    ]


def test_every_command_is_found() -> None:
    assert {"list", "train", "score", "demo"} <= {words[0] for words in commands(parser())}
    assert ["benchmark", "decoders"] in commands(parser())


@pytest.mark.parametrize("command", [[], *commands(parser())], ids=" ".join)
def test_help_has_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "usage: hgzoo" in out
    assert not command or "examples:" in out


def test_the_zoo_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert "25,594,624" in out
    assert main(["list", "--pretrained"]) == 0
    out = capsys.readouterr().out
    assert "hg8.bearpaw_mpii" in out
    assert "hg4" not in out
    assert main(["list", "hg9"]) == 1
    assert "did you mean" in capsys.readouterr().err


def test_info_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "hg8"]) == 0
    assert json.loads(capsys.readouterr().out)["num_parameters"] == 25_594_624


def test_predict_draws_and_writes_json(
    picture_file: Callable[..., Path], weights: str, tmp_path: Path
) -> None:
    out, table = tmp_path / "out", tmp_path / "poses.jsonl"
    arguments = [str(picture_file("a.jpg")), "--model", weights, "--boxes", "5,5,40,40"]
    arguments += ["--boxes=-5,0,20,30", "--out", str(out), "--json", str(table), "--heatmaps"]
    assert main(["predict", *arguments]) == 0
    assert load(out / "a.jpg.pose.png").shape == (40, 60, 3)
    assert (out / "a.jpg.stacks1.png").is_file()
    record = json.loads(table.read_text(encoding="utf-8"))
    assert [pose["box"] for pose in record["poses"]] == [[5, 5, 40, 40], [-5, 0, 20, 30]]
    assert [point["name"] for point in record["poses"][0]["keypoints"]][:1] == ["right_ankle"]


def test_a_broken_picture_among_many_is_reported_and_the_rest_goes_on(
    picture_file: Callable[..., Path],
    weights: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = picture_file("one.png").parent
    picture_file("two.png")
    (folder / "broken.png").write_bytes(b"nothing")
    (folder / "notes.txt").write_text("no picture", encoding="utf-8")
    out, table = tmp_path / "out", tmp_path / "poses.jsonl"
    code = main(
        ["predict", str(folder), "--model", weights, "--out", str(out), "--json", str(table)]
    )
    assert code == 1
    assert sorted(path.name for path in out.iterdir()) == ["one.png.pose.png", "two.png.pose.png"]
    assert len(table.read_text(encoding="utf-8").splitlines()) == 2
    err = capsys.readouterr().err
    assert "broken.png is not a picture" in err
    assert "2 of 3 pictures done" in err


def test_wildcards_work_and_name_clashes_do_not_overwrite(
    picture_file: Callable[..., Path], weights: str, tmp_path: Path
) -> None:
    first = picture_file("x.png")
    other = first.parent / "sub"
    other.mkdir()
    (other / "x.png").write_bytes(first.read_bytes())
    out = tmp_path / "out"
    pattern = [str(first.parent / "x*.png"), str(other / "*.png")]
    assert main(["predict", *pattern, "--model", weights, "--out", str(out), "--quiet"]) == 0
    assert len(list(out.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a picture, a video, a folder or a wildcard"),
        (["none.png"], "cannot read none.png"),
        (["*.nothing"], "no pictures and no videos there"),
        (["x.png", "--boxes", "1,2,3"], "x0,y0,x1,y1"),
        (["x.png", "y.png", "--boxes", "1,2,3,4"], "goes with one picture or one video"),
        (["x.png", "--model", "hg22"], "did you mean hg2"),
        (["x.png", "--model", "hg4"], "has no pretrained weights"),
        (["x.png", "--decoder", "tailor"], "did you mean taylor"),
        (["x.png", "--device", "nowhere"], "cannot run on device 'nowhere'"),
    ],
)
def test_mistakes_end_with_code_1_and_the_fix(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_nothing_is_drawn_below_the_threshold(
    picture_file: Callable[..., Path], weights: str, tmp_path: Path
) -> None:
    path, out = picture_file(), tmp_path / "out"
    main(["predict", str(path), "--model", weights, "--out", str(out), "--threshold", "1.1"])
    np.testing.assert_array_equal(load(out / f"{path.name}.pose.png"), load(path))


OWN = """
summary = "Mine."
[model]
num_stacks = 1
num_feats = 4
depth = 2
stem_channels = [2, 4, 4, 4]
num_keypoints = 14
[input]
size = [32, 32]
[output]
heatmaps = "logits"
skeleton = "lsp"
[train]
datasets = { lspet = 2 }
validation = { lsp = 1 }
loss = "spatial_cross_entropy"
epochs = 1
batch_size = 4
"""


def test_train_then_evaluate_then_predict(
    tmp_path: Path, picture_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = tmp_path / "data", str(tmp_path / "run")
    write_lsp(data, number=810)
    write_lspet(data)
    recipe = tmp_path / "own.toml"
    recipe.write_text(OWN, encoding="utf-8")
    common = ["--data", str(data), "--quiet"]
    assert main(["train", str(recipe), "--out", run, *common, "--set", "lr=1e-4"]) == 0
    trained = capsys.readouterr().out
    table = tmp_path / "judged.json"
    plot = tmp_path / "curves.png"
    assert main(["evaluate", run, *common, "--json", str(table), "--plot", str(plot)]) == 0
    assert load(plot).shape == (480, 720, 3)
    assert capsys.readouterr().out == trained
    assert json.loads(table.read_text(encoding="utf-8"))["people"] == 10
    assert main(["predict", str(picture_file()), "--model", run, "--out", str(tmp_path)]) == 0
    again = [str(recipe), "--out", str(tmp_path / "more"), *common]
    assert main(["train", *again, "--init", f"{run}/best.safetensors"]) == 0
    written = json.loads((tmp_path / "more" / "recipe.json").read_text(encoding="utf-8"))
    assert written["train"]["init"] == f"{run}/best.safetensors"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hg8"], "names no datasets"),
        (["hg2_tiny", "--set", "epoch=1"], "did you mean epochs"),
        (["hg2_tiny"], "is missing"),
        (["hg2_tiny", "--set", "datasets={lps=1}"], "did you mean lsp?"),
    ],
)
def test_training_mistakes_end_with_the_fix(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments, "--data", str(tmp_path), "--quiet"]) == 1
    assert message in capsys.readouterr().err


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hgzoo", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("hgzoo 0.")


def test_convert_writes_a_folder_that_predicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"state_dict": as_theirs(small_model(), LAYOUTS[0])}, tmp_path / "a.pth")
    out = tmp_path / "out"
    assert main(["convert", str(tmp_path / "a.pth"), str(out)]) == 0
    printed = capsys.readouterr().out
    assert "layout of bearpaw, anibali or FPD, 2 stacks, 4 features" in printed
    assert hgzoo.Predictor(out).reader.input.mean == (0.4404, 0.4440, 0.4327)
    assert main(["convert", str(tmp_path / "a.pth"), str(out)]) == 1
    assert "holds model.safetensors already" in capsys.readouterr().err


def test_convert_takes_another_contract_and_a_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(as_theirs(small_model(), LAYOUTS[0]), tmp_path / "a.pth")
    torch.save(small_model().state_dict(), tmp_path / "b.pth")
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "a"), "--contract=fpd"]) == 0
    assert hgzoo.Predictor(tmp_path / "a").reader.input.std == (0.229, 0.224, 0.225)
    assert main(["convert", str(tmp_path / "b.pth"), str(tmp_path / "b")]) == 1
    assert "name a recipe that does" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
    assert main(["convert", str(tmp_path / "b.pth"), str(tmp_path / "b"), "--like=hg2_tiny"]) == 0
    assert load_model(tmp_path / "b").output.heatmaps == "logits"


def test_convert_knows_the_originals_of_the_zoo_by_their_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(as_theirs(small_model(), LAYOUTS[0]), tmp_path / "a.pth")
    monkeypatch.setattr(download, "sha256_of", lambda path: "90e5d470" + "0" * 56)
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "out")]) == 0
    assert "these are hg8.bearpaw_mpii" in capsys.readouterr().out
    assert "GPL-3.0" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", recipes.trainings())
def test_every_training_runs_on_mpii(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two epochs of a small network on made-up people."""
    write_mpii(tmp_path, number=6)
    shutil.copy(tmp_path / "mpii" / "valid.h5", tmp_path / "mpii" / "train.h5")
    (tmp_path / "own.toml").write_text(SMALL, encoding="utf-8")
    changes = ["--set", "epochs=2", "--set", "batch_size=2", "--set", "warmup_epochs=0.0"]
    out = ["--out", str(tmp_path / "run"), "--quiet"]
    command = ["train", str(tmp_path / "own.toml"), "--recipe", name, "--data", str(tmp_path)]
    assert main([*command, *changes, *out]) == 0
    assert "PCKh@0.5 of 6 people" in capsys.readouterr().out
    assert main(["train", str(tmp_path / "own.toml"), "--data", str(tmp_path)]) == 1
    assert "add --recipe modern or paper or princeton" in capsys.readouterr().err


SMALL = """
summary = "Small."
[model]
num_stacks = 2
num_feats = 4
depth = 2
stem_channels = [2, 4, 4, 4]
num_keypoints = 16
[input]
size = [48, 32]
"""


def test_the_papers_optimizer_is_the_papers() -> None:
    recipe = recipes.trained_by(recipes.read("hg1"), "paper")
    optimizer, _ = make_optimizer(small_model(), recipe.train, updates=3)
    assert type(optimizer) is torch.optim.RMSprop
    for group in optimizer.param_groups:
        assert (group["lr"], group["alpha"], group["eps"]) == (2.5e-4, 0.99, 1e-8)
        assert group["momentum"] == 0.0
