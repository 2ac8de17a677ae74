"""How the system's Chromium is started, for measurements and tests: it asks nobody outside of this machine."""

__all__ = ["MICROPHONE_FLAGS", "OFFLINE_FLAGS"]

OFFLINE_FLAGS = (
    "--no-sandbox",  # which root may not have
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

MICROPHONE_FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
"""A microphone that beeps, or plays a file that is named, and may be used; what is heard may sound at once."""
