import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_what_the_tables_say() -> None:
    spec = importlib.util.spec_from_file_location("make_state_diagrams", DOCS / "make_state_diagrams.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "state-diagrams.md").read_text(encoding="utf-8") == module.page(), (
        "run `.venv/bin/python docs/make_state_diagrams.py`"
    )
