"""The example file is complete, and everything it shows is accepted."""

import re
import tomllib

import pytest

from edge.config.catalogue import all_keys
from edge.config.check import check
from edge.config.example import EXAMPLES, example_file
from edge.config.load import load, structure
from edge.config.model import Role

SHARED = ("log", "node", "store")
"""Sections of every role."""

FILES = {
    "signal": (
        "tls_certificate",
        "tls_key",
        "control_certificate",
        "control_key",
        "control_ca",
        "location_database",
    ),
    "transceiver": ("tls_certificate", "tls_key", "tls_client_ca"),
    "store": ("password_file", "ca"),
}


def test_every_key_is_explained_and_shown_with_its_variable() -> None:
    text = example_file()
    for key in all_keys():
        assert len(key.explanation) > 20, key.dotted
        assert f"\n# {key.variable}\n#{key.path[-1]} = " in text


def test_the_example_as_printed_changes_nothing() -> None:
    assert [part for part in tomllib.loads(example_file()) if part not in {*SHARED, *Role}] == []


def test_the_example_with_every_key_set_is_accepted() -> None:
    tree = tomllib.loads(re.sub(r"^#(\w+ = )", r"\1", example_file(), flags=re.MULTILINE))
    config = structure(tree)
    missing = {f"{section}.{name}" for section, names in FILES.items() for name in names}
    assert {problem.key for problem in check(config)} == missing, "no such files"


def test_defaults_are_shown_as_they_are() -> None:
    tree = tomllib.loads(re.sub(r"^#(\w+ = )", r"\1", example_file(), flags=re.MULTILINE))
    for key in all_keys():
        if key.dotted in EXAMPLES:
            continue
        table = tree
        for part in key.path[:-1]:
            table = table[part]
        shown = load(
            environ={},
            defaults=lambda _: {"relay": {"ingresses": ["1=127.0.0.1:1"]}},
            options=tree | {section: {**tree[section], **dict.fromkeys(FILES[section], __file__)} for section in FILES},
        ).config
        for part in key.path:
            shown = getattr(shown, part)
        assert shown == key.default, key.dotted


@pytest.mark.parametrize("role", Role)
def test_one_role_is_shown_alone(role: Role) -> None:
    sections = set(tomllib.loads(example_file(role)))
    assert sections == {*SHARED, role.value}


def test_variables_are_unambiguous() -> None:
    variables = [key.variable for key in all_keys()]
    assert len(set(variables)) == len(variables)
