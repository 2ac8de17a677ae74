"""What the page is made of: few files, nothing from elsewhere, nothing inline."""

import re
from pathlib import Path

PAGES = Path(__file__).parents[3] / "edge" / "pages"


def read(name: str) -> str:
    return (PAGES / name).read_text()


def test_one_file_of_each_kind():
    served = sorted(path.name for path in PAGES.iterdir() if path.is_file() and path.suffix != ".py")
    assert served == ["app.js", "icon.svg", "index.html", "style.css"]


def test_nothing_is_fetched_from_elsewhere():
    fetched = re.findall(r'(?:src|href)="([^"]*)"', read("index.html"))
    assert sorted(fetched) == ["app.js", "icon.svg", "style.css"]
    assert "@import" not in read("style.css")
    assert "url(" not in read("style.css")
    assert not re.search(r"^\s*import\b|\bimport\(", read("app.js"), re.MULTILINE)


def test_neither_script_nor_style_is_inline():
    page = read("index.html")
    assert "<style" not in page
    assert not re.search(r"\s(?:style|on[a-z]+)=", page)
    assert re.findall(r"<script\b[^>]*>([^<]*)</script>", page) == [""]
