"""What `hgzoo benchmark zoo` compares; how long things take is not tested."""

import json
from pathlib import Path

import pytest

from hgzoo.benchmark import BASE, Variant
from hgzoo.cli import main
from hgzoo.cli.variants import variants_table

OWN = """\
summary = "One hourglass of four features."
[model]
num_stacks = 1
num_feats = 4
depth = 2
stem_channels = [2, 4, 4, 4]
[input]
size = [32, 48]
"""


def test_the_ratio_is_the_median_over_the_rounds() -> None:
    base = Variant(name="hg2", parameters=10, macs=2 * 10**9, seconds=(1.0, 2.0, 4.0))
    slow = Variant(name="hg8", parameters=40, macs=8 * 10**9, seconds=(3.0, 6.0, 4.0))
    *_, first, second = variants_table([base, slow]).splitlines()
    assert first == "| hg2 | 10 | 2.00 | 1.00 |"
    assert second == "| hg8 | 40 | 8.00 | 3.00 |"


def test_a_recipe_is_compared_with_the_base(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.toml").write_text(OWN, encoding="utf-8")
    file, own = tmp_path / "speed.json", str(tmp_path / "own.toml")
    words = ["benchmark", "zoo", own, "--repeats", "2", "--threads", "1", "--json", str(file)]
    assert main([*words, "--quiet"]) == 0
    table = json.loads(file.read_text(encoding="utf-8"))
    assert [row["name"] for row in table["variants"]] == [BASE, own]
    assert all(len(row["seconds"]) == 2 for row in table["variants"])
    assert f"| {own} | " in capsys.readouterr().out


def test_a_wildcard_without_variants_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "zoo", "hg9*"]) == 1
    assert "did you mean" in capsys.readouterr().err
