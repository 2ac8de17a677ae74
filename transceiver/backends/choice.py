"""Which backend answers a call, told from the model that the caller asks for."""

from fnmatch import fnmatchcase

import attrs

from transceiver.backends.settings import PARROT, BackendKind, BackendSettings

__all__ = ["Backends", "choose_backend"]


@attrs.frozen(kw_only=True)
class Backends:
    """The backends of a transceiver.

    Attributes:
        claims: those that say for which models they answer, the first that matches wins.
        default: what answers all other calls; None when nobody said.
    """

    claims: tuple[BackendSettings, ...] = ()
    default: BackendSettings | None = None


_PARROT = BackendSettings(kind=BackendKind.AGENT, target=PARROT, name="parrot")


def choose_backend(backends: Backends, model: str | None) -> BackendSettings | None:
    """Choose what answers.

    Args:
        backends: what there is.
        model: what the caller asks for; None when it names none.

    Returns:
        The first that claims the model, else the default. Without a default: for a caller that names no model the first
        of all; the parrot where there is no backend at all. None when nobody answers for the model, which is then
        refused: a list of models is a promise not to serve others.
    """
    if model is not None:
        for settings in backends.claims:
            if any(fnmatchcase(model, pattern) for pattern in settings.models):
                return settings
    if backends.default is not None:
        return backends.default
    if not backends.claims:
        return _PARROT
    return backends.claims[0] if model is None else None
