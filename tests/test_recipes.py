"""Recipes are read strictly, and every file of the zoo is one."""

import json
from pathlib import Path

import pytest

from hgzoo import recipes
from hgzoo.config import AugmentConfig, InputSpec, ModelConfig, Recipe
from hgzoo.errors import ConfigError, UnknownNameError
from hgzoo.skeletons import SKELETONS

OWN = """
summary = "Mine."
[model]
num_stacks = 3
num_feats = 8
stem_channels = [2, 4, 8, 8]
num_keypoints = 5
"""


def own(tmp_path: Path, text: str = OWN) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", recipes.names())
def test_every_variant_of_the_zoo_is_a_recipe(name: str) -> None:
    recipe = recipes.read(name)
    assert recipe.name == name
    assert recipe.summary.endswith(".")
    assert recipe.output.skeleton in SKELETONS.values()
    assert recipe.output.skeleton.num_keypoints == recipe.model.num_keypoints


def test_a_recipe_of_ones_own_is_read(tmp_path: Path) -> None:
    recipe = recipes.read(own(tmp_path))
    assert recipe.name == "own"
    assert recipe.model.stem_channels == (2, 4, 8, 8)
    assert recipe.train.lr == 1e-3


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_survives_json(name: str, tmp_path: Path) -> None:
    recipe = recipes.read(name)
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipes.to_table(recipe)), encoding="utf-8")
    assert recipes.read(path) == recipe


def test_an_unknown_variant_names_the_near_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean hg2_tiny"):
        recipes.read("hg2_tinny")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OWN.replace("num_stacks", "num_stack"), "did you mean num_stacks"),
        (OWN + "[trian]\nlr = 1.0\n", "did you mean train"),
        (OWN + "[train]\nlr = 'fast'\n", "lr must be float, got 'fast'"),
        (OWN + "[train]\nepochs = 2.5\n", "epochs must be int"),
        (OWN + "[train]\nepochs = 0\n", "epochs must be at least 1"),
        (OWN + "[train.augment]\ncolor = [1.0]\n", "needs 2 values, got 1"),
        (OWN + "[train]\nunlabeled = 'ignored'\n", "did you mean ignore"),
        (OWN + "[input]\nsize = [100, 64]\n", "must divide by 64"),
        (OWN + "[input]\nmean = [0.5]\nstd = [1.0]\n", "1 means for 3 channels"),
        (OWN.replace("num_stacks = 3", ""), "model lacks num_stacks"),
        (OWN.replace("8, 8]", "8, 6]"), "must end in num_feats"),
        ("default_weights = 'none'\n" + OWN, "has no table"),
        ("summary = ", "is not TOML"),
    ],
)
def test_a_bad_recipe_is_refused_with_the_fix(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipes.read(own(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        recipes.read(tmp_path / "none.toml")


def test_a_number_without_a_point_is_a_float_where_one_is_meant(tmp_path: Path) -> None:
    assert recipes.read(own(tmp_path, OWN + "[train]\nlr = 1\n")).train.lr == 1.0


def test_true_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lr must be float, got True"):
        recipes.read(own(tmp_path, OWN + "[train]\nlr = true\n"))


def test_changes_reach_nested_keys(tmp_path: Path) -> None:
    recipe = recipes.read(own(tmp_path))
    changed = recipes.changed(
        recipe, ["epochs=7", "augment.color=[1.0, 1.0]", "optimizer=sgd", "datasets={lsp=2}"]
    )
    assert (changed.train.epochs, changed.train.augment.color) == (7, (1.0, 1.0))
    assert (changed.train.optimizer, changed.train.datasets) == ("sgd", {"lsp": 2})
    assert changed.model == recipe.model


@pytest.mark.parametrize("change", ["epochs", "epoch=3", "augmnt.color=1", "augment.colour=1"])
def test_a_bad_change_is_refused(tmp_path: Path, change: str) -> None:
    recipe = recipes.read(own(tmp_path))
    with pytest.raises(ConfigError):
        recipes.changed(recipe, [change])


def test_inner_supervision_is_for_a_single_hourglass() -> None:
    with pytest.raises(ConfigError, match="inner_supervision must be 0 to 0"):
        ModelConfig(num_stacks=2, inner_supervision=1)


def test_heatmaps_are_a_quarter_of_the_input() -> None:
    assert InputSpec(size=(128, 64)).heatmap_size == (32, 16)


def test_recipes_cannot_be_changed_in_place() -> None:
    recipe = recipes.read("hg8")
    assert isinstance(recipe, Recipe)
    with pytest.raises(AttributeError):
        recipe.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("name", recipes.trainings())
@pytest.mark.parametrize("variant", ["hg2", "hg8_original"])
def test_a_training_fits_any_variant(name: str, variant: str) -> None:
    recipe = recipes.trained_by(recipes.read(variant), name)
    assert recipe.model == recipes.read(variant).model
    assert recipe.output.skeleton.name == "mpii"
    assert recipe.train.validation == {"mpii": 1.0}
    assert recipe.eval.metric == "pckh"


def test_the_papers_training_is_the_papers() -> None:
    """Section 3.4 and the public option file."""
    train = recipes.trained_by(recipes.read("hg8"), "paper").train
    assert (train.optimizer, train.lr, train.batch_size) == ("rmsprop", 2.5e-4, 6)
    assert (train.sigma, train.unlabeled, train.loss) == (1.0, "zero", "mse")
    assert (train.schedule, train.decay_rate) == ("plateau", 0.2)
    assert train.augment == AugmentConfig()


def test_a_training_says_what_heatmaps_mean_and_keeps_the_skeleton() -> None:
    recipe = recipes.read("hg2_tiny")
    assert (recipe.output.heatmaps, recipe.output.decoder) == ("logits", "taylor")
    output = recipes.trained_by(recipe, "paper").output
    assert (output.heatmaps, output.decoder) == ("heights", "quarter_offset")
    assert output.skeleton == recipe.output.skeleton


def test_an_unknown_training_names_the_near_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean paper"):
        recipes.trained_by(recipes.read("hg8"), "papr")
