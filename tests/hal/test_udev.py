"""The committed udev rules are what hal generates, and cover what hal and its emulators call themselves."""

from __future__ import annotations

import re

import pytest

from hal.drivers import DRIVERS
from hal.udev import rule, rules
from hal.usb_ids import USB_IDENTITIES, UsbIdentity
from sim_hw.devices import itc4000, pm100d, u3v

# One assignment or match of udev(7): KEY{attribute}OPERATOR"value"
TERM = re.compile(r'[A-Z_]+(\{[A-Za-z_/]+\})?(==|!=|=|\+=|:=)"[^"]*"')


def test_the_committed_rules_are_the_generated_ones(pytestconfig: pytest.Config) -> None:
    committed = (pytestconfig.rootpath / "udev/60-boresight.rules").read_text()
    assert committed == rules(), "run: python -m hal.udev > udev/60-boresight.rules"


@pytest.mark.parametrize("identity", USB_IDENTITIES, ids=lambda identity: identity.what)
def test_a_rule_is_terms_that_match_one_kind_of_device_and_open_it(identity: UsbIdentity) -> None:
    terms = rule(identity).split(", ")

    assert all(TERM.fullmatch(term) for term in terms)
    matched = {term.partition("==")[0] for term in terms if "==" in term}
    assert {"SUBSYSTEM", "ENV{ID_USB_INTERFACES}" if identity.interface else "idVendor"} <= {
        re.sub(r"ATTRS?\{(.*)\}", r"\1", key) for key in matched
    }
    assert 'MODE="0660"' in terms
    assert any(term.startswith("SYMLINK+=") for term in terms) == (identity.node == "tty")


def test_every_line_is_terms_and_no_device_may_be_suspended() -> None:
    lines = [line for line in rules().splitlines() if line and not line.startswith("#")]
    assert [term for line in lines for term in line.split(", ") if not TERM.fullmatch(term)] == []
    assert sum('ATTR{power/control}="on"' in line for line in lines) == len(USB_IDENTITIES)
    assert sum('ATTR{latency_timer}="1"' in line for line in lines) == 1


def test_every_driver_has_an_identity_and_every_identity_a_driver() -> None:
    # Older rotators, motor boards, stages and the SC10 hang at any serial adapter, and rotctld is a program.
    without = {"easycomm2", "easycomm3", "gs232a", "gs232b", "rot1prog", "rot2prog", "md01", "rotctld", "indi", "sc10"}
    without |= {"skywatcher", "lx200", "ioptron", "flir_ptu", "pelco_d", "alpaca"}
    without |= {"zaber", "gcs2", "gcs2_mirror", "xps"}
    assert {identity.driver for identity in USB_IDENTITIES} == set(DRIVERS) - without


def test_the_emulators_call_themselves_what_the_rules_expect() -> None:
    """An interface that the rules match is in the camera's own descriptor; the instruments' numbers are the table's."""
    known = {(identity.driver, identity.vendor, identity.product) for identity in USB_IDENTITIES}

    assert ("pm100d", pm100d.VENDOR, pm100d.PRODUCT) in known
    assert ("itc4000", itc4000.VENDOR, itc4000.PRODUCT) in known
    _, configuration = u3v._descriptors()
    interfaces = set()
    while configuration:
        length, kind = configuration[:2]
        if kind == 4:  # interface descriptor: class, subclass and protocol are its bytes 5 to 7 (USB 2.0, table 9-12)
            interfaces.add(configuration[5:8].hex())
        configuration = configuration[length:]
    assert {i.interface for i in USB_IDENTITIES if i.driver == "u3v"} <= interfaces


def test_no_two_rules_give_one_device_two_names() -> None:
    keys = [(i.vendor, i.product, i.interface) for i in USB_IDENTITIES]
    assert len(keys) == len(set(keys))


def test_the_links_are_the_ones_that_the_example_rig_names(pytestconfig: pytest.Config) -> None:
    example = (pytestconfig.rootpath / "controller/data/rigs/ogs.toml").read_text()
    for link in {identity.link for identity in USB_IDENTITIES if identity.node == "tty"}:
        assert f"serial:///dev/boresight/{link}" in example
