"""What README and docs say is what the code does."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hgzoo
from docs.make import pages
from docs.make.__main__ import changed
from hgzoo import checkpoints, convert, engine, sources
from hgzoo.blocks import RESIDUALS
from hgzoo.cli import main
from hgzoo.config import Recipe, Weights
from hgzoo.data import DATASETS
from hgzoo.decoders import DECODERS
from hgzoo.factory import model_card
from tests.people import write_example_folder

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


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the tables that examples add to back as they were."""
    monkeypatch.setattr(convert, "LAYOUTS", convert.LAYOUTS)
    known: tuple[dict[str, Any], ...] = (RESIDUALS, DATASETS, DECODERS)
    before = [dict(table) for table in known]
    yield
    for table, content in zip(known, before, strict=True):
        table.clear()
        table.update(content)


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(("where", "code"), python_blocks(), ids=lambda value: value[:20])
def test_every_example_runs(
    where: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "fetch", stand_in(tmp_path))
    monkeypatch.setattr(engine, "fit", short(engine.fit))
    write_example_folder(tmp_path)
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
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    links = re.findall(r"\]\(([^)#]+)\)", text)
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_readmes_commands_are_marked() -> None:
    """CI runs the command behind the second mark."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for mark, word in (("main", "hgzoo predict --demo"), ("test", "-m pytest")):
        found = re.search(rf"<!-- command: {mark} -->\n```console\n(.*)\n```", text)
        assert found, mark
        assert word in found.group(1)
