"""A real browser, spoken to over two pipes: what a page logs, what it asks the network for, and what it is like."""

from __future__ import annotations

import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--hide-scrollbars",
    "--remote-debugging-pipe", "--window-size=1280,900",
)  # fmt: skip


def found() -> str:
    """The browser's program. In CI its absence is a failure, elsewhere a skip that says so."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium to open the HTML report with")
    return str(program)


# The browser reads from 3 and writes to 4; a shell's redirections would not take our pipes' numbers beyond 9.
_PLUMBING = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 64) for end in sys.argv[1:3]]
for place, end in zip((3, 4), ends):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Page:
    """One page. `errors` are what it logs as such or throws, `requests` every address it asks for."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write, self._held = read, write, b""
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._events: set[str] = set()
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for part in ("Runtime", "Log", "Network", "Page"):
            self.call(f"{part}.enable")

    def open(self, path: Path) -> None:
        """Load a file and wait until it is there."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        end = time.monotonic() + 60
        while "Page.loadEventFired" not in self._events and time.monotonic() < end:
            self._next()
        assert "Page.loadEventFired" in self._events

    def run(self, script: str) -> Any:
        """What an expression is worth on the page."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def point(self, x: float, y: float) -> None:
        """Move the pointer."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def call(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._read], [], [], 60)
            assert ready, "the browser does not answer"
            more = os.read(self._read, 1 << 20)
            assert more, "the browser is gone"
            self._held += more
        text, _, self._held = self._held.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, params: dict[str, Any]) -> None:
        self._events.add(event)
        if event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"])[:500])
        elif event == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(json.dumps(params["args"])[:500])
        elif event == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])


@contextmanager
def page(profile: Path) -> Iterator[Page]:
    """A browser with one page, its settings in an empty folder."""
    program = found()
    to_browser, to_us = os.pipe(), os.pipe()
    ends = (str(to_browser[0]), str(to_us[1]))
    command = [sys.executable, "-c", _PLUMBING, *ends, program, *FLAGS, f"--user-data-dir={profile}"]
    with subprocess.Popen(command, pass_fds=(to_browser[0], to_us[1]), stderr=subprocess.DEVNULL) as running:
        os.close(to_browser[0])
        os.close(to_us[1])
        try:
            yield Page(to_us[0], to_browser[1])
        finally:
            running.kill()
            os.close(to_us[0])
            os.close(to_browser[1])
