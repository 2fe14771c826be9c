"""Key files: made for their owner alone, and refused as soon as anybody else could have touched them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
import zmq
from hand_clock import HandClock
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner
from zmq.utils.z85 import Z85CHARS

from controller.bus.keys import KeyFileError, listed, make_key, make_station_key, own_key, read_key
from controller.bus.security import FILES_NS, AllowList, client_security, station_security
from controller.cli.keys import app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    make_station_key(made)
    make_key(made, "anna", "operator")
    return made


def boresight_keys(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, KeyFileError):
        return 1, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_every_file_of_a_key_is_readable_by_its_owner_alone(folder: Path) -> None:
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "anna.public": 0o600,
        "anna.secret": 0o600,
        "station.public": 0o600,
        "station.secret": 0o600,
    }
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_key_is_a_pair_and_its_public_half_holds_no_secret(folder: Path) -> None:
    key = own_key(folder)
    assert zmq.curve_public(key.secret) == key.public
    public = read_key(folder / "anna.public")
    assert (public.public, public.secret, public.role) == (key.public, b"", "operator")
    assert key.secret.decode() not in (folder / "anna.public").read_text()
    assert key.secret.decode() not in repr(key)


@pytest.mark.parametrize("name", ["anna.public", "anna.secret", "station.secret"])
@pytest.mark.parametrize("mode", [0o644, 0o620, 0o604])
def test_a_file_that_others_can_reach_is_refused_with_the_command_that_mends_it(
    folder: Path, name: str, mode: int
) -> None:
    (folder / name).chmod(mode)
    with pytest.raises(KeyFileError, match=f"chmod 600 .*{name}"):
        read_key(folder / name)
    code, told = boresight_keys("check", "--folder", str(folder))
    assert (code, name in told) == (1, True)


def test_a_folder_that_others_may_write_to_is_refused(folder: Path) -> None:
    folder.chmod(0o770)
    for use in (listed, own_key, station_security, client_security):
        with pytest.raises(KeyFileError, match="others may add keys"):
            use(folder)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('role = "operator"', 'role = "emperor"'),
        ('role = "operator"', 'role = "station"'),
        ('name = "anna"', 'name = "boss"'),
        ("public = ", "public = 3 #"),
        ("public = ", "= "),
    ],
)
def test_a_damaged_file_is_named(folder: Path, was: str, becomes: str) -> None:
    for name in ("anna.public", "anna.secret"):
        text = (folder / name).read_text()
        assert was in text
        (folder / name).write_text(text.replace(was, becomes))
        with pytest.raises(KeyFileError, match=name):
            read_key(folder / name)


def test_halves_of_two_pairs_are_refused(folder: Path) -> None:
    other = make_key(folder, "bob", "observer")
    text = (folder / "anna.secret").read_text()
    (folder / "anna.secret").write_text(text.replace(own_key(folder, "anna").public.decode(), other.public.decode()))
    with pytest.raises(KeyFileError, match="another pair"):
        own_key(folder, "anna")


@pytest.mark.parametrize("name", ["", "Anna", "../anna", "a b", "x" * 33, "safety", "station"])
def test_a_name_that_is_none_or_that_of_a_service_makes_no_key(folder: Path, name: str) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(KeyFileError):
        make_key(folder, name, "operator")
    assert sorted(folder.iterdir()) == before


def test_a_key_is_never_overwritten(folder: Path) -> None:
    before = (folder / "anna.secret").read_bytes()
    with pytest.raises(KeyFileError, match="delete both files"):
        make_key(folder, "anna", "supervisor")
    assert (folder / "anna.secret").read_bytes() == before


def test_which_key_is_meant_is_asked_when_there_are_several_or_none(folder: Path) -> None:
    make_key(folder, "bob", "observer")
    with pytest.raises(KeyFileError, match=r"2 secret keys \(anna, bob\)"):
        own_key(folder)
    assert own_key(folder, "bob").role == "observer"
    with pytest.raises(KeyFileError, match="does not exist"):
        own_key(folder, "carl")


def test_a_deleted_file_ends_its_owners_rights_at_once_and_a_new_one_begins_them(folder: Path) -> None:
    allowed, anna = AllowList(folder), own_key(folder)
    assert allowed.find(anna.public) == anna.principal
    (folder / "anna.public").unlink()
    assert allowed.find(anna.public) is None
    bob = make_key(folder, "bob", "observer")
    assert allowed.find(bob.public) == bob.principal
    folder.chmod(0o777)
    make_key(folder, "carl", "observer")
    assert allowed.find(bob.public) is None, "a folder that others may write to lists nobody"


@pytest.mark.parametrize("change", ["another role", "open to others", "damaged"])
def test_a_file_that_is_changed_in_place_changes_its_owners_rights_within_a_quarter_of_a_second(
    folder: Path, change: str
) -> None:
    clock = HandClock()
    allowed, anna = AllowList(folder, clock), own_key(folder)
    assert allowed.find(anna.public) == anna.principal
    file, epoch = folder / "anna.public", allowed.epoch
    if change == "open to others":
        file.chmod(0o644)
    else:
        was, becomes = ("operator", "observer") if change == "another role" else (anna.public.decode(), "#" * 40)
        file.write_text(file.read_text().replace(was, becomes))
    clock.t_ns += FILES_NS
    found = allowed.find(anna.public)
    assert (found.role if found else "") == ("observer" if change == "another role" else "")
    assert allowed.epoch is not epoch


@given(public=st.text(alphabet=[chr(code) for code in Z85CHARS], min_size=40, max_size=40))
@example(public="#" * 40)
def test_whatever_stands_in_a_file_is_a_key_or_refused(public: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A group of five of Z85's characters may be more than 32 bits."""
    file = tmp_path_factory.mktemp("keys") / "zoe.public"
    file.touch(0o600)
    file.write_text(f"name = 'zoe'\nrole = 'observer'\npublic = '{public}'\n")
    with suppress(KeyFileError):
        assert read_key(file).public == public.encode()


def test_the_command_makes_lists_and_checks_keys(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    code, told = boresight_keys("make", "anna", "--role", "supervisor", "--folder", str(folder), "--json")
    made = json.loads(told)["made"]
    assert (code, [(key["name"], key["role"]) for key in made]) == (0, [("station", "station"), ("anna", "supervisor")])
    assert "secret" not in told.replace(str(folder), "")
    assert boresight_keys("make", "bob", "--role", "observer", "--folder", str(folder))[0] == 0
    found = json.loads(boresight_keys("list", "--folder", str(folder), "--json")[1])["keys"]
    assert [(key["name"], key["role"]) for key in found] == [
        ("anna", "supervisor"),
        ("bob", "observer"),
        ("station", "station"),
    ]
    assert "bob" in boresight_keys("list", "--folder", str(folder))[1]
    assert boresight_keys("check", "--folder", str(folder))[0] == 0
    (folder / "bob.public").chmod(0o644)
    (folder / "station.public").unlink()
    code, told = boresight_keys("check", "--folder", str(folder), "--json")
    report = json.loads(told)
    assert (code, report["ok"], len(report["problems"])) == (1, False, 2)
    assert boresight_keys("list", "--folder", str(folder / "none"))[0] == 1


def test_a_key_that_is_made_while_somebody_looks_is_let_in_at_once(tmp_path: Path) -> None:
    """As libzmq does not knock again. Its file is empty for a moment, and filled in the same tick of the clock."""
    source, folder = tmp_path / "source", tmp_path / "keys"
    make_station_key(folder)
    allowed = AllowList(folder)
    for number in range(50):
        key = make_key(source, f"guest{number}", "operator")
        path = folder / f"guest{number}.public"
        path.touch(mode=0o600)
        allowed.look()
        path.write_bytes((source / path.name).read_bytes())
        assert allowed.find(key.public) == key.principal
