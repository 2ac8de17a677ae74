"""The number of this release. The wheel has it from here, so a process tells that of the code it runs."""

__all__ = ["VERSION"]

VERSION = "0.3.0"
