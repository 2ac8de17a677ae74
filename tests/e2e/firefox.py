"""Drives the system's Firefox over Marionette, the protocol below geckodriver: JSON after its length, over TCP.

Playwright's own BiDi driver refuses Debian's Firefox ESR, and geckodriver is no Debian package; what the tests need
of either is less than a page.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PREFERENCES = {
    "marionette.port": 0,  # any free one; Firefox writes it into its profile
    "media.navigator.streams.fake": True,  # the microphone is a tone of 1 kHz
    "media.navigator.permission.disabled": True,
    "media.cubeb.force_null_context": True,  # no sound output, on machines that have one too
}


class Firefox:
    """A headless Firefox with one session.

    Args:
        profile: an empty folder; nothing outside it is written.
    """

    def __init__(self, profile: Path) -> None:
        executable = shutil.which("firefox-esr") or shutil.which("firefox")
        assert executable, "the system's Firefox is missing: `make test` installs it from Debian's packages"
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
        (profile / "user.js").write_text("".join(lines))
        with (profile / "firefox.log").open("wb") as log:
            self._process = subprocess.Popen(
                # The last flag is for set_preference.
                [
                    executable,
                    "--headless",
                    "--no-remote",
                    "--profile",
                    profile,
                    "--marionette",
                    "--remote-allow-system-access",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "HOME": str(profile)},
            )
        try:
            self._socket = socket.create_connection(("127.0.0.1", self._read_port(profile)), timeout=20)
            self._replies = self._socket.makefile("rb")
            self._read()  # its greeting
            self.call("WebDriver:NewSession")
        except BaseException:
            self._process.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.call("Marionette:Quit", flags=["eForceQuit"])
            self._process.wait(timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
        finally:
            self._socket.close()

    def set_preference(self, name: str, number: int) -> None:
        """Set one for the connections that are made from now on."""
        self.call("Marionette:SetContext", value="chrome")
        self.run("Services.prefs.setIntPref(...args)", name, number)
        self.call("Marionette:SetContext", value="content")

    def open(self, url: str) -> None:
        self.call("WebDriver:Navigate", url=url)

    def run(self, script: str, *arguments: object) -> Any:
        """Run the body of an async function in the page, and return what it returns."""
        body = f"return (async (...args) => {{ {script} }})(...arguments)"
        return self.call("WebDriver:ExecuteScript", script=body, args=arguments, sandbox=None)["value"]

    def click(self, selector: str) -> None:
        found = self.call("WebDriver:FindElement", using="css selector", value=selector)["value"]
        self.call("WebDriver:ElementClick", id=next(iter(found.values())))

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(args[0]).innerText", selector))

    def close_tab(self) -> None:
        """Close the tab, and go on in another: with its last one Firefox would close itself."""
        another = self.call("WebDriver:NewWindow", type="tab")["handle"]
        self.call("WebDriver:CloseWindow")
        self.call("WebDriver:SwitchToWindow", handle=another)

    def call(self, command: str, **parameters: object) -> Any:
        """Send a command and wait for its reply: [0, id, command, parameters], [1, id, error, result]."""
        message = json.dumps([0, 1, command, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(message), message))
        _, _, error, result = self._read()
        assert error is None, f"{command}: {error['error']}: {error['message']}"
        return result

    def _read(self) -> Any:
        length = b""
        while (character := self._replies.read(1)) != b":":
            assert character, "Firefox has closed the connection"
            length += character
        return json.loads(self._replies.read(int(length)))

    def _read_port(self, profile: Path) -> int:
        path = profile / "MarionetteActivePort"
        deadline = time.monotonic() + 30
        while not (path.exists() and path.read_text()):
            assert self._process.poll() is None, (profile / "firefox.log").read_text(errors="replace")
            assert time.monotonic() < deadline, "Firefox did not open its port for us"
            time.sleep(0.05)
        return int(path.read_text())
