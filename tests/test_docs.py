"""What README and docs say is what the code does."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hgzoo
from docs.make import pages, speed
from docs.make.__main__ import changed
from hgzoo import checkpoints, engine, sources
from hgzoo.cli import main
from hgzoo.cli.speed import speed_table
from hgzoo.config import Recipe, Weights
from hgzoo.factory import model_card
from hgzoo.pictures import DEMO
from tests.people import write_coco

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def python_blocks() -> list[tuple[str, str]]:
    return [
        (
            f"{page.name}:{page.read_text(encoding='utf-8')[: block.start()].count(chr(10))}",
            block[1],
        )
        for page in PAGES
        for block in re.finditer(
            r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
        )
    ]


def stand_in(folder: Path) -> Callable[..., Path]:
    """Give weights that lie elsewhere a random network of the same variant."""
    fetch = sources.fetch

    def fetched(name: str, weights: Weights, **options: Any) -> Path:
        if weights.file:
            return fetch(name, weights, **options)
        model = hgzoo.create_model(name)
        checkpoints.write(model.checkpoint(), folder / f"{name}.safetensors")
        return folder / f"{name}.safetensors"

    return fetched


def short(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Let training end after one epoch of small batches."""

    def fitted(recipe: Recipe, *arguments: Any, **options: Any) -> Any:
        train = replace(recipe.train, epochs=1, batch_size=2, warmup_epochs=0.0)
        return fit(replace(recipe, train=train), *arguments, **options)

    return fitted


@pytest.mark.parametrize(("where", "code"), python_blocks(), ids=lambda value: value[:20])
def test_every_example_runs(
    where: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "fetch", stand_in(tmp_path))
    monkeypatch.setattr(engine, "fit", short(engine.fit))
    write_coco(tmp_path, number=6)
    (tmp_path / "coco" / "val2017").rename(tmp_path / "pictures")
    annotations = tmp_path / "coco" / "annotations" / "person_keypoints_val2017.json"
    annotations.rename(tmp_path / "my_coco.json")
    shutil.copy(DEMO, tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, where, "exec"), {})


def test_the_readme_has_examples() -> None:
    assert sum(where.startswith("README") for where, _ in python_blocks()) >= 3


def test_what_the_pages_take_from_the_code_is_current() -> None:
    """Write it anew with `python -m docs.make`."""
    assert [path for path, _ in changed()] == []


def test_a_stale_part_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.md").write_text("a\n\n<!-- begin x -->\n\nold\n\n<!-- end x -->\n")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    made = list(pages.current({}, {("page.md", "x"): lambda: "new"}))
    assert made == [("page.md", "a\n\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\n")]
    assert pages.stale(iter(made)) == made
    pages.write(*made[0])
    assert pages.stale(iter(made)) == []
    with pytest.raises(ValueError, match="needs one part"):
        list(pages.current({}, {("page.md", "y"): lambda: "new"}))


def test_the_card_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "hg2_tiny", "--card"]) == 0
    assert capsys.readouterr().out == model_card("hg2_tiny.lsp")
    assert main(["info", "hg4", "--card"]) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_readmes_commands_are_marked() -> None:
    """CI runs the command behind the second mark."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for mark, word in (("main", "hgzoo predict --demo"), ("test", "-m pytest")):
        found = re.search(rf"<!-- command: {mark} -->\n```console\n(.*)\n```", text)
        assert found, mark
        assert word in found.group(1)


def test_the_summary_of_speeds_has_the_figures_of_the_tables() -> None:
    head, _, *rows = (line.split(" | ") for line in speed.summary().splitlines())
    model, batch = head[1].split(", ")
    table = speed_table(speed.read(model).speeds)
    for way, times, *_ in rows:
        assert re.search(rf"{model} \| {batch} \| {way[2:]} .* {times} \| [^|]* \|$", table, re.M)
