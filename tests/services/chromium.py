"""A Chromium for the tests. ``python -m tests.services.chromium`` provides one, or says what mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

from tests.services.packages import attempt, install_package
from tests.services.service import ServiceError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MENDING = (
    "no Chromium for the tests: `sudo apt-get install chromium` (Debian), `sudo dnf install chromium` (Fedora) or "
    "`.venv/bin/playwright install --with-deps chromium` brings one; CHROMIUM=/path/to/it names one"
)
ARGUMENTS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find() -> str:
    """Return the first Chromium that runs here."""
    for program in candidates():
        if runs(program):
            return program
    raise ServiceError(MENDING)


def candidates() -> Iterator[str]:
    if chosen := os.environ.get("CHROMIUM"):
        yield chosen
        return
    yield from filter(None, map(shutil.which, NAMES))
    yield playwrights_own()


def playwrights_own() -> str:
    """Return where Playwright would put its own, whether or not it is there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def runs(program: str) -> bool:
    """Ask for its version: Ubuntu's ``chromium-browser`` is a stub, and Playwright's may lack libraries."""
    try:
        return subprocess.run([program, "--version"], capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def install() -> None:
    """Try what needs no question: Playwright's download, then Debian's package where we are root."""
    if attempt([sys.executable, "-m", "playwright", "install", "chromium"]) and runs(playwrights_own()):
        return
    install_package("chromium")


def main() -> int:
    try:
        find()
    except ServiceError:
        print("Installing Chromium …", flush=True)
        install()
        try:
            find()
        except ServiceError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
