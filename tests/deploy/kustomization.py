"""What `kubectl apply -k` would send, for the part of kustomize that our kustomizations use; anything else is an error.

Patches are merged as kustomize does: tables key by key, lists of things with names by name, other lists as a whole;
`$patch: delete` takes the object away, `$patch: replace` stands in a table that is not merged.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Manifest", "identity", "load_all", "merge", "render"]

Manifest = dict[str, Any]

_FIELDS = {
    "Kustomization": {"apiVersion", "kind", "resources", "patches", "replicas"},
    "Component": {"apiVersion", "kind", "resources", "patches"},
}


def load_all(path: Path) -> list[Manifest]:
    """Load the documents of a file.

    Raises:
        ValueError: it is empty, or a key stands twice.
    """
    documents = [each for each in yaml.load_all(path.read_text(encoding="utf-8"), _Loader) if each is not None]
    if not documents:
        raise ValueError(f"{path} is empty")
    return documents


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, as Kubernetes does in strict mode."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise ValueError(f"{twice} stands twice, line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


def identity(manifest: Manifest) -> tuple[str, str, str]:
    """Tell what an object is: kind, namespace, name."""
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def render(folder: Path, *components: Path) -> list[Manifest]:
    """Put together what a kustomization names.

    Args:
        folder: of its kustomization.yaml.
        components: applied behind it, as if an overlay listed them.

    Raises:
        ValueError: it has a field that is unknown here, names an object twice, or patches one that is not there.
        OSError: a file that it names is not there.
    """
    objects: dict[tuple[str, str, str], Manifest] = {}
    for part in (folder, *components):
        _apply(part, objects)
    return list(objects.values())


def _apply(folder: Path, objects: dict[tuple[str, str, str], Manifest]) -> None:
    """Carry out a kustomization on what is there already."""
    (kustomization,) = load_all(folder / "kustomization.yaml")
    if unknown := set(kustomization) - _FIELDS[kustomization["kind"]]:
        raise ValueError(f"{folder}: {unknown} is not known here")
    for part in (folder / each for each in kustomization.get("resources", ())):
        for manifest in render(part) if part.is_dir() else load_all(part):
            if identity(manifest) in objects:
                raise ValueError(f"{part}: {identity(manifest)} is there already")
            objects[identity(manifest)] = manifest
    for patch in _patches(folder, kustomization):
        key = identity(patch)
        if key not in objects:
            raise ValueError(f"{folder}: a patch is for {key}, which is not there")
        if patch.get("$patch") == "delete":
            del objects[key]
        else:
            objects[key] = merge(objects[key], patch)
    for scale in kustomization.get("replicas", ()):
        (scaled,) = (each for each in objects.values() if _scale(each) == scale["name"])
        scaled["spec"]["replicas"] = scale["count"]


def _patches(folder: Path, kustomization: Manifest) -> Iterator[Manifest]:
    for entry in kustomization.get("patches", ()):
        if set(entry) == {"path"}:
            # One each: kubectl's kustomize panicked for years at several of which two delete.
            (patch,) = load_all(folder / entry["path"])
        elif set(entry) == {"patch"}:
            patch = yaml.load(entry["patch"], _Loader)  # noqa: S506 - a safe one
        else:
            raise ValueError(f"{folder}: {set(entry)} is not known here")
        yield patch


def _scale(manifest: Manifest) -> str | None:
    """Tell the name by which `replicas` finds what has a scale."""
    return str(manifest["metadata"]["name"]) if "replicas" in manifest.get("spec", {}) else None


def merge(lower: Any, upper: Any) -> Any:
    """Lay a patch over a value; neither changes."""
    if isinstance(upper, dict) and upper.get("$patch") == "replace":
        return {key: value for key, value in upper.items() if key != "$patch"}
    if isinstance(lower, dict) and isinstance(upper, dict):
        merged = {**lower, **{key: merge(lower[key], upper[key]) if key in lower else upper[key] for key in upper}}
        return {key: value for key, value in merged.items() if value is not None}
    if isinstance(lower, list) and isinstance(upper, list) and _are_named(lower) and _are_named(upper):
        by_name = {item["name"]: item for item in lower}
        for item in upper:
            by_name[item["name"]] = merge(by_name[item["name"]], item) if item["name"] in by_name else item
        return list(by_name.values())
    return upper


def _are_named(items: list[Any]) -> bool:
    return all(isinstance(item, dict) and "name" in item for item in items)
