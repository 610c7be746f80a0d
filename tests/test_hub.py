"""Sharing networks on a Hub."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import HfApi

import hgzoo
from hgzoo import factory, hub, recipes
from hgzoo.cli import main
from hgzoo.config import Recipe, Weights
from hgzoo.convert import LAYOUTS
from hgzoo.errors import ConfigError, WeightsError
from hgzoo.model import StackedHourglass
from tests.conftest import small_model
from tests.hub_server import UPLOAD_WARNING, HubServer, Status
from tests.upstream import as_theirs

pytestmark = pytest.mark.filterwarnings(UPLOAD_WARNING)

FILES = {"model.safetensors", "config.json", "README.md", "picture.jpg"}


@pytest.fixture
def login(hub_server: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    monkeypatch.setenv("HF_TOKEN", hub_server.token)
    return hub_server


def test_what_was_pushed_comes_back(login: HubServer) -> None:
    model = small_model().eval()
    address = hgzoo.push_to_hub(model, "me/mine")
    assert address.startswith(f"{login.url}/me/mine/commit/")
    assert login.files("me/mine").keys() >= FILES
    images = torch.randn(1, 3, 32, 48)
    for back in (
        StackedHourglass.from_pretrained("me/mine"),
        hgzoo.create_model("hf-hub:me/mine", pretrained=True),
    ):
        assert torch.equal(back(images)[-1], model(images)[-1])
        assert (back.input, back.output) == (model.input, model.output)


def test_the_pushed_card_loads_from_where_it_is(login: HubServer) -> None:
    hgzoo.push_to_hub(small_model(), "me/mine")
    assert b'hgzoo.Predictor("hf-hub:me/mine")' in login.files("me/mine")["README.md"]


def test_the_message_is_the_commits(login: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    told, upload = [], HfApi.upload_folder

    def noted(self: HfApi, **options: Any) -> Any:
        told.append(options["commit_message"])
        return upload(self, **options)

    monkeypatch.setattr(HfApi, "upload_folder", noted)
    hgzoo.push_to_hub(small_model(), "me/mine", message="Train ten epochs more")
    hgzoo.push_to_hub(small_model(), "me/mine")
    assert told == ["Train ten epochs more", "Upload weights, config and card"]


def test_a_tag_pins_the_commit(login: HubServer) -> None:
    first, second = small_model().eval(), small_model(num_keypoints=5).eval()
    hgzoo.push_to_hub(first, "me/mine", revision="v1")
    hgzoo.push_to_hub(second, "me/mine")
    assert hgzoo.create_model("hf-hub:me/mine@v1").config == first.config
    assert hgzoo.create_model("hf-hub:me/mine").config == second.config
    assert hgzoo.model_info("hf-hub:me/mine@v1").model == first.config


def test_a_predictor_takes_a_repository(login: HubServer) -> None:
    hgzoo.push_to_hub(small_model(), "me/mine")
    assert hgzoo.Predictor("hf-hub:me/mine").skeleton.name == "lsp"


def test_without_permission_nothing_is_pushed(hub_server: HubServer) -> None:
    with pytest.raises(WeightsError, match="hf auth login"):
        hgzoo.push_to_hub(small_model(), "me/mine")
    with pytest.raises(WeightsError, match="cannot publish"):
        hgzoo.push_to_hub(small_model(), "me/mine", token="hf_wrong")


@pytest.mark.parametrize("repo_id", ["", "a/b/c", "a b/c"])
def test_what_is_no_repository_is_refused(login: HubServer, repo_id: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be a repository"):
        hgzoo.push_to_hub(small_model(), repo_id)
    with pytest.raises(ConfigError, match="cannot be a repository"):
        next(hub.publish_zoo("a b", tmp_path, dry_run=True))


def test_a_hub_that_refuses_the_commit_is_told(login: HubServer) -> None:
    login.fail("*/commit/*", Status(403), times=None)
    with pytest.raises(WeightsError, match="cannot publish"):
        hgzoo.push_to_hub(small_model(), "me/mine")


def test_push_by_command(login: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", "hg2_tiny.people", "--to", "me/tiny", "--tag", "v1", "--half"]) == 0
    assert "me/tiny/commit/" in capsys.readouterr().out
    back = hgzoo.create_model("hf-hub:me/tiny@v1", pretrained=True)
    mine = hgzoo.create_model("hg2_tiny", pretrained=True)
    assert all(torch.equal(a, b) for a, b in zip(back.parameters(), mine.parameters(), strict=True))
    config = json.loads(login.files("me/tiny")["config.json"])
    assert config["architecture"] == "hg2_tiny"
    assert back.origin is not None
    assert back.origin.name == "hg2_tiny.people"
    card = login.files("me/tiny")["README.md"].decode()
    for measured in hgzoo.model_info("hg2_tiny").weights["people"].measured:
        assert f"{measured.value:.2f}" in card


# The whole zoo, made small: one tag in the wheel, one free original, one restricted, one dead.


@pytest.fixture
def zoo(login: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HubServer:
    small = small_model(num_keypoints=16)
    torch.save(as_theirs(small, LAYOUTS[1]), tmp_path / "a.pt")
    content = (tmp_path / "a.pt").read_bytes()
    url = login.serve("/a.pt", content)
    sha256 = hashlib.sha256(content).hexdigest()
    free = Weights(url=url, url_sha256=sha256, revision="v1", licence="Free.", source="s")
    tags = {
        "dead": replace(free, url=f"{login.url}/dead.pt"),
        "free": free,
        "bound": replace(free, licence="Not yours.", redistributable=False),
    }
    recipe = Recipe(
        name="small", summary="s", model=small.config, default_weights="free", weights=tags
    )
    read = recipes.read
    monkeypatch.setattr(recipes, "names", lambda: ["hg2_tiny", "small"])
    monkeypatch.setattr(recipes, "read", lambda name: recipe if name == "small" else read(name))
    return login


def results(published: Iterator[hub.Published]) -> dict[str, str]:
    return {one.name: one.result for one in published}


def test_the_whole_zoo_is_published_but_what_must_not_be(zoo: HubServer, tmp_path: Path) -> None:
    assert factory.list_models(pretrained=True) == [
        *("hg2_tiny.people", "small.bound", "small.dead", "small.free")
    ]
    assert results(hub.publish_zoo("me", tmp_path / "out")) == {
        "hg2_tiny.people": "published",
        "small.bound": "refused",
        "small.dead": "failed",
        "small.free": "published",
    }
    assert zoo.files("me/small.free", revision="v1").keys() >= FILES
    assert (
        hgzoo.create_model("hf-hub:me/hg2_tiny.people@v1", pretrained=True).config.num_feats == 128
    )


def test_the_reported_hash_is_that_of_the_published_file(zoo: HubServer, tmp_path: Path) -> None:
    (one,) = hub.publish_zoo("me", tmp_path / "out", names=["small.free"])
    content = zoo.files("me/small.free")["model.safetensors"]
    assert one.sha256 == hashlib.sha256(content).hexdigest()


def test_a_dry_run_prepares_everything_and_uploads_nothing(zoo: HubServer, tmp_path: Path) -> None:
    published = results(hub.publish_zoo("me", tmp_path / "out", dry_run=True))
    assert set(published.values()) == {"prepared", "refused", "failed"}
    assert {path.name for path in (tmp_path / "out" / "small.free").iterdir()} >= FILES
    assert not any(request.method in ("POST", "PUT") for request in zoo.requests)


def test_restricted_weights_are_published_when_told_to(zoo: HubServer, tmp_path: Path) -> None:
    names = ["small.bound"]
    assert results(hub.publish_zoo("me", tmp_path / "out", names=names, restricted=True)) == {
        "small.bound": "published"
    }


def test_publish_by_command(
    zoo: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert main(["publish-zoo", "--owner", "me", "--out", out, "small.free"]) == 0
    assert "published  me/small.free" in capsys.readouterr().out
    assert main(["publish-zoo", "--owner", "me", "--out", out, "--dry-run"]) == 1
    printed = capsys.readouterr().out
    assert "refused    me/small.bound: Not yours." in printed
    assert "failed     me/small.dead" in printed
    assert "HTTP 404" in printed
