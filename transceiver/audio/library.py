"""Finds libopus and opens it.

Nothing beyond `pip install` is needed: PyAV's wheel (the dependency `av`) carries a libopus, in a folder beside the
package; it is opened by its path, without importing PyAV, which would cost a tenth of a second and 30 MB. Where PyAV
was built against the system's libraries there is no such folder, and the system's libopus is opened by its name.

The library is called through cffi in its ABI mode: the declarations below are all that is compiled, when this module is
imported, in under a millisecond. cffi releases Python's global lock during each call.

Source: the API documentation of libopus (opus.h, opus_defines.h), stable since 1.0.
"""

import functools
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from cffi import FFI

__all__ = ["CData", "Libopus", "OpusUnavailable", "candidates", "ffi", "open_libopus"]

ffi = FFI()

if TYPE_CHECKING:
    CData: TypeAlias = FFI.CData
else:
    CData = ffi.CData
"""A C value: a pointer, a buffer."""

# PCM is `const char *` and not `const opus_int16 *` where it is only read: cffi then passes the memory of a `bytes`
# as it is. libopus wants it aligned to two bytes; CPython aligns a `bytes` to at least eight.
ffi.cdef(
    """
    const char *opus_get_version_string(void);
    const char *opus_strerror(int error);

    void *opus_encoder_create(int32_t rate, int channels, int application, int *error);
    void opus_encoder_destroy(void *encoder);
    int32_t opus_encode(void *encoder, const char *pcm, int samples, unsigned char *payload, int32_t size);
    int opus_encoder_ctl(void *encoder, int request, ...);

    void *opus_decoder_create(int32_t rate, int channels, int *error);
    void opus_decoder_destroy(void *decoder);
    int opus_decode(void *decoder, const char *payload, int32_t size, int16_t *pcm, int samples, int is_fec);
    int opus_decoder_ctl(void *decoder, int request, ...);
    """
)


class Libopus(Protocol):
    """The functions of libopus that are used here, as cffi offers them. Negative results are errors."""

    def opus_get_version_string(self) -> CData:
        """Name the version, such as "libopus 1.6.1"."""

    def opus_strerror(self, error: int) -> CData:
        """Put an error into words."""

    def opus_encoder_create(self, rate: int, channels: int, application: int, error: CData) -> CData:
        """Make an encoder."""

    def opus_encoder_destroy(self, encoder: CData) -> None:
        """Free it."""

    def opus_encode(self, encoder: CData, pcm: bytes, samples: int, payload: CData, size: int) -> int:
        """Encode, and return the length of the payload in bytes."""

    def opus_encoder_ctl(self, encoder: CData, request: int, value: CData) -> int:
        """Set or ask something."""

    def opus_decoder_create(self, rate: int, channels: int, error: CData) -> CData:
        """Make a decoder."""

    def opus_decoder_destroy(self, decoder: CData) -> None:
        """Free it."""

    def opus_decode(
        self, decoder: CData, payload: bytes | CData, size: int, pcm: CData, samples: int, is_fec: int
    ) -> int:
        """Decode, and return how many samples came out."""

    def opus_decoder_ctl(self, decoder: CData, request: int, value: CData) -> int:
        """Set or ask something."""


class OpusUnavailable(Exception):  # noqa: N818 - named for what happened, like an HTTP reason
    """There is no libopus to be found; the text says where it was looked for, and what to install."""


@functools.cache
def open_libopus() -> Libopus:
    """Open the first libopus that opens; later calls return the same.

    cffi opens it with RTLD_NOW and without RTLD_GLOBAL: its symbols stay to themselves, and another libopus in the
    process, such as PyAV's own, is not disturbed.

    Raises:
        OpusUnavailable: there is none.
    """
    if sys.byteorder != "little":
        raise OpusUnavailable("audio needs a little-endian machine: PCM is handed to libopus as it is")
    problems = []
    for name in candidates():
        try:
            library = ffi.dlopen(name)
        except OSError as problem:
            problems.append(str(problem))
        else:
            return cast("Libopus", library)
    raise OpusUnavailable(
        "libopus was not found. `pip install --only-binary av av` brings one, and so does the system's package "
        f"(libopus0 on Debian, opus on Fedora and Homebrew). Tried: {'; '.join(problems)}"
    )


def candidates() -> Iterator[str]:
    """Name what may be libopus: paths inside PyAV's wheel, then names that the system's loader knows."""
    found = importlib.util.find_spec("av")
    for package in (found.submodule_search_locations or []) if found is not None else []:
        # Where the wheels' repair tools put libraries: auditwheel and delvewheel beside the package, delocate in it.
        for folder in (Path(package).parent / "av.libs", Path(package) / ".dylibs"):
            yield from map(str, sorted(folder.glob("libopus[-.]*")))
    yield from {"darwin": ("libopus.0.dylib",), "win32": ("opus.dll", "libopus-0.dll")}.get(
        sys.platform, ("libopus.so.0",)
    )
