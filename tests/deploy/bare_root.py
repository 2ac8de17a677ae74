"""Builds an image without a container program, and runs programs in it as a container would.

An image's root is a folder, its base what debootstrap makes, and a step a program in a chroot with mounts and processes
of its own. As a builder does, it keeps the root after each step that took long, by a digest of all that led to it; so a
second build takes seconds. It needs root, a mirror of Debian and of PyPI.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from .container_file import Instruction, Stage, parse, read_ignored_names, substitute
from .lent_network import lent_network, mirror

__all__ = ["Image", "build", "command_as_root", "copied", "make_mount_points", "run_command"]

_SUITES = {"debian:12-slim": "bookworm", "debian:13-slim": "trixie"}
_KEEP_SECONDS = 4.0
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Mounts die with the namespace. What follows the root's name is a list of MODE:SOURCE:TARGET, a "--", and the program.
_ENTER = """
set -e
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mode=${1%%:*}; rest=${1#*:}
    case "$mode" in
    ro) mount --bind "${rest%%:*}" "$root${rest#*:}"; mount -o remount,bind,ro "$root${rest#*:}" ;;
    lock) mount -o remount,bind,ro "$root" ;;
    esac
    shift
done
shift
exec chroot "$root" "$@"
"""


@attrs.frozen(kw_only=True)
class Image:
    """What a build made.

    Attributes:
        root: its files.
        environment: its variables.
        user: "UID:GID" of its processes.
        entrypoint: what every command begins with.
        command: what follows when nothing else is asked for.
    """

    root: Path
    environment: Mapping[str, str]
    user: str
    entrypoint: Sequence[str]
    command: Sequence[str]


@attrs.define
class _State:
    """A stage as far as it was carried out.

    Attributes:
        key: digest of all that led here.
        image: environment, user and so on.
        folder: where steps work.
    """

    key: str
    environment: dict[str, str] = attrs.field(factory=dict)
    folder: str = "/"
    user: str = "0:0"
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()

    def after(self, *facts: str) -> None:
        self.key = hashlib.sha256("\0".join((self.key, *facts)).encode()).hexdigest()[:32]


@contextlib.contextmanager
def build(file: Path, context: Path) -> Iterator[Image]:
    """Carry out a container file, and give its last stage in a folder that goes away again.

    Args:
        file: the container file.
        context: what COPY copies from.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trio-voice" / "container-roots"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=_scratch() or cache, prefix="trio-voice-"))
    try:
        with (cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            builder = _Builder(cache, work, context)
            state = [builder.carry_out(stage) for stage in parse(file.read_text(encoding="utf-8"))][-1]
            builder.forget_others(file.name)
        yield Image(
            root=builder.roots[state.key],
            environment=state.environment,
            user=state.user,
            entrypoint=state.entrypoint,
            command=state.command,
        )
    finally:
        _remove(work)


@contextlib.contextmanager
def copied(root: Path, checkout: Path, target: str) -> Iterator[Path]:
    """Give a copy of a root that may be written to and goes away again.

    Args:
        root: of an image, which may be the one that is kept for later builds.
        checkout: a folder that is copied into it, without what builds ignore.
        target: where to.
    """
    with tempfile.TemporaryDirectory(dir=_scratch(), prefix="trio-voice-") as name:
        copy = Path(name) / "root"
        _copy_tree(root, copy)
        _copy(checkout, copy / target.lstrip("/"), read_ignored_names(checkout / ".dockerignore"))
        yield copy


def _scratch() -> Path | None:
    """Find a place in memory: whole systems are written, and removed, which takes some disks half a minute."""
    place = Path("/dev/shm")  # noqa: S108 - for a folder with a random name
    if not place.is_dir() or os.statvfs(place).f_flag & os.ST_NOEXEC or shutil.disk_usage(place).free < 2 << 30:
        return None
    return place


class _Builder:
    """Carries out stages.

    Args:
        cache: where roots are kept.
        work: a folder that goes away in the end.
        context: what COPY copies from.

    Attributes:
        roots: of the stages, by the key of their last state.
    """

    def __init__(self, cache: Path, work: Path, context: Path) -> None:
        self.roots: dict[str, Path] = {}
        self._cache = cache
        self._work = work
        self._context = context
        self._ignored = read_ignored_names(context / ".dockerignore")
        self._stages: dict[str, _State] = {}
        self._used: set[str] = set()

    def carry_out(self, stage: Stage) -> _State:
        """Carry out a stage; afterwards its root is among `roots`."""
        first = self._stages[stage.base] if stage.base in self._stages else self._debian(stage.base)
        # What every step leads to is known before any is carried out: from the last known root on, only the rest is.
        states = [attrs.evolve(first, environment=dict(first.environment))]
        for instruction in stage.instructions:
            states.append(self._look_ahead(states[-1], instruction))
        begin = max(index for index, each in enumerate(states) if self._root_of(each) is not None)
        root = self._root_of(states[begin])
        assert root is not None
        if begin + 1 < len(states):
            root = self._carry_out_rest(stage, states, begin, root)
        self.roots[states[-1].key] = root
        self._stages[stage.name] = states[-1]
        return states[-1]

    def _root_of(self, state: _State) -> Path | None:
        """Find the root of a state, of this build or an earlier one."""
        kept = self._cache / state.key
        if state.key in self.roots:
            return self.roots[state.key]
        if kept.is_dir():
            self._used.add(state.key)
            return kept
        return None

    def _carry_out_rest(self, stage: Stage, states: Sequence[_State], begin: int, base: Path) -> Path:
        root = self._work / states[-1].key
        _copy_tree(base, root)
        for index, instruction in list(enumerate(stage.instructions))[begin:]:
            started = time.monotonic()
            self._step(root, states[index], instruction)
            # What holds the source is another one the next time.
            has_source = any(each.copies_a_folder(self._context) for each in stage.instructions[:index])
            if time.monotonic() - started > _KEEP_SECONDS and not has_source:
                self._keep(root, states[index + 1].key)
        return root

    def forget_others(self, name: str) -> None:
        """Remove roots that no container file had a use for when it was built last.

        Args:
            name: of the file that is built now; each leaves a list of what it has used.
        """
        (self._cache / f"{name}.roots").write_text("\n".join(sorted(self._used)))
        used = {key for each in self._cache.glob("*.roots") for key in each.read_text().split()}
        for path in self._cache.iterdir():
            if path.is_dir() and path.name not in used:
                _remove(path)

    def _debian(self, image: str) -> _State:
        suite = _SUITES[image.removeprefix("docker.io/library/")]
        state = _State(key="", environment={"PATH": _SYSTEM_PATH})
        state.after("debootstrap", suite)
        if self._root_of(state) is None:
            assert shutil.which("debootstrap"), "debootstrap is missing: `make test` installs it from Debian's packages"
            with tempfile.TemporaryDirectory(dir=self._cache) as name:  # not in memory, where it finds no devices
                root = Path(name) / "root"
                _run(["debootstrap", "--variant=minbase", suite, str(root), mirror()])
                for path in (*root.glob("var/cache/apt/archives/*.deb"), *root.glob("var/lib/apt/lists/*Packages")):
                    path.unlink()  # as the images of Debian come
                root.rename(self._cache / state.key)
            self._used.add(state.key)
        return state

    def _look_ahead(self, before: _State, instruction: Instruction) -> _State:
        """Tell what a step leads to, without carrying it out."""
        state = attrs.evolve(before, environment=dict(before.environment))
        text = instruction.text
        match instruction.name:
            case "ENV":
                pairs = (word.partition("=") for word in instruction.words())
                state.environment |= {name: substitute(value, before.environment) for name, _, value in pairs}
            case "WORKDIR":
                state.folder = text
            case "USER":
                state.user = text
            case "ENTRYPOINT":
                state.entrypoint = instruction.words()
            case "CMD":
                state.command = instruction.words()
            case "COPY" if text.startswith("--from="):
                text += " " + self._stages[_origin(instruction)].key
            case "COPY":
                text += " " + _digest_of(self._context, instruction.words()[:-1], self._ignored)
            case _:
                pass
        state.after(instruction.name, text)
        return state

    def _step(self, root: Path, state: _State, instruction: Instruction) -> None:
        folder = root / state.folder.lstrip("/")
        match instruction.name:
            case "RUN":
                _run_in(root, state, instruction.text)
            case "WORKDIR":
                (root / instruction.text.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "COPY" if instruction.text.startswith("--from="):
                _, source, target = instruction.words()
                origin = self.roots[self._stages[_origin(instruction)].key]
                _copy_tree(origin / source.lstrip("/"), root / target.lstrip("/"))
            case "COPY":
                *sources, target = instruction.words()
                for source in sources:
                    _copy(self._context / source, folder / target, self._ignored)
            case _:
                pass

    def _keep(self, root: Path, key: str) -> None:
        with tempfile.TemporaryDirectory(dir=self._cache) as name:
            _copy_tree(root, Path(name) / "root")
            (Path(name) / "root").rename(self._cache / key)
        self._used.add(key)


def run_command(
    image: Image,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    volumes: Mapping[Path, str] | None = None,
    entrypoint: Sequence[str] | None = None,
) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the variables that run a program in an image as a strict orchestrator would.

    As its user, with no capability and no way to gain one, in a root that nobody can write to, as process 1 of its own;
    a signal for it goes to the child of the process that this starts.

    Args:
        image: where to run it.
        arguments: behind the entry point.
        environment: variables beside the image's.
        volumes: folders of this machine, by where they are to be seen; read-only; see `make_mount_points`.
        entrypoint: instead of the image's.
    """
    user, _, group = image.user.partition(":")
    program = [*(image.entrypoint if entrypoint is None else entrypoint), *arguments]
    unprivileged = ["setpriv", f"--reuid={user}", f"--regid={group}", f"--groups={group}", "--no-new-privs"]
    unprivileged += ["--bounding-set=-all", "--inh-caps=-all", "--"]
    mounts = [f"ro:{source}:{target}" for source, target in (volumes or {}).items()]
    command = _entering(image.root, [*mounts, "lock"], [*unprivileged, *program])
    return command, {**image.environment, **(environment or {})}


def make_mount_points(image: Image, volumes: Mapping[Path, str]) -> None:
    """Make what volumes are mounted on; an orchestrator does, before the root becomes read-only."""
    for source, target in volumes.items():
        point = image.root / target.lstrip("/")
        (point if source.is_dir() else point.parent).mkdir(parents=True, exist_ok=True)
        if not source.is_dir():
            point.touch()


def command_as_root(root: Path, mounts: Sequence[str], script: str) -> list[str]:
    """Return the command line that runs a shell's script as root in a root that may be written to.

    Args:
        root: where.
        mounts: what `lent_network` gives, or none.
        script: for a shell.
    """
    return _entering(root, mounts, ["sh", "-c", script])


def _entering(root: Path, mounts: Sequence[str], program: Sequence[str]) -> list[str]:
    apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    return [*apart, "sh", "-c", _ENTER, "sh", str(root), *mounts, "--", *program]


def _run_in(root: Path, state: _State, script: str) -> None:
    """Carry out a RUN with this machine's way to the network, of which nothing stays behind."""
    with lent_network(root) as (variables, mounts):
        environment = {**state.environment, "DEBIAN_FRONTEND": "noninteractive", **variables}
        _run(_entering(root, mounts, ["sh", "-c", f"cd {state.folder} && {script}"]), environment)


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"{command[-1]} failed:\n{done.stdout.decode(errors='replace')[-4000:]}"


def _origin(instruction: Instruction) -> str:
    return instruction.words()[0].removeprefix("--from=")


def _copy_tree(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    _run(["cp", "--archive", "--reflink=auto", str(source), str(target)])


def _remove(tree: Path) -> None:
    _run(["rm", "-rf", "--one-file-system", str(tree)])


def _copy(source: Path, target: Path, ignored: set[str]) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*ignored), dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def _digest_of(context: Path, names: Sequence[str], ignored: set[str]) -> str:
    digest = hashlib.sha256()
    for path in (context / name for name in names):
        files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
        for file in files:
            name = file.relative_to(context)
            if ignored.isdisjoint(name.parts):
                digest.update(f"{name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
