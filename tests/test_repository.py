"""What stands around the package: workflows, forms, hooks, and what PyPI and GitHub read."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import hgzoo

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
OURS = ("docs.make", "hgzoo", "pytest")
"""What `python -m` runs in the workflows, apart from tools that a step installs."""

PROVIDERS = {"lint-imports": "import-linter", "mkdocs": "mkdocs-material"}
"""Packages that give a command of another name."""


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = read(workflow)["jobs"].values()
    return [step for job in jobs for step in job.get("steps", ())]


def commands(workflow: Path) -> list[str]:
    """Return every line that a workflow runs."""
    return [line for step in steps(workflow) for line in step.get("run", "").splitlines()]


def packages(*extras: str) -> set[str]:
    """Return the names of the packages in extras, and in the extras that those name."""
    found = set()
    for requirement in [line for extra in extras for line in EXTRAS[extra]]:
        if requirement.startswith("hgzoo["):
            found |= packages(*requirement.removeprefix("hgzoo[").rstrip("]").split(","))
        else:
            found |= set(re.findall(r"^[\w-]+", requirement))
    return found


def readme_on_pypi() -> str:
    """Do with README what hatch-fancy-pypi-readme does."""
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = "".join((ROOT / part["path"]).read_text(encoding="utf-8") for part in hook["fragments"])
    for rule in hook["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    return text


# The workflows.


def test_the_workflows_are_these() -> None:
    assert [path.stem for path in WORKFLOWS] == ["docs", "publish", "tests"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_no_workflow_may_write_unless_a_job_says_so(workflow: Path) -> None:
    assert read(workflow)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_the_extras_that_workflows_install_exist(workflow: Path) -> None:
    named = re.findall(r"'\.\[([\w,]+)\]'", "\n".join(commands(workflow)))
    assert set(",".join(named).split(",")) - {""} <= set(EXTRAS)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_the_files_that_workflows_name_exist(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    named = re.findall(r"[\w./-]+\.(?:md|toml|yml)\b|\.ci/run\b", text)
    known = {path.name for path in WORKFLOWS}
    assert [name for name in named if not (ROOT / name).exists() and name not in known] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_line_starts_with_a_command_that_its_job_has(workflow: Path) -> None:
    installed = {"bash", "pip", "python", "version=$(python", "test", "grep", "hgzoo"}
    lines = commands(workflow)
    for line in lines:
        if "'.[dev]'" in line or "'.[docs]'" in line:
            extra = "dev" if "dev" in line else "docs"
            installed |= {tool for tool in ("pre-commit", "pytest") if tool in packages(extra)}
            installed |= {tool for tool, name in PROVIDERS.items() if name in packages(extra)}
        installed |= set(line.split()[2:]) if line.startswith("pip install ") else set()
    assert [line for line in lines if line.split()[0] not in installed] == []
    modules = re.findall(r"python -m ([\w.]+)", "\n".join(lines))
    assert set(modules) <= {*OURS, *installed}


def test_the_tests_run_on_every_python_that_the_package_names() -> None:
    python = read(WORKFLOWS[-1])["jobs"]["tests"]["strategy"]["matrix"]["python"]
    prefix = "Programming Language :: Python :: 3."
    classifiers = [line for line in PROJECT["project"]["classifiers"] if line.startswith(prefix)]
    assert python == [line.rpartition(" ")[2] for line in classifiers]
    assert PROJECT["project"]["requires-python"] == f">={python[0]}"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + python[0].replace(".", "")


def test_the_lowest_versions_are_tried_on_the_lowest_python() -> None:
    lowest = read(WORKFLOWS[-1])["jobs"]["lowest"]["steps"]
    versions = [step["with"]["python-version"] for step in lowest if "python-version" in str(step)]
    assert [f">={version}" for version in versions] == [PROJECT["project"]["requires-python"]]
    assert any("--resolution lowest-direct" in step.get("run", "") for step in lowest)


def test_what_the_lowest_job_leaves_out_exists() -> None:
    lowest = read(WORKFLOWS[-1])["jobs"]["lowest"]["steps"]
    left_out = re.findall(r"--ignore (\S+)", lowest[-1]["run"])
    assert left_out
    assert [path for path in left_out if not (ROOT / path).exists()] == []


def test_every_requirement_has_a_lowest_version() -> None:
    """Without one, the lowest version is the first that there was."""
    lines = [*PROJECT["project"]["dependencies"], *(line for e in EXTRAS.values() for line in e)]
    assert [line for line in lines if ">=" not in line and not line.startswith("hgzoo[")] == []


def test_only_the_publishing_job_can_get_a_token_of_pypi() -> None:
    jobs = read(ROOT / ".github/workflows/publish.yml")["jobs"]
    assert [name for name, job in jobs.items() if "permissions" in job] == ["publish"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["environment"] == "pypi"
    assert set(jobs["publish"]["needs"]) == set(jobs) - {"publish"}
    assert jobs["tests"]["uses"] == "./.github/workflows/tests.yml"


# What GitHub and others read.


def test_the_citation_names_the_paper_and_no_version() -> None:
    """The version stands in hgzoo/__init__.py alone."""
    citation = read(ROOT / "CITATION.cff")
    assert {"version", "date-released"} & set(citation) == set()
    assert citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["license"]) == ("hgzoo", PROJECT["project"]["license"])
    assert citation["abstract"] == PROJECT["project"]["description"]
    assert citation["keywords"] == PROJECT["project"]["keywords"]
    assert citation["authors"] == PROJECT["project"]["authors"]
    (paper,) = citation["references"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"title     = {{{paper['title']}}}" in readme
    assert f"year      = {{{paper['year']}}}" in readme
    assert [author["family-names"] in readme for author in paper["authors"]] == [True] * 3


@pytest.mark.parametrize(
    "path",
    [
        *FORMS,
        *(ROOT / name for name in (".github/PULL_REQUEST_TEMPLATE.md", "CITATION.cff")),
        *(ROOT / name for name in (".github/dependabot.yml", "SECURITY.md")),
    ],
    ids=lambda path: path.name,
)
def test_no_address_is_made_up(path: Path) -> None:
    assert re.findall(r"https?://\S+|\S+@\S+\.\w+", path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "form", [form for form in FORMS if form.name != "config.yml"], ids=lambda path: path.stem
)
def test_forms_have_what_github_asks_for(form: Path) -> None:
    content = read(form)
    assert {"name", "description", "body"} <= set(content)
    fields = [part for part in content["body"] if part["type"] != "markdown"]
    assert fields
    assert len({part["id"] for part in fields}) == len(fields)
    assert all(part["attributes"]["label"] for part in fields)


@pytest.mark.parametrize("name", ["SECURITY.md", ".github/PULL_REQUEST_TEMPLATE.md"])
def test_the_files_that_these_pages_name_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = [*re.findall(r"\]\(([^)]+)\)", text), *re.findall(r"`(docs/[\w./-]+)`", text)]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_what_the_security_page_says_of_torch_is_what_is_required() -> None:
    (torch,) = [line for line in PROJECT["project"]["dependencies"] if line.startswith("torch")]
    assert f"`{torch}`" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


# What developers' tools read.


def test_the_hooks_are_tools_of_the_dev_extra() -> None:
    (repository,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    tools = [hook["entry"].split()[0] for hook in repository["hooks"]]
    assert {PROVIDERS.get(tool, tool) for tool in (*tools, "pre-commit")} <= packages("dev")
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}


def test_measuring_coverage_is_left_to_who_asks_for_it() -> None:
    assert "pytest-cov" in packages("dev")
    assert "--cov" not in PROJECT["tool"]["pytest"]["ini_options"]["addopts"]
    assert PROJECT["tool"]["coverage"]["run"]["source"] == ["hgzoo"]


# What PyPI shows.


def test_readme_on_pypi_has_no_links_into_the_repository() -> None:
    text = re.sub(r"^```.*?^```", "", readme_on_pypi(), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert [link for link in links if not link.startswith("https://")] == []
    assert "The picture is" not in text


def test_readme_on_pypi_keeps_the_rest() -> None:
    def blocks(text: str) -> list[str]:
        return re.findall(r"^```.*?^```", text, flags=re.DOTALL | re.MULTILINE)

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    kept = blocks(readme_on_pypi())
    assert [block for block in blocks(readme) if block not in kept] == [
        "```console\npip install -e '.[docs]' && mkdocs serve\n```"
    ]
    assert "[dev]" in readme_on_pypi()


def test_what_the_tests_read_is_in_the_source_distribution() -> None:
    include = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert [path for path in include if not (ROOT / path).exists()] == []
    assert {".ci", ".github", ".pre-commit-config.yaml", "CITATION.cff", "SECURITY.md"} <= {
        *include
    }


def test_the_steps_of_a_release_are_those_of_the_workflow() -> None:
    page = (ROOT / "docs/releasing.md").read_text(encoding="utf-8")
    assert "git tag -a v1.2.3" in page
    assert 'test "$GITHUB_REF_NAME" = "v$version"' in commands(
        ROOT / ".github/workflows/publish.yml"
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+", hgzoo.__version__)
