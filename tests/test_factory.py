"""create_model, list_models, model_info."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

import hgzoo
from hgzoo import checkpoints, download, factory, recipes, sources
from hgzoo.convert import CONTRACTS, LAYOUTS
from hgzoo.errors import ConfigError, UnknownArgumentError, UnknownNameError, WeightsError
from hgzoo.factory import load_model
from tests.conftest import small_model
from tests.hub_server import HubServer, Status
from tests.test_convert import as_theirs

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
    checkpoints.write(small_model().checkpoint(), tmp_path / "own.safetensors")
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
    with pytest.raises(UnknownNameError, match=r"did you mean hg2_tiny\.people"):
        hgzoo.create_model("hg2_tiny.lps", pretrained=True)


def test_no_weights_is_an_error_that_names_what_exists() -> None:
    with pytest.raises(WeightsError, match=r"hg4 has no pretrained weights.*hg8\.bearpaw_mpii"):
        hgzoo.create_model("hg4", pretrained=True)


def test_shipped_weights_load(own: Path) -> None:
    model = hgzoo.create_model("hg2_tiny", pretrained=True)
    assert not model.training
    tagged = hgzoo.create_model("hg2_tiny.people", pretrained=True)
    for one, other in zip(model.parameters(), tagged.parameters(), strict=True):
        assert torch.equal(one, other)


def test_shipped_weights_are_small_and_are_what_the_recipe_says() -> None:
    for name in hgzoo.list_models(pretrained=True):
        full, weights = factory.weights_info(name)
        if weights.file:
            recipe = hgzoo.model_info(full)
            path = sources.fetch(full, weights)
            assert path.stat().st_size <= 4_000_000
            assert hashlib.sha256(path.read_bytes()).hexdigest() == weights.sha256
            shipped = load_model(path)
            assert (shipped.config, shipped.input) == (recipe.model, recipe.input)
            assert shipped.output == recipe.output


def test_the_zoo_has_the_promised_weights() -> None:
    assert set(hgzoo.list_models(pretrained=True)) >= {
        *("hg1.bearpaw_mpii", "hg2.bearpaw_mpii", "hg8.bearpaw_mpii", "hg2_tiny.people"),
        *("hg2_original.princeton_mpii", "hg8_original.princeton_mpii"),
    }
    for name in ("hg1", "hg2", "hg8"):
        assert hgzoo.model_info(name).default_weights == "bearpaw_mpii"


@pytest.mark.parametrize("name", hgzoo.list_models(pretrained=True))
def test_weights_expect_the_pictures_that_their_recipe_says(name: str) -> None:
    """What a conversion says of its pictures, and what the recipe says, must not differ."""
    spec = hgzoo.model_info(name).input
    expected = {
        "bearpaw_mpii": CONTRACTS["bearpaw"].input,
        "princeton_mpii": CONTRACTS["princeton"].input,
    }.get(name.partition(".")[2], spec)
    assert spec == expected


def test_a_checkpoint_is_loaded(own: Path, weights: Path) -> None:
    model = hgzoo.create_model(own, checkpoint_path=weights)
    expected = load_model(weights).state_dict()
    assert all(torch.equal(expected[name], value) for name, value in model.state_dict().items())


def test_other_keypoints_with_weights_replace_all_heads_and_say_so_once(
    own: Path, weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        model = hgzoo.create_model(own, checkpoint_path=weights, num_keypoints=3)
    assert len(caplog.records) == 1
    assert "3 keypoints" in caplog.text
    assert [stack.shape[1] for stack in model(torch.randn(1, 3, 16, 32))] == [3, 3]
    kept = load_model(weights)
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
    assert "hg2_tiny.people" in hgzoo.list_models(pretrained=True)
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


# Weights of others.


@pytest.fixture
def bearpaw(tmp_path: Path) -> Path:
    state = as_theirs(small_model(), LAYOUTS[0])
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "b.pth")
    return tmp_path / "b.pth"


def test_a_checkpoint_of_another_library_brings_its_normalization(own: Path, bearpaw: Path) -> None:
    model = hgzoo.create_model(own, checkpoint_path=bearpaw)
    assert model.input.mean == (0.4404, 0.4440, 0.4327)
    assert model.input.size == (32, 48)
    assert model.output == recipes.read(own).output


def test_a_checkpoint_of_another_architecture_lists_the_keys(bearpaw: Path) -> None:
    with pytest.raises(WeightsError, match=r"does not fit the network \(1286 keys\):\n  feedbacks"):
        hgzoo.create_model("hg4_small", checkpoint_path=bearpaw)


def test_a_folder_is_a_checkpoint_too(own: Path, tmp_path: Path) -> None:
    small_model().save_pretrained(tmp_path / "saved")
    model = hgzoo.create_model(own, checkpoint_path=tmp_path / "saved", num_keypoints=3)
    assert model.config.num_keypoints == 3


def test_a_checkpoint_file_is_found_by_its_path(bearpaw: Path) -> None:
    assert load_model(bearpaw).config == small_model().config


def test_loading_from_the_zoo_leaves_the_random_numbers_alone() -> None:
    state = torch.get_rng_state()
    hgzoo.create_model("hg2_tiny", pretrained=True)
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_come_by_the_zoos_name_and_are_kept(
    hub_server: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bearpaw: Path
) -> None:
    url = hub_server.serve("/b.pth", bearpaw.read_bytes())
    sha256 = hashlib.sha256(bearpaw.read_bytes()).hexdigest()
    table = f'[weights.b]\nurl = "{url}"\nurl_sha256 = "{sha256[:8]}"\nlicence = "l"\nsource = "s"'
    text = OWN.replace("[0.5, 0.4, 0.3]", "[0.4404, 0.4440, 0.4327]") + table
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "own.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(recipes, "folder", lambda: tmp_path / "zoo")
    model = hgzoo.create_model("own.b", pretrained=True, cache_dir=tmp_path / "cache")
    expected = load_model(bearpaw).state_dict()
    assert all(torch.equal(expected[name], value) for name, value in model.state_dict().items())
    assert model.origin is not None
    assert model.origin.name == "own.b"
    hub_server.fail("*", Status(500), times=None)
    again = hgzoo.create_model("own.b", pretrained=True, cache_dir=tmp_path / "cache", in_chans=1)
    assert again.config.in_channels == 1


def test_offline_and_without_the_weights_the_message_says_what_to_do(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError) as error:
        hgzoo.create_model("hg8", pretrained=True)
    assert "bearpaw_hg8-90e5d470.pth" in str(error.value)
    assert "hgzoo convert" in str(error.value)


# Names and files that are not what they seem.


def test_a_file_may_have_the_keypoints_and_channels_asked_for(own: Path, tmp_path: Path) -> None:
    other = small_model(num_keypoints=5, in_channels=1)
    torch.save(other.state_dict(), tmp_path / "a.pth")
    model = hgzoo.create_model(own, num_keypoints=5, in_chans=1, checkpoint_path=tmp_path / "a.pth")
    assert torch.equal(model.heads[1].heatmaps.weight, other.heads[1].heatmaps.weight)
    assert len(model.input.mean) == 1


@pytest.mark.parametrize("name", ["", None, 5, b"hg8", ["hg8"]])
def test_what_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(ConfigError, match="named by a text or a path"):
        hgzoo.create_model(name)


def test_an_empty_checkpoint_path_is_refused(own: Path) -> None:
    with pytest.raises(ConfigError, match="name the checkpoint"):
        hgzoo.create_model(own, checkpoint_path="")


def test_a_checkpoint_in_place_of_a_name_says_how_to_load_it(bearpaw: Path) -> None:
    with pytest.raises(ConfigError, match="checkpoint_path="):
        hgzoo.create_model(bearpaw, pretrained=True)


@pytest.mark.parametrize("folder", ["hg2.mine", "v1.json", "net.pth"])
def test_a_folder_is_found_whatever_its_name(tmp_path: Path, folder: str) -> None:
    small_model().save_pretrained(tmp_path / folder)
    assert hgzoo.create_model(tmp_path / folder, pretrained=True).config == small_model().config
    assert load_model(tmp_path / folder).config == small_model().config


def test_a_trailing_dot_is_no_tag() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean hg2_tiny\.people"):
        hgzoo.create_model("hg2_tiny.", pretrained=True)


@pytest.mark.parametrize("number", [2.5, "3", True, 2**70, 10**9])
def test_what_is_no_number_of_keypoints_is_refused(number: Any) -> None:
    with pytest.raises(ConfigError, match="num_keypoints must be"):
        hgzoo.create_model("hg2_tiny", num_keypoints=number)


def test_an_original_of_the_zoo_brings_its_terms(
    bearpaw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "sha256_of", lambda path: "90e5d470" + "0" * 56)
    model = load_model(bearpaw)
    assert model.origin is not None
    assert model.origin.name == "hg8.bearpaw_mpii"
    assert model.origin.weights.spdx == "gpl-3.0"


def test_the_card_of_a_folder_is_written_too(tmp_path: Path) -> None:
    small_model().save_pretrained(tmp_path / "mine")
    assert "right_ankle" in factory.model_card(tmp_path / "mine")
