"""What `hgzoo benchmark search` shows the network, counts and prints."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hgzoo import checkpoints
from hgzoo.benchmark import LOOKING, NEAREST, TRUE, WHOLE, as_they_are, in_scenes, judged
from hgzoo.cli import main
from hgzoo.data import DATASETS, lsp
from hgzoo.data.boxes import for_choosing
from hgzoo.data.people import held_out
from hgzoo.errors import DataError
from hgzoo.geometry import inside
from tests.conftest import small_model
from tests.people import write_lsp, write_lspet
from tests.test_people_data import person as somebody
from tests.test_people_data import write


def test_a_person_lies_in_its_scene_where_its_keypoints_say(tmp_path: Path) -> None:
    """Every keypoint of the made-up people is a dot of red 255."""
    write_lspet(tmp_path, number=8)
    people = judged(lsp.lspet_train(tmp_path))
    sizes = set()
    for (scene, person), (_, before) in zip(in_scenes(people), as_they_are(people), strict=True):
        sizes.add(scene.shape)
        seen = person.keypoints[person.visible]
        assert inside(seen, scene.shape[:2]).all()
        extent = np.ptp(seen, axis=0).max() / max(scene.shape)
        assert 0.15 <= extent <= 0.6
        colors = [scene[y, x] for x, y in seen.round().astype(int)]
        assert np.mean([color[0] > 170 and color[2] < 90 for color in colors]) > 0.8
        zoom = np.ptp(seen, axis=0) / np.ptp(before.keypoints[before.visible], axis=0)
        np.testing.assert_allclose(zoom, person.reference / before.reference)
    assert sizes == {(480, 640, 3), (640, 480, 3)}


def test_scenes_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    write_lspet(tmp_path, number=2)
    people = judged(lsp.lspet_train(tmp_path))
    one, again, other = (next(in_scenes(people, seed=seed))[0] for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_the_command_compares_the_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lspet(tmp_path, number=2)
    write_lsp(tmp_path, number=2)
    monkeypatch.setattr(lsp, "lspet_held_out", lsp.lspet_train)
    monkeypatch.setattr(lsp, "lsp_validation", lsp.lsp_train)
    name = next(name for name in sorted(held_out()) if not for_choosing(name))
    write(tmp_path, somebody(), file_name=name)
    (tmp_path / "people" / "images").mkdir()
    (tmp_path / "background").mkdir()
    for path in (tmp_path / "people" / "images" / name, tmp_path / "background" / "0005.jpg"):
        Image.fromarray(np.zeros((120, 90, 3), np.uint8)).save(path)
    checkpoints.write(small_model().checkpoint(), tmp_path / "a.safetensors")
    file = tmp_path / "search.json"
    command = ["benchmark", "search", "--data", str(tmp_path), "--quiet", "--json", str(file)]
    assert main([*command, "--model", str(tmp_path / "a.safetensors"), "--pictures", "1"]) == 0
    assert capsys.readouterr().out.count("\n") == 2 + 3 * 2 + 1 + 2 + 3 * 6
    ways = [way for looking in LOOKING for way in (looking, looking + NEAREST)]
    table = json.loads(file.read_text(encoding="utf-8"))
    assert [row["people"] for row in table["found"]] == [1, 1, 0, 0, 0, 0]
    assert [row["number"] for row in table["found"]] == [1, 1, 0, 0, 1, 1]
    rows = table["boxes"]
    assert [row["way"] for row in rows] == 3 * [TRUE, WHOLE, *ways]
    for row in rows:
        assert row["people"] == 1
        if row["way"] in (TRUE, WHOLE):
            assert row["forwards"] == 2
        elif row["way"].startswith("search"):
            assert 5 <= row["forwards"] <= 13
        else:
            assert row["forwards"] > 2 + 1  # and the finder's own network, far larger than this one
        if row["way"] == TRUE:
            assert row["found"] == 100


def test_people_without_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="none of the pictures"):
        judged([])


def test_the_held_out_pictures_are_not_trained_on(assets: Path) -> None:
    held_out = lsp.lspet_held_out(assets / "data")
    assert {int(one.path.stem[2:]) for one in held_out} <= set(range(9701, 10001))
    trained = {one.path for one in DATASETS["lspet"].train(assets / "data")}
    assert held_out
    assert not trained & {one.path for one in held_out}
