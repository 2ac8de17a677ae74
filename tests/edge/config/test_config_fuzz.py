"""Whatever a file or the environment holds becomes a configuration or a list of problems, and nothing else."""

import contextlib
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config.catalogue import all_keys
from edge.config.embedded import embedded_tree
from edge.config.load import load
from edge.config.problems import ConfigError

KEYS = all_keys()

texts = st.text(max_size=8) | st.sampled_from(
    [
        "1=203.0.113.5:3478",
        "1=203.0.113.5:3478@eu",
        "[::1]:80",
        "0.0.0.0:0",
        "https://a",
        "http://[",
        "::",
        "*",
        "eu=1/2",
    ]
)
values = st.recursive(
    texts | st.integers() | st.floats() | st.booleans() | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([key.path[-1] for key in KEYS] + ["id", "bind", "advertise", "url"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=6), st.booleans())
def test_any_tree(chosen: dict, with_defaults: bool) -> None:
    tree: dict = {}
    for key, value in chosen.items():
        table = tree
        for part in key.path[:-1]:
            table = table.setdefault(part, {})
        table[key.path[-1]] = value
    with contextlib.suppress(ConfigError):
        load(environ={}, defaults=partial(embedded_tree, None) if with_defaults else None, options=tree)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from([key.variable for key in KEYS]), texts | st.integers().map(str), max_size=6))
def test_any_environment(environ: dict[str, str]) -> None:
    with contextlib.suppress(ConfigError):
        load(environ=environ, defaults=partial(embedded_tree, "192.0.2.7"))


@given(st.sampled_from([*KEYS]), values)
def test_a_problem_names_its_key_and_what_would_be_right(key, value) -> None:
    tree: object = value
    for part in reversed(key.path):
        tree = {part: tree}
    try:
        load(environ={}, defaults=partial(embedded_tree, None), options=tree)
    except ConfigError as error:
        for problem in error.problems:
            assert problem.key.startswith((key.dotted, "relay.", "signal.", "transceiver.", "log."))
            assert problem.right[0].isupper()
            assert problem.right.endswith((".", "?"))
