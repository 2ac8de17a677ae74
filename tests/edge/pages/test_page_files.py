"""What the page is made of: files of one subject each, nothing from elsewhere, nothing inline, no HTML from strings."""

import re
from pathlib import Path

import pytest

import edge.pages

PAGES = Path(__file__).parents[3] / "edge" / "pages"
SCRIPTS = sorted(path.name for path in PAGES.glob("*.js"))


def read(name: str) -> str:
    return (PAGES / name).read_text()


def imports_of(name: str) -> list[str]:
    return re.findall(r'^import [^;]* from "([^"]*)";$', read(name), re.MULTILINE)


def test_the_files_are_those_that_the_package_lists():
    served = sorted(path.name for path in PAGES.iterdir() if path.is_file() and path.suffix != ".py")
    assert edge.pages.__doc__ is not None
    assert served == sorted(re.findall(r"`([a-z_]+\.(?:js|css|html|svg))`", edge.pages.__doc__))


def test_nothing_is_fetched_from_elsewhere():
    own = {"index.html": ["app.js", "icon.svg", "style.css"]}
    own["fleet.html"] = ["fleet.css", "fleet.js", "icon.svg", "style.css"]
    for page, files in own.items():
        text = re.sub(r'<link rel="modulepreload" [^>]*>', "", read(page))
        assert sorted(re.findall(r'(?:src|href)="([^"]*)"', text)) == files
    for style in ("style.css", "fleet.css"):
        assert "@import" not in read(style)
        assert "url(" not in read(style)
    for script in SCRIPTS:
        assert set(imports_of(script)) <= {f"./{name}" for name in SCRIPTS}
        assert len(imports_of(script)) == len(
            re.findall(r"\bimport\b", re.sub(r"/\*.*?\*/", "", read(script), flags=re.DOTALL))
        )


def reached_from(script: str) -> set[str]:
    """A script and all that it imports, by others too."""
    reached: set[str] = set()
    found = {script}
    while found:
        reached |= found
        found = {target.removeprefix("./") for name in found for target in imports_of(name)} - reached
    return reached


def test_every_script_is_used():
    assert sorted(reached_from("app.js") | reached_from("fleet.js")) == SCRIPTS


@pytest.mark.parametrize(("page", "script"), [("index.html", "app.js"), ("fleet.html", "fleet.js")])
def test_all_modules_are_asked_for_at_once(page, script):
    """Else each is found only in the one that imports it, a round trip later."""
    preloaded = re.findall(r'<link rel="modulepreload" href="([^"]*)">', read(page))
    assert preloaded == sorted(reached_from(script) - {script})
    assert read(page).count("modulepreload") == len(preloaded)


def test_a_file_has_one_subject():
    assert {script: lines for script in SCRIPTS if (lines := len(read(script).splitlines())) > 400} == {}


@pytest.mark.parametrize("name", ["index.html", "fleet.html"])
def test_neither_script_nor_style_is_inline(name):
    page = read(name)
    assert "<style" not in page
    assert not re.search(r"\s(?:style|on[a-z]+)=", page)
    assert re.findall(r"<script\b[^>]*>([^<]*)</script>", page) == [""]


def test_no_string_becomes_html():
    for script in SCRIPTS:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", read(script)
        )
