"""What tests against other people's clients share: a mount to talk to, and how to find somebody else's program."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import pytest
from mount_on_pty import mount as mount


@pytest.fixture
def program() -> Callable[[str, str], str]:
    """Path of a program, or a failure that names its Debian package: a stranger that is not there proves nothing."""

    def find(name: str, package: str) -> str:
        path = shutil.which(name)
        if path is None:
            pytest.fail(f"{name} is not installed: apt-get install {package}")
        return path

    return find


@pytest.fixture(scope="session")
def package() -> Callable[[str], ModuleType]:
    """A module of somebody's package, or a failure that says what installs it: imported here, most runs do without."""

    def find(module: str) -> ModuleType:
        try:
            return import_module(module)
        except ModuleNotFoundError as error:
            pytest.fail(f"{error.name} is not installed: make strangers")

    return find
