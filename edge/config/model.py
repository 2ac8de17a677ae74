"""Every configuration key, as frozen records; those of the three tiers, with their rules, in files of their own.

A key's name in the TOML file is its path here: `SignalConfig.listen` is `signal.listen`, and the environment
variable that overrides it is `TRIO_VOICE_SIGNAL_LISTEN`. The "Attributes" sections below are what
`trio-voice config` prints beside each key, so they are written for an operator.

Addresses are `(host, port)` pairs here and "HOST:PORT" in the file.
"""

import enum

import attrs

from edge.config.backends import BackendConfig
from edge.config.relay import ClusterRelay, RelayConfig, RelayIngress
from edge.config.signal import (
    DEFAULT_LISTEN,
    RegionConfig,
    ResidencyConfig,
    SignalConfig,
    SignalIngress,
    TransceiverEndpoint,
)
from edge.config.store import NodeConfig, StoreConfig
from edge.config.transceiver import TransceiverConfig, VoiceConfig
from edge.config.values import Network

__all__ = [
    "DEFAULT_LISTEN",
    "BackendConfig",
    "ClusterRelay",
    "Config",
    "LogConfig",
    "Network",
    "NodeConfig",
    "RegionConfig",
    "RelayConfig",
    "RelayIngress",
    "ResidencyConfig",
    "Role",
    "SignalConfig",
    "SignalIngress",
    "StoreConfig",
    "TransceiverConfig",
    "TransceiverEndpoint",
    "VoiceConfig",
]


class Role(enum.StrEnum):
    """A tier that a process can run; without one it runs all three."""

    SIGNAL = "signal"
    RELAY = "relay"
    TRANSCEIVER = "transceiver"


@attrs.frozen(kw_only=True)
class LogConfig:
    """What is logged, and how.

    Attributes:
        level: the least important level that is still logged: "debug", "info", "warning" or "error".
        format: "text" for people, "json" for machines, "auto" for text on a terminal and JSON elsewhere.
    """

    level: str = "info"
    format: str = "auto"


@attrs.frozen(kw_only=True)
class Config:
    """All that a process is told.

    Attributes:
        keys: path of the role's key bundle, or a folder that holds signal.keys, relay.keys and transceiver.keys, both
            as `trio-voice keys new` writes them. `trio-voice serve` without a role makes keys of its own when left out.
        backend: backends by the models that they answer for; the first that matches wins.
        log: logging.
        node: what this process is called in its fleet.
        store: what the processes of a fleet share.
        signal: the signal tier; None when this process does not run it.
        relay: the relay tier; None when this process does not run it.
        transceiver: the transceiver tier; None when this process does not run it.
    """

    keys: str | None = None
    backend: tuple[BackendConfig, ...] = ()
    log: LogConfig = attrs.field(factory=LogConfig)
    node: NodeConfig = attrs.field(factory=NodeConfig)
    store: StoreConfig = attrs.field(factory=StoreConfig)
    signal: SignalConfig | None = None
    relay: RelayConfig | None = None
    transceiver: TransceiverConfig | None = None
