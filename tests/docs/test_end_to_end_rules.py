"""What end-to-end tests keep to, and would not notice that they do not."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
MARKED = re.compile(r"^pytestmark = (\[\s*)?pytest\.mark\.e2e\b", re.MULTILINE)
FUNCTION = re.compile(r"(async )?(\w+|\([\w, ]*\)) =>")


def test_each_file_is_marked() -> None:
    """The unit part does not look into their folder, and the other takes what is marked alone."""
    files = sorted((TESTS / "e2e").glob("test_*.py"))
    assert files
    assert not [path.name for path in files if not MARKED.search(path.read_text())]


def test_every_wait_in_a_page_is_for_a_function() -> None:
    """Our policy for scripts (CSP) lets nobody evaluate a text in the page.

    Playwright does so once as it begins, which the browser grants to it. A function is kept from then on; an expression
    is evaluated anew each time, so it works as long as it is true the first time.
    """
    texts = [path.read_text() for path in sorted(TESTS.rglob("*.py"))]
    waits = [
        call
        for text in texts
        if ".wait_for_function(" in text
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "wait_for_function"
    ]
    waited_for = [each.value for call in waits if isinstance(each := call.args[0], ast.Constant)]
    assert waited_for
    assert not [text for text in waited_for if not FUNCTION.match(text)]
