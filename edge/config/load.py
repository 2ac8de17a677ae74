"""From trees of values to one `Config`, with everything that is wrong reported at once."""

import difflib
import re
import types
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn

from edge.config import values
from edge.config.backends import with_api_keys
from edge.config.catalogue import all_keys, record_of
from edge.config.check import check, warnings_about
from edge.config.model import (
    DEFAULT_LISTEN,
    BackendConfig,
    ClusterRelay,
    Config,
    Network,
    RegionConfig,
    RelayIngress,
    ResidencyConfig,
    Role,
    SignalIngress,
    TransceiverEndpoint,
)
from edge.config.problems import ConfigError, Problem, WrongValue, describe
from edge.config.sources import Tree, merge, read_environment, read_file
from geo.regions import Place
from wire.core import Address

__all__ = ["Loaded", "load", "structure"]

_SECRET_KEY = re.compile(r"store\.password|signal\.(api_keys|residency\[\d+\]\.api_keys)|backend\[\d+\]\.api_key")

_SHORT_FORMS: dict[type, Callable[[object], object]] = {
    BackendConfig: values.expand_backend,
    ClusterRelay: values.expand_cluster_relay,
    RegionConfig: values.expand_region,
    RelayIngress: values.expand_relay_ingress,
    ResidencyConfig: values.expand_residency,
    SignalIngress: values.expand_signal_ingress,
    TransceiverEndpoint: values.expand_transceiver,
}


@attrs.frozen(kw_only=True)
class Loaded:
    """A configuration that can be used.

    Attributes:
        config: the configuration; the sections of roles that do not run here are None.
        warnings: sentences about what works, but is probably not meant.
    """

    config: Config
    warnings: tuple[str, ...]


def load(
    *,
    path: Path | None = None,
    environ: Mapping[str, str],
    role: Role | None = None,
    defaults: Callable[[Address], Tree] | None = None,
    options: Tree | None = None,
) -> Loaded:
    """Load the configuration of one role, or of all three.

    Args:
        path: TOML file; None for none.
        environ: environment variables.
        role: the role that runs; None for all three.
        defaults: makes a tree below the file's, such as `embedded_tree`, for the address that signal listens on.
        options: a tree above the environment's, from the command line.

    Raises:
        ConfigError: something is wrong; holds everything that is.
    """
    environment, warnings = read_environment(environ)
    tree = merge(merge(read_file(path) if path else {}, environment), options or {})
    if defaults is not None:
        tree = merge(defaults(_listen(tree)), tree)
    for name in (role,) if role else Role:
        tree.setdefault(name.value, {})
    config = _with_region(_with_shared_ingresses(structure(tree)))
    config = attrs.evolve(
        config,
        signal=config.signal if role in {None, Role.SIGNAL} else None,
        relay=config.relay if role in {None, Role.RELAY} else None,
        transceiver=config.transceiver if role in {None, Role.TRANSCEIVER} else None,
    )
    unknown_variables: tuple[Problem, ...] = ()
    if config.transceiver is not None:
        backends, unknown_variables = with_api_keys(config.backend, environ)
        config = attrs.evolve(config, backend=backends)
    problems = (*check(config), *unknown_variables)
    if problems:
        raise ConfigError(problems)
    return Loaded(config=config, warnings=(*warnings, *warnings_about(config)))


def structure(tree: Tree) -> Config:
    """Turn one tree into a `Config`, without the rules of `check`.

    Raises:
        ConfigError: a key is unknown, missing, or has a value of the wrong form.
    """
    try:
        return _converter().structure(tree, Config)
    except BaseValidationError as error:
        raise ConfigError(_problems_in(error, "")) from None


def _listen(tree: Tree) -> Address:
    """Find where signal will listen; a value that is wrong is told elsewhere, and nothing follows from it here."""
    section = tree.get("signal")
    value = section.get("listen", DEFAULT_LISTEN) if isinstance(section, dict) else DEFAULT_LISTEN
    try:
        return values.address(value)
    except WrongValue:
        return "", 0


def _with_shared_ingresses(config: Config) -> Config:
    """Let signal offer the relay's ingresses when it is told of none itself."""
    if config.signal is None or config.relay is None or config.signal.ingresses:
        return config
    ingresses = tuple(
        SignalIngress(id=item.id, advertise=item.advertise, protocol=item.protocol) for item in config.relay.ingresses
    )
    return attrs.evolve(config, signal=attrs.evolve(config.signal, ingresses=ingresses))


def _with_region(config: Config) -> Config:
    """Let signal be in the region of its node when it is told of none itself, and knows that one."""
    signal, region = config.signal, config.node.region
    if signal is None or signal.region is not None or region not in {each.name for each in signal.regions}:
        return config
    return attrs.evolve(config, signal=attrs.evolve(signal, region=region))


@cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for type_, take in (
        (str, values.string),
        (bool, values.boolean),
        (int, values.integer),
        (float, values.number),
        (Place, values.place),
        (Network, values.network),
    ):
        converter.register_structure_hook(type_, _hook(take))
    # The last predicate registered is asked first: an address is a tuple, but not a list of values.
    converter.register_structure_hook_factory(_is_list, _list_hook)
    converter.register_structure_hook_func(lambda type_: type_ == Address, _hook(values.address))
    converter.register_structure_hook_factory(lambda type_: record_of(type_) is type_, _record_hook)
    return converter


def _hook(take: Callable[[object], object]) -> Callable[[object, object], Any]:
    return lambda value, _type: take(value)


def _is_list(type_: object) -> bool:
    return get_origin(type_) is tuple and get_args(type_)[-1] is Ellipsis


def _list_hook(type_: Any, converter: cattrs.BaseConverter) -> Callable[[object, object], Any]:
    # cattrs says which item of a list was wrong; a string must not be taken for a list of characters.
    as_list: Any = types.GenericAlias(list, get_args(type_)[:1])
    return lambda value, _type: tuple(converter.structure(values.items(value), as_list))


def _record_hook(record: type[attrs.AttrsInstance], converter: cattrs.Converter) -> Callable[[object, object], Any]:
    from_table = make_dict_structure_fn(record, converter)
    expand = _SHORT_FORMS.get(record)

    def take(value: object, _type: object) -> Any:
        table = expand(value) if expand else value
        if not isinstance(table, dict):
            raise WrongValue(value, "a table")
        return from_table(table, record)

    return take


def _problems_in(error: BaseException, key: str) -> Iterator[Problem]:
    if isinstance(error, ForbiddenExtraKeysError):
        for name in sorted(error.extra_fields):
            yield Problem(_join(key, name), "there is no such key", _suggestion(key, name, error.cl))
    elif isinstance(error, BaseValidationError):
        for nested in error.exceptions:
            yield from _problems_in(nested, key + _step(nested, is_first=not key))
    elif isinstance(error, WrongValue):
        found = "found " + describe(error.value, is_secret=bool(_SECRET_KEY.match(key)))
        yield Problem(key, found, f"It should be {error.wanted}.")
    elif isinstance(error, KeyError):
        yield Problem(key, "it is missing", "Every entry needs it.")
    else:
        raise error  # our own mistake


def _step(error: BaseException, *, is_first: bool) -> str:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return note.name if is_first else f".{note.name}"
        if isinstance(note, IterableValidationNote):
            return f"[{note.index}]"
    return ""


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _suggestion(key: str, name: str, record: type) -> str:
    siblings = [attribute.name for attribute in attrs.fields(cast("type[attrs.AttrsInstance]", record))]
    elsewhere = [known.dotted for known in all_keys() if known.path[-1] == name]
    if elsewhere:
        return f"Did you mean {' or '.join(elsewhere)}?"
    if near := difflib.get_close_matches(name, siblings, 1):
        return f"Did you mean {_join(key, near[0])}?"
    return f"The keys here are: {', '.join(siblings)}."
