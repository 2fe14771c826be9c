from __future__ import annotations

import importlib.util

import pytest


@pytest.fixture
def devices(pytestconfig: pytest.Config):
    path = pytestconfig.rootpath / "docs" / "devices.py"
    spec = importlib.util.spec_from_file_location("devices_page", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_devices_is_made_from_what_the_tests_run(devices) -> None:
    assert devices.PAGE.read_text(encoding="utf-8") == devices.page(), "make it anew: python docs/devices.py"


def test_every_driver_names_a_stranger_whose_test_exists_or_is_listed_without(devices) -> None:
    assert set(devices.STRANGERS) == set(devices.DRIVERS)
    for driver, strangers in devices.STRANGERS.items():
        assert bool(strangers) == (driver not in devices.WITHOUT_STRANGER)
        for test in strangers.values():
            assert (devices.ROOT / "tests" / test).is_file(), test
