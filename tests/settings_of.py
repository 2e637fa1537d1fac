"""``config/settings.py`` as it would be with other variables, in this process."""

from __future__ import annotations

import importlib.util
import os
import re
from types import ModuleType
from unittest.mock import patch

from tests.services.salas import ROOT

SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
ROW = re.compile(r"^\| (`[A-Z_…]+`(?:, `[A-Z_…]+`)*) \|", re.MULTILINE)


def documented() -> set[str]:
    """The variables in README's table; ``…`` at the end of a name stands for many."""
    _, table = (ROOT / "README.md").read_text().split("| variable | default | |", 1)
    return {name for row in ROW.findall(table) for name in re.findall(r"`([A-Z_…]+)`", row)}


def settings_with(**variables: str) -> ModuleType:
    """Of a developer's own variables and ``.env`` nothing counts. Raises ImproperlyConfigured."""
    spec = importlib.util.spec_from_file_location("config.settings_of_a_test", ROOT / "config/settings.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    families = tuple(name.removesuffix("…") for name in documented() if name.endswith("…"))
    others = {name: value for name, value in os.environ.items() if not name.startswith(families)}
    unset = {name: "" for name in documented() if not name.endswith("…")}
    environment = others | unset | {"SECRET_KEY": SECRET} | variables
    with (
        patch.dict(os.environ, environment, clear=True),
        patch("config.environment.settings_in", return_value={}),
    ):
        spec.loader.exec_module(module)
    return module
