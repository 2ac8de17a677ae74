"""Print the `dev` dependency group of pyproject.toml, a requirement a line (Debian's pip has no --group)."""

import tomllib
from pathlib import Path

groups = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
print("\n".join(groups["dev"]))
