"""Key files: the root and the bundles as JSON, readable for their owner only.

A message names the file and the field, and never shows what stands in it.
"""

import base64
import binascii
import json
import os
import stat
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from edge.config.model import Role
from edge.config.problems import UserError
from edge.keys import ADDED_LATER, KEY_IDS, PURPOSES, ROOT_SIZE, Bundle, KeySet, Root, derive_bundle, key_size

__all__ = [
    "KeysError",
    "age_problem",
    "bundle_path",
    "load_bundle",
    "load_root",
    "mode_problem",
    "role_of",
    "write_all",
]

_FORMAT = 1


class KeysError(UserError):
    """A key file is missing, broken, or for another role; the text names it and says what would be right."""


def bundle_path(folder: Path, role: Role) -> Path:
    """Tell where the bundle of a role is."""
    return folder / f"{role}.keys"


def _root_path(folder: Path) -> Path:
    return folder / "root.key"


def write_all(folder: Path, root: Root, *, is_new: bool) -> tuple[Path, ...]:
    """Write the root and all bundles, readable for their owner only.

    The root comes last: should we be interrupted, the same command takes the same step again, with the same keys.

    Args:
        folder: made when it is not there.
        root: what to write.
        is_new: refuse to overwrite a root.

    Raises:
        KeysError: a root is there already, or a file cannot be written.
    """
    path = _root_path(folder)
    if is_new and path.exists():
        raise KeysError(f"{path} is there already; `trio-voice keys rotate {folder}` replaces its keys step by step")
    files = {bundle_path(folder, role): _bundle_to_json(derive_bundle(root, role)) for role in Role}
    files[path] = _root_to_json(root)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for target, fields in files.items():
            _write(target, fields)
    except OSError as error:
        raise KeysError(f"keys cannot be written to {folder}: {error.strerror}") from None
    return tuple(files)


def load_root(folder: Path) -> Root:
    """Read the root.

    Raises:
        KeysError: it is not there, or no root.
    """
    path = _root_path(folder)
    fields = _read(path)
    if fields.get("kind") != "root":
        raise KeysError(f"{path} is no root, but {_kind_of(fields)}")
    try:
        root = _root_of(fields)
    except (KeyError, ValueError) as error:
        raise KeysError(f"{path} is broken: {_reason(error)}") from None
    return root


def load_bundle(path: Path, role: Role) -> Bundle:
    """Read the bundle of a role.

    Args:
        path: the bundle, or a folder that holds it under its usual name.
        role: the role that is to run with it.

    Raises:
        KeysError: it is not there, is broken, or is another role's.
    """
    if path.is_dir():
        path = bundle_path(path, role)
    fields = _read(path)
    if fields.get("kind") != role:
        raise KeysError(f"{path} is {_kind_of(fields)}; the {role} role needs {role}.keys, which holds its keys only")
    try:
        bundle = Bundle(
            role=role,
            minting=_integer(fields["minting"]),
            keys=tuple(_key_set(entry, role) for entry in _objects(fields["keys"])),
        )
        _check_ids(bundle)
    except (KeyError, ValueError) as error:
        raise KeysError(f"{path} is broken: {_reason(error)}") from None
    return bundle


def role_of(path: Path) -> Role:
    """Tell whose bundle a file is.

    Raises:
        KeysError: it is not there, or no bundle.
    """
    fields = _read(path)
    try:
        return Role(str(fields.get("kind")))
    except ValueError:
        raise KeysError(f"{path} is {_kind_of(fields)}, and no bundle") from None


def mode_problem(path: Path) -> str | None:
    """Tell when others on this machine can read a key file; None when they cannot.

    No error: a secret that an orchestrator mounts is often readable for all inside of its container. A file that is
    not ours, such as one of those, may be readable for its group: being of that group is how we read it.
    """
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    others = 0o077 if status.st_uid == os.geteuid() else 0o007
    return (
        f"{path} can be read by others on this machine (mode {mode:04o}); it should be 0600" if mode & others else None
    )


def age_problem(path: Path, bundle: Bundle) -> str | None:
    """Tell what a bundle of an earlier version cannot do, and what to do about it; None when it lacks nothing."""
    lacking = bundle.lacks()
    if not lacking:
        return None
    names = " and no ".join(f"{purpose} key" for purpose in lacking)
    return (
        f"{path} was written by an earlier version and has no {names}: what needs it is refused; "
        f"`trio-voice keys update {path.parent}`, where root.key is, writes the bundles again without changing a key"
    )


def _write(path: Path, fields: Mapping[str, object]) -> None:
    """Replace a file at once, so that no reader sees half of it."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(fields, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _root_to_json(root: Root) -> dict[str, object]:
    return {
        "trio-voice-keys": _FORMAT,
        "kind": "root",
        "minting": root.minting,
        "changed": root.changed.isoformat(),
        "keys": [
            {"serial": serial, "created": created.isoformat()}
            for serial, created in zip(root.serials, root.created, strict=True)
        ],
        "secret": _encode(root.secret),
    }


def _bundle_to_json(bundle: Bundle) -> dict[str, object]:
    return {
        "trio-voice-keys": _FORMAT,
        "kind": str(bundle.role),
        "minting": bundle.minting,
        "keys": [
            {
                "id": key.id,
                "created": key.created.isoformat(),
                **{str(purpose): _encode(secret) for purpose, secret in key.secrets.items()},
            }
            for key in bundle.keys
        ],
    }


def _read(path: Path) -> dict[str, object]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KeysError(f"there is no {path}; `trio-voice keys new {path.parent}` makes new keys") from None
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):  # its text must not be shown
        raise KeysError(f"{path} is no key file of trio-voice") from None
    if not isinstance(fields, dict) or "trio-voice-keys" not in fields:
        raise KeysError(f"{path} is no key file of trio-voice")
    if fields["trio-voice-keys"] != _FORMAT:
        raise KeysError(f"{path} has format {fields['trio-voice-keys']!r}; this version reads format {_FORMAT}")
    return fields


def _kind_of(fields: Mapping[str, object]) -> str:
    kind = fields.get("kind")
    if kind == "root":
        return "the root, which no process loads"
    return f"the key bundle of the {kind} role" if kind in set(Role) else "of an unknown kind"


def _root_of(fields: Mapping[str, object]) -> Root:
    entries = _objects(fields["keys"])
    root = Root(
        secret=_decode(fields["secret"], ROOT_SIZE),
        serials=tuple(_integer(entry["serial"]) for entry in entries),
        created=tuple(_time(entry["created"]) for entry in entries),
        minting=_integer(fields["minting"]),
        changed=_time(fields["changed"]),
    )
    if root.minting not in root.serials:
        raise ValueError("the minting key is not among the keys")
    return root


def _key_set(entry: Mapping[str, object], role: Role) -> KeySet:
    return KeySet(
        id=_integer(entry["id"]),
        created=_time(entry["created"]),
        secrets={
            purpose: _decode(entry[purpose], key_size(purpose))
            for purpose in PURPOSES[role]
            if purpose in entry or purpose not in ADDED_LATER
        },
    )


def _check_ids(bundle: Bundle) -> None:
    ids = [key.id for key in bundle.keys]
    if not 1 <= len(ids) <= 2 or len(set(ids)) != len(ids):
        raise ValueError("it holds one or two keys of different ids")
    if not all(0 <= key_id < KEY_IDS for key_id in ids):
        raise ValueError(f"key ids are 0 to {KEY_IDS - 1}")
    if bundle.minting not in ids:
        raise ValueError("the minting key is not among the keys")


def _reason(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def _objects(value: object) -> list[dict[str, object]]:
    if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
        raise ValueError("keys is no list of keys")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("an id is no number")
    return value


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a time is no string")  # noqa: TRY004 - a wrong file, not a wrong call
    return datetime.fromisoformat(value)


def _encode(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).decode().rstrip("=")


def _decode(value: object, size: int) -> bytes:
    try:
        secret = base64.b64decode(str(value) + "=" * (-len(str(value)) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != size:
        raise ValueError(f"a key is not {size} bytes in base64")  # never the value itself
    return secret
