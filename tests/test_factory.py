"""create_model, list_models, model_info."""

import hashlib
import logging
from pathlib import Path

import pytest
import torch

import hgzoo
from hgzoo import factory, hub, recipes
from hgzoo.errors import ConfigError, UnknownArgumentError, UnknownNameError, WeightsError
from tests.conftest import small_model

OWN = """
summary = "Mine."
[model]
num_stacks = 2
num_feats = 4
depth = 2
stem_channels = [2, 4, 4, 4]
num_keypoints = 14
[input]
size = [32, 48]
mean = [0.5, 0.4, 0.3]
[output]
heatmaps = "logits"
skeleton = "lsp"
decoder = "taylor"
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8")
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    hub.save(small_model(), tmp_path / "own.safetensors")
    return tmp_path / "own.safetensors"


def test_a_variant_is_built_with_random_weights() -> None:
    model = hgzoo.create_model("hg2_tiny")
    assert model.training
    assert model.config == recipes.read("hg2_tiny").model


def test_a_recipe_of_ones_own_is_built(own: Path) -> None:
    assert hgzoo.create_model(own).config.num_feats == 4
    assert hgzoo.create_model(str(own)).input.size == (32, 48)


def test_other_keypoints_and_channels(own: Path) -> None:
    model = hgzoo.create_model(own, num_keypoints=5, in_chans=1)
    assert model(torch.randn(2, 1, 16, 32))[-1].shape == (2, 5, 4, 8)
    assert model.input.mean == pytest.approx((0.4,))
    assert len(hgzoo.create_model(own, in_chans=5).input.std) == 5


@pytest.mark.parametrize("change", [{"num_keypoints": 0}, {"in_chans": 0}])
def test_impossible_numbers_are_refused(own: Path, change: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        hgzoo.create_model(own, **change)


def test_an_unknown_argument_names_the_near_one() -> None:
    with pytest.raises(UnknownArgumentError, match="did you mean num_keypoints"):
        hgzoo.create_model("hg8", num_keypoint=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'pretraned'; did you mean pretrained"):
        hgzoo.list_models(pretraned=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="did you mean batch_size"):
        hgzoo.Predictor("hg2_tiny", batchsize=3)  # type: ignore[call-arg]


def test_an_unknown_variant_names_the_near_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean hg8"):
        hgzoo.create_model("hg88")


def test_an_unknown_tag_names_what_exists() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean hg2_tiny\.lsp"):
        hgzoo.create_model("hg2_tiny.lps", pretrained=True)


def test_no_weights_is_an_error_that_names_what_exists() -> None:
    with pytest.raises(WeightsError, match=r"hg4 has no pretrained weights.*hg2_tiny\.lsp"):
        hgzoo.create_model("hg4", pretrained=True)


def test_shipped_weights_load(own: Path) -> None:
    model = hgzoo.create_model("hg2_tiny", pretrained=True)
    assert not model.training
    tagged = hgzoo.create_model("hg2_tiny.lsp", pretrained=True)
    for one, other in zip(model.parameters(), tagged.parameters(), strict=True):
        assert torch.equal(one, other)


def test_shipped_weights_are_small_and_are_what_the_recipe_says() -> None:
    for name in hgzoo.list_models(pretrained=True):
        variant, _, tag = name.partition(".")
        recipe = hgzoo.model_info(variant)
        path = factory.weights_path(name)
        assert path.stat().st_size <= 4_000_000
        assert hashlib.sha256(path.read_bytes()).hexdigest() == recipe.weights[tag].sha256
        shipped = hub.load(path)
        assert (shipped.config, shipped.input) == (recipe.model, recipe.input)
        assert shipped.output == recipe.output


def test_a_checkpoint_is_loaded(own: Path, weights: Path) -> None:
    model = hgzoo.create_model(own, checkpoint_path=weights)
    expected = hub.load(weights).state_dict()
    assert all(torch.equal(expected[name], value) for name, value in model.state_dict().items())


def test_other_keypoints_with_weights_replace_all_heads_and_say_so_once(
    own: Path, weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        model = hgzoo.create_model(own, checkpoint_path=weights, num_keypoints=3)
    assert len(caplog.records) == 1
    assert "3 keypoints" in caplog.text
    assert [stack.shape[1] for stack in model(torch.randn(1, 3, 16, 32))] == [3, 3]
    kept = hub.load(weights)
    assert torch.equal(model.heads[0].conv.weight, kept.heads[0].conv.weight)


def test_one_channel_with_weights_sees_a_gray_picture_alike(own: Path, weights: Path) -> None:
    gray = torch.randn(2, 1, 32, 48)
    rgb = hgzoo.create_model(own, checkpoint_path=weights)(gray.expand(-1, 3, -1, -1))
    one = hgzoo.create_model(own, checkpoint_path=weights, in_chans=1)(gray)
    torch.testing.assert_close(one[-1], rgb[-1], atol=1e-4, rtol=1e-3)


def test_six_channels_with_weights_see_a_doubled_picture_alike(own: Path, weights: Path) -> None:
    images = torch.randn(2, 3, 32, 48)
    three = hgzoo.create_model(own, checkpoint_path=weights)(images)
    six = hgzoo.create_model(own, checkpoint_path=weights, in_chans=6)(images.repeat(1, 2, 1, 1))
    torch.testing.assert_close(six[-1], three[-1], atol=1e-4, rtol=1e-3)


def test_listing_filters_and_excludes() -> None:
    assert hgzoo.list_models() == recipes.names()
    assert hgzoo.list_models("hg2*", exclude="*_b4") == ["hg2", "hg2_original", "hg2_tiny"]
    assert hgzoo.list_models(["hg8", "hg1"], exclude=["hg1"]) == ["hg8"]
    assert hgzoo.list_models("nothing*") == []


def test_listing_weights_names_tags() -> None:
    assert "hg2_tiny.lsp" in hgzoo.list_models(pretrained=True)
    assert all("." in name for name in hgzoo.list_models(pretrained=True))


def test_the_zoo_has_the_promised_variants() -> None:
    promised = {"hg1", "hg2", "hg4", "hg8", "hg2_original", "hg8_original", "hg4_small"}
    assert promised | {"hg1_nano", "hg2_tiny"} <= set(hgzoo.list_models())


def test_a_file_dropped_into_the_folder_is_a_variant(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "folder", lambda: own.parent)
    assert hgzoo.list_models() == ["own"]
    assert hgzoo.model_info("own").summary == "Mine."
