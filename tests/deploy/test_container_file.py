import tomllib

import pytest

from .container_file import Instruction, parse, read_ignored_names, substitute
from .fleet_manifests import ROOT, fleet_of

FILE = ROOT / "deploy" / "Containerfile"


def test_all_packages_are_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    build = parse(FILE.read_text(encoding="utf-8"))[1]
    copied = {word for each in build.instructions if each.name == "COPY" for word in each.words()[:-1]}
    # What the wheel holds, and what pyproject.toml and pip name; nothing else, so that nothing else makes a new layer.
    assert copied == packages | {"pyproject.toml", "constraints.txt", "README.md", "LICENSE"}
    assert all((ROOT / name).exists() for name in copied)
    assert copied.isdisjoint(read_ignored_names(ROOT / ".dockerignore"))


def test_the_image_runs_as_the_user_of_the_manifests() -> None:
    last = {each.name: each.text for each in parse(FILE.read_text(encoding="utf-8"))[-1].instructions}
    for container in fleet_of("base").containers:
        if container.is_ours:
            security = container.workload.pod["securityContext"]
            assert last["USER"] == f"{security['runAsUser']}:{security['runAsGroup']}"
    assert last["ENTRYPOINT"] == '["trio-voice"]'


def test_the_image_names_the_ports_of_the_manifests() -> None:
    last = {each.name: each for each in parse(FILE.read_text(encoding="utf-8"))[-1].instructions}
    ports = {port for each in fleet_of("base").containers if each.is_ours for port in each.ports.values()}
    assert {f"{number}/{protocol.lower()}" for protocol, number in ports} == set(last["EXPOSE"].words())


def test_a_container_file_is_read_as_builders_read_it() -> None:
    text = (
        'ARG BASE=debian:12\n# why\nFROM ${BASE} AS one\nRUN a \\\n    # in between\n    && b\nFROM one\nCMD ["c d"]\n'
    )
    one, two = parse(text)
    assert (one.base, one.name) == ("debian:12", "one")
    assert one.instructions == [Instruction("RUN", "a && b")]
    assert (two.base, two.instructions[0].words()) == ("one", ["c d"])


@pytest.mark.parametrize("line", ["HEALTHCHECK CMD true", "ADD a b", "ARG LATE=1"])
def test_a_step_that_the_tests_cannot_carry_out_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=line.partition(" ")[0]):
        parse(f"FROM debian\n{line}\n")


def test_values_are_put_where_their_names_stand() -> None:
    assert substitute("$A-${B}", {"A": "1", "B": "2"}) == "1-2"
    with pytest.raises(KeyError):
        substitute("$C", {})
