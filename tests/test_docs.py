"""What README and docs say is what the code does."""

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hgzoo
from docs.make import notebooks, pages, speed
from docs.make.__main__ import changed
from hgzoo import checkpoints, convert, engine, recipes, sources
from hgzoo.blocks import RESIDUALS
from hgzoo.cli import main, parser
from hgzoo.cli.speed import speed_table
from hgzoo.config import Recipe, Weights
from hgzoo.data import DATASETS
from hgzoo.decoders import DECODERS
from hgzoo.factory import model_card
from tests.people import write_example_folder

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


OTHER_LANGUAGES = ("bibtex", "console", "dockerfile", "json", "matlab", "text", "toml")


def python_blocks() -> list[tuple[str, str]]:
    return [
        (
            f"{page.name}:{page.read_text(encoding='utf-8')[: block.start()].count(chr(10))}",
            block[1],
        )
        for page in PAGES
        if page.relative_to(ROOT).as_posix() not in notebooks.WHOLE  # whose blocks go together
        for block in re.finditer(
            r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
        )
    ]


def console_commands() -> list[tuple[str, list[str]]]:
    """Return every command line of ours in a console block: where it stands, and its words."""
    found = []
    for page in PAGES:
        for block in re.finditer(
            r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
        ):
            for line in block[1].replace("\\\n", " ").splitlines():
                found += [(page.name, words) for words in our_words(line)]
    return found


def our_words(line: str) -> list[list[str]]:
    """Return what follows `hgzoo` in each command of a line, also behind a launcher's `-m`."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("&|;"):
            commands.append([])
        elif commands[-1] or not re.fullmatch(r"[A-Z_]+=.*", word):
            commands[-1].append(word)
    ours = []
    for words in commands:
        if words and Path(words[0]).name == "hgzoo":
            ours.append(words[1:])
        elif ["-m", "hgzoo"] in [words[i : i + 2] for i in range(len(words))]:
            ours.append(words[words.index("hgzoo") + 1 :])
    return ours


def inline_commands() -> list[tuple[str, list[str]]]:
    """Return the commands of ours that sentences name; they may leave words out."""
    return [
        (page.name, " ".join(command.split()).split())
        for page in PAGES
        for command in re.findall(
            r"`hgzoo\s+([a-z][^`|]*)`",
            re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL),
        )
    ]


def short_id(value: str | list[str]) -> str:
    return value if isinstance(value, str) else " ".join(value)[:40]


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_that_is_not_run_has_a_reason(page: Path) -> None:
    """Such a block is marked "py", and the paragraph below says why in brackets."""
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^```(\w+)$", text, re.MULTILINE)
    assert set(fences) <= {"python", "py", *OTHER_LANGUAGES}
    reasons = re.findall(r"^```py\n.*?^```\n\n\(It is not run .*?because", text, re.DOTALL | re.M)
    assert len(reasons) == fences.count("py")


def test_recipes_in_pages_can_be_read() -> None:
    blocks = [
        block
        for page in PAGES
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    whole, parts = next(b for b in blocks if "summary" in b), [b for b in blocks if "[" in b]
    tables = [tomllib.loads(whole), *map(tomllib.loads, parts)]
    for table in tables:
        recipes.from_table(Recipe, {"name": "own", **tables[0], **table}, where="a page")


def test_the_readme_has_examples() -> None:
    assert sum(where.startswith("README") for where, _ in python_blocks()) >= 3


@pytest.mark.parametrize(("where", "words"), console_commands(), ids=short_id)
def test_every_command_can_be_typed(
    where: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        parser().parse_args(words)
    except SystemExit:
        pytest.fail(f"{where}: {capsys.readouterr().err}")


@pytest.mark.parametrize(("where", "words"), inline_commands(), ids=short_id)
def test_every_option_in_a_sentence_exists(
    where: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    before = words[: words.index(options[0])] if options else words
    with pytest.raises(SystemExit) as left:
        parser().parse_args([*before, "--help"])
    shown = capsys.readouterr()
    assert left.value.code == 0, f"{where}: {shown.err}"
    assert sorted(set(options) - set(re.findall(r"--[a-z-]+", shown.out))) == []


def test_our_words_are_found_behind_other_commands() -> None:
    assert our_words("A=1 hgzoo list && x/bin/hgzoo info 'hg 8' # why") == [
        ["list"],
        ["info", "hg 8"],
    ]
    assert our_words("torchrun --nproc-per-node 4 -m hgzoo train hg8") == [["train", "hg8"]]
    assert our_words('pip install "hgzoo[train]" hgzoo; cd hgzoo') == []


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
    assert capsys.readouterr().out == model_card("hg2_tiny.people")
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


def test_the_summary_of_speeds_has_the_figures_of_the_tables() -> None:
    head, _, *rows = (line.split(" | ") for line in speed.summary().splitlines())
    model, batch = head[1].split(", ")
    table = speed_table(speed.read(model).speeds)
    for way, times, *_ in rows:
        assert re.search(rf"{model} \| {batch} \| {way[2:]} .* {times} \| [^|]* \|$", table, re.M)
