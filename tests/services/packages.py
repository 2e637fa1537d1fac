"""Packages of the machine's own system, for what no wheel brings: Debian's, and only where no question is asked."""

from __future__ import annotations

import os
import shutil
import subprocess

INSTALL_SECONDS = 300


def install_package(name: str) -> None:
    """Try Debian's package where we are root; whether that brought anything, the caller finds out."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        attempt(["apt-get", "update", "-qq"])
        attempt(["apt-get", "install", "-y", "-qq", "--no-install-recommends", name])


def attempt(command: list[str]) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
