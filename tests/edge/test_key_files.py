"""Key files come back as they were, are private, and say what is wrong without showing a secret."""

import json
import os
from pathlib import Path

import pytest

from edge.config.model import Role
from edge.key_files import KeysError, age_problem, bundle_path, load_bundle, load_root, mode_problem, write_all
from edge.keys import Purpose, derive_bundle, new_root, rotate

NOW = 1_800_000_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    write_all(folder, new_root(os.urandom, NOW), is_new=True)
    return folder


def test_files_come_back_as_they_were(folder: Path) -> None:
    root = rotate(load_root(folder), NOW + 1)
    write_all(folder, root, is_new=False)
    assert load_root(folder) == root
    for role in Role:
        assert load_bundle(folder, role) == load_bundle(folder / f"{role}.keys", role) == derive_bundle(root, role)


def test_files_are_private(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "relay.keys",
        "root.key",
        "signal.keys",
        "transceiver.keys",
    ]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    path = bundle_path(folder, Role.RELAY)
    assert mode_problem(path) is None
    path.chmod(0o640)
    assert mode_problem(path) == f"{path} can be read by others on this machine (mode 0640); it should be 0600"


def test_a_bundle_of_an_earlier_version_is_read_and_says_what_it_lacks(folder: Path) -> None:
    path = folder / "signal.keys"
    assert age_problem(path, load_bundle(path, Role.SIGNAL)) is None
    fields = json.loads(path.read_text())
    del fields["keys"][0]["client-secret"]
    path.write_text(json.dumps(fields))
    bundle = load_bundle(folder, Role.SIGNAL)
    assert bundle.lacks() == (Purpose.CLIENT_SECRET,)
    assert set(bundle.secrets(Purpose.CONTROL)) == {1}
    problem = age_problem(path, bundle)
    assert problem is not None
    assert "has no client-secret key" in problem
    assert f"`trio-voice keys update {folder}`" in problem
    # Writing the bundles again is all it takes, and changes no key.
    write_all(folder, load_root(folder), is_new=False)
    updated = load_bundle(folder, Role.SIGNAL)
    assert updated.lacks() == ()
    assert updated.secrets(Purpose.CONTROL) == bundle.secrets(Purpose.CONTROL)


def test_a_client_secret_key_that_is_broken_is_not_taken_for_one_that_is_missing(folder: Path) -> None:
    path = folder / "signal.keys"
    fields = json.loads(path.read_text())
    fields["keys"][0]["client-secret"] = ""
    path.write_text(json.dumps(fields))
    with pytest.raises(KeysError, match="a key is not 64 bytes"):
        load_bundle(folder, Role.SIGNAL)


def test_a_root_is_never_overwritten(folder: Path) -> None:
    before = load_root(folder)
    with pytest.raises(KeysError, match="keys rotate"):
        write_all(folder, new_root(os.urandom, NOW), is_new=True)
    assert load_root(folder) == before


def test_no_bundle_holds_the_root(folder: Path) -> None:
    secret = json.loads((folder / "root.key").read_text())["secret"]
    assert all(secret not in (folder / f"{role}.keys").read_text() for role in Role)


def test_a_bundle_of_another_role_is_refused_by_name(folder: Path) -> None:
    path = folder / "relay.keys"
    with pytest.raises(KeysError) as caught:
        load_bundle(path, Role.SIGNAL)
    assert str(caught.value) == (
        f"{path} is the key bundle of the relay role; the signal role needs signal.keys, which holds its keys only"
    )
    with pytest.raises(KeysError, match="is the root, which no process loads; the relay role needs"):
        load_bundle(folder / "root.key", Role.RELAY)
    (folder / "root.key").write_text(path.read_text())
    with pytest.raises(KeysError, match="is no root, but the key bundle of the relay role"):
        load_root(folder)


def drop_minting(fields: dict) -> None:
    fields["minting"] = 9


def drop_secret(fields: dict) -> None:
    del fields["keys"][0]["hop"]


def shorten_secret(fields: dict) -> None:
    fields["keys"][0]["hop"] = fields["keys"][0]["hop"][:-4]


def break_secret(fields: dict) -> None:
    fields["keys"][0]["hop"] = "!" * 43


def repeat_key(fields: dict) -> None:
    fields["keys"] *= 2


def add_keys(fields: dict) -> None:
    fields["keys"] = [fields["keys"][0] | {"id": key_id} for key_id in (1, 2, 3)]


def large_id(fields: dict) -> None:
    fields["keys"][0]["id"] = fields["minting"] = 64


def no_keys(fields: dict) -> None:
    fields["keys"] = []


def other_format(fields: dict) -> None:
    fields["trio-voice-keys"] = 2


def other_kind(fields: dict) -> None:
    fields["kind"] = "caller"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop_minting, "is broken: the minting key is not among the keys"),
        (drop_secret, "is broken: hop is missing"),
        (shorten_secret, "is broken: a key is not 32 bytes in base64"),
        (break_secret, "is broken: a key is not 32 bytes in base64"),
        (repeat_key, "is broken: it holds one or two keys of different ids"),
        (add_keys, "is broken: it holds one or two keys of different ids"),
        (large_id, "is broken: key ids are 0 to 63"),
        (no_keys, "is broken: keys is no list of keys"),
        (other_format, "has format 2; this version reads format 1"),
        (other_kind, "is of an unknown kind"),
    ],
)
def test_a_broken_file_is_named_and_not_shown(folder: Path, change, words: str) -> None:
    path = folder / "relay.keys"
    fields = json.loads(path.read_text())
    secrets = [value for key in fields["keys"] for value in key.values() if isinstance(value, str) and len(value) > 40]
    change(fields)
    path.write_text(json.dumps(fields))
    with pytest.raises(KeysError) as caught:
        load_bundle(folder, Role.RELAY)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert not any(secret in str(caught.value) for secret in secrets)


def test_files_that_are_none(folder: Path, tmp_path: Path) -> None:
    path = folder / "relay.keys"
    for text in ("", "{", "[]", "{}", "\x00", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(KeysError, match="is no key file of trio-voice"):
            load_bundle(path, Role.RELAY)
    path.unlink()
    with pytest.raises(KeysError, match=r"there is no .*relay\.keys; `trio-voice keys new"):
        load_bundle(folder, Role.RELAY)
    with pytest.raises(KeysError, match="cannot be written"):
        write_all(folder / "root.key" / "below", new_root(os.urandom, NOW), is_new=True)


def test_a_file_of_somebody_else_may_be_readable_for_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "relay.keys"
    path.touch()
    path.chmod(0o440)
    assert "mode 0440" in (mode_problem(path) or "")
    monkeypatch.setattr("os.geteuid", lambda: path.stat().st_uid + 1)  # as a secret is mounted for a group
    assert mode_problem(path) is None
    path.chmod(0o444)
    assert "mode 0444" in (mode_problem(path) or "")
