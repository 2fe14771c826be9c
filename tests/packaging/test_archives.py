"""What is in the archives that a user installs, and what happens where there is no compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("hal", "controller", "sim_hw")
SOURCES = (*PACKAGES, "firmware", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")
MAIN = [sys.executable, "-c", "from controller.cli import main; main()"]


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with source archive, wheel made from it without a compiler, and the wheel unpacked."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("archives")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.o"))
        else:
            shutil.copy(source, tree / name)
    environment = {**os.environ, "CC": "/no/such/compiler", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(tree)]
    built = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    with zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
        wheel.extractall(out / "unpacked")
    return out


def test_the_wheel_holds_every_file_of_the_packages(archives: Path) -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix not in {".so", ".o"}:
                assert (archives / "unpacked" / path.relative_to(ROOT)).is_file(), path


def test_the_wheel_holds_nothing_else(archives: Path) -> None:
    tops = {path.name for path in (archives / "unpacked").iterdir() if not path.name.endswith(".dist-info")}
    assert tops == set(PACKAGES)


def test_the_source_archive_holds_the_whole_firmware(archives: Path) -> None:
    with tarfile.open(next(archives.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for path in (ROOT / "firmware").rglob("*.[ch]"):
        assert str(path.relative_to(ROOT)) in names


def test_without_a_compiler_all_but_the_emulated_board_works(archives: Path, tmp_path: Path) -> None:
    unpacked = archives / "unpacked"
    assert not list(unpacked.rglob("_beamboard*"))
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}

    def boresight(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MAIN, *words], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    rig = unpacked / "controller" / "data" / "rigs" / "ogs.toml"
    assert boresight("rig", "check", str(rig)).returncode == 0
    told = boresight("demo", "--out", "out")
    assert told.returncode == 1
    assert told.stdout == ""
    assert told.stderr.count("\n") == 1
    assert "the firmware was not built" in told.stderr
    assert "install a C compiler" in told.stderr
    assert list(tmp_path.iterdir()) == []
