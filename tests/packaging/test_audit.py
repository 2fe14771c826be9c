"""The audit of dependencies can fail: every kind of trouble, made on purpose, is told; none is told of what is good."""

from __future__ import annotations

import importlib.util
import tomllib
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

CI = Path(__file__).parents[2] / ".ci"
spec = importlib.util.spec_from_file_location("audit", CI / "audit.py")
assert spec is not None
assert spec.loader is not None
audit: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(audit)


def test_an_installed_version_with_a_known_weakness_fails_the_audit() -> None:
    advisories = {"advisory": [{"package": "pillow", "id": "CVE-1", "affected": "<10.3", "what": "overflow"}]}
    (told,) = audit.known_weaknesses({"pillow": "10.2.0"}, advisories)
    assert told == "pillow 10.2.0 is affected by CVE-1 (<10.3): overflow"
    assert audit.known_weaknesses({"pillow": "10.3.0"}, advisories) == []
    assert audit.known_weaknesses({"numpy": "1.0"}, advisories) == []


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-or-later", "LGPLv3", "MPL-2.0", "MIT AND GPL-2.0-only", "Proprietary", ""]
)
def test_a_licence_that_is_not_permissive_fails_the_audit(licence: str) -> None:
    assert audit.licence_problem("some-package", licence)
    assert not audit.licence_problem("some-package", "Apache-2.0 OR BSD-3-Clause")


def test_a_file_that_was_changed_after_it_was_built_fails_the_audit(tmp_path: Path) -> None:
    package = audit.distribution("msgspec")
    metadata = Message()
    metadata["Name"] = "msgspec"
    assert audit.altered_files(package) == []
    (one,) = [file for file in package.files if str(file).endswith("msgspec/__init__.py")]
    changed = tmp_path / one
    changed.parent.mkdir()
    changed.write_bytes(one.read_binary() + b"\n")
    false = SimpleNamespace(files=[one], metadata=metadata, locate_file=lambda file: tmp_path / str(file))
    (told,) = audit.altered_files(false)
    assert "msgspec/__init__.py is not what was built" in told


def test_a_version_below_what_is_declared_fails_the_audit() -> None:
    (told,) = audit.too_old("boresight", "msgspec", audit.SpecifierSet(">=999"))
    assert "boresight needs msgspec>=999" in told
    assert audit.too_old("boresight", "msgspec", audit.SpecifierSet(">=0.1")) == []


def test_what_is_not_installed_is_told() -> None:
    with pytest.raises(KeyError):  # the product itself is not there either
        audit.closure("no-such-product", ())
    assert audit.closure()[1] == []


def test_a_service_that_knows_nothing_is_not_taken_for_a_clean_answer() -> None:
    skipped = {"dependencies": [{"name": "msgspec", "skip_reason": "not found"}]}
    assert audit.asked(skipped, ["msgspec"]) == ([], 0)
    weak = {"dependencies": [{"name": "MsgSpec", "version": "0.1", "vulns": [{"id": "CVE-1"}]}]}
    assert audit.asked(weak, ["msgspec"]) == (["MsgSpec 0.1: CVE-1"], 1)
    other = {"dependencies": [{"name": "ruff", "version": "0.1", "vulns": [{"id": "CVE-2"}]}]}
    assert audit.asked(other, ["msgspec"]) == ([], 0)


def test_every_package_that_the_product_installs_with_is_locked_with_its_hash_and_listed_for_a_scan() -> None:
    packages, _ = audit.closure()
    locked = audit.locked((CI / "locked.txt").read_text(encoding="utf-8"))
    assert packages.keys() <= locked.keys()
    assert {one["name"] for one in audit.sbom(packages)["components"]} == packages.keys()
    assert audit.locked("msgspec==1.0 --hash=sha256:12\n") == {}, "a line with half a hash counts for nothing"


def test_the_advisories_are_dated_and_whole() -> None:
    advisories = tomllib.loads((CI / "advisories.toml").read_text(encoding="utf-8"))
    assert advisories["date"]
    for one in advisories["advisory"]:
        assert one.keys() == {"package", "id", "affected", "what"}
        assert audit.SpecifierSet(one["affected"])
