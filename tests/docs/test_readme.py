import re
from functools import partial
from pathlib import Path

from edge.config.embedded import embedded_tree
from edge.config.load import load

ROOT = Path(__file__).parents[2]


def test_every_link_leads_to_a_file() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_configuration_in_the_readme_is_one_that_works(tmp_path: Path) -> None:
    text = re.search(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert text is not None
    for name in ("voice.pem", "voice.key"):
        (tmp_path / name).write_text("")
    file = tmp_path / "edge.toml"
    file.write_text(text[1].replace("/etc/ssl/", f"{tmp_path}/"))
    loaded = load(path=file, environ={}, defaults=partial(embedded_tree, None))
    assert loaded.config.signal is not None
    assert loaded.warnings == ()


def test_each_stop_of_the_reading_guide_names_what_stands_in_its_file() -> None:
    guide = (ROOT / "docs" / "reading-guide.md").read_text(encoding="utf-8")
    stops = re.findall(r"\]\(\.\./([^)]+\.(?:py|js))\)(?: `(\w+)`)?", guide)
    assert len(stops) > 50
    for file, name in stops:
        assert name, f"{file}: which function?"
        defined = rf"^\s*(?:async )?(?:def|class|function) {name}\b|^\s*(?:async )?{name}\(.*\{{$"
        assert re.search(defined, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), f"{file} has no {name}"
