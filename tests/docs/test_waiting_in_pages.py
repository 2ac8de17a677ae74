"""Tests wait in pages for functions alone: our policy for scripts (CSP) lets nobody evaluate a text a second time.

Playwright evaluates what it is given once, as the browser lets it. A function is kept from then on; an expression is
evaluated anew each time, so it works as long as it is true the first time.
"""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
FUNCTION = re.compile(r"(async )?(\w+|\([\w, ]*\)) =>")


def test_every_wait_is_for_a_function() -> None:
    waits = [
        call
        for path in sorted(TESTS.rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "wait_for_function"
    ]
    assert len(waits) > 5
    texts = [each.value for call in waits if isinstance(each := call.args[0], ast.Constant)]
    assert texts
    assert not [text for text in texts if not FUNCTION.match(text)]
