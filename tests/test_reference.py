"""Every public name is told, with an example that does what it prints."""

import dataclasses
import doctest
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import hgzoo
from docs.make import reference
from docs.make.reference import PUBLIC, public_names
from tests.hub_server import UPLOAD_WARNING, HubServer
from tests.people import write_example_folder

pytestmark = pytest.mark.filterwarnings(UPLOAD_WARNING)

MODULES = [module for group in PUBLIC.values() for module in group]
NAMES = [f"{module}.{name}" for module in MODULES for name in public_names(module)]

WITHOUT = {"detectors.torchvision_people": "it fetches 74 MB when it is called"}
"""Functions whose example nobody could run here, and why."""

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def thing(name: str) -> Any:
    """Return what stands under "module.name", as an importer gets it."""
    module, _, last = name.rpartition(".")
    return getattr(__import__(f"hgzoo.{module}", fromlist=[last]), last)


def methods(kind: type) -> list[str]:
    """Return the public methods that a class defines itself, not counting properties."""
    return [
        name
        for name, value in vars(kind).items()
        if inspect.isroutine(getattr(value, "__func__", value))
        and (not name.startswith("_") or name == "__call__")
    ]


def needs_example(one: Any) -> bool:
    """The one rule: all need an example but what does nothing by itself.

    That is constants and types; exceptions; abstract interfaces; and records without methods.
    """
    if not inspect.isclass(one):
        return inspect.isroutine(one)
    record = dataclasses.is_dataclass(one) or hasattr(one, "_fields")
    abstract = getattr(one, "_is_protocol", False)
    return not (issubclass(one, Exception) or abstract or (record and not methods(one)))


def examples(one: Any, name: str) -> list[doctest.DocTest]:
    """Return what a docstring, or those of a class and its methods, show as typed in."""
    found = doctest.DocTestFinder().find(one, name, globs={}, module=False)
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_told(name: str) -> None:
    first = reference.summary(name).splitlines()[0]
    assert first.rstrip().endswith((".", ":", ";")), first


@pytest.mark.parametrize("name", [name for name in NAMES if needs_example(thing(name))])
def test_every_public_name_has_an_example(name: str) -> None:
    assert bool(examples(thing(name), name)) != (name in WITHOUT)


@pytest.mark.parametrize(
    "name", [*MODULES, *(name for name in NAMES if examples(thing(name), name))]
)
def test_every_example_prints_what_it_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub_server: HubServer
) -> None:
    write_example_folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", hub_server.token)
    printed: list[str] = []
    for test in module_examples(name) if name in MODULES else examples(thing(name), name):
        doctest.DocTestRunner(optionflags=FLAGS).run(test, out=printed.append)
    assert not printed, "".join(printed)


def module_examples(name: str) -> list[doctest.DocTest]:
    module: ModuleType = __import__(f"hgzoo.{name}", fromlist=["__doc__"])
    test = doctest.DocTestParser().get_doctest(module.__doc__ or "", {}, name, None, None)
    return [test]


def test_the_list_holds_every_home_of_the_top_level_names() -> None:
    assert set(hgzoo._HOMES.values()) <= set(MODULES)


def test_what_a_module_says_it_exports_is_told() -> None:
    for module in MODULES:
        said = getattr(__import__(f"hgzoo.{module}", fromlist=["_"]), "__all__", None)
        assert said is None or sorted(said) == sorted(public_names(module)), module
