"""`make audit`: what the product installs with, looked at offline, and asked about where a service can be reached.

Offline, and each of them fails the audit: a licence that is not permissive, a version below what is declared, a file
that is not what its package recorded, a package that nobody has locked (locked.txt), a version of which a weakness is
known (advisories.toml). Online: pip-audit, if it is installed; when it learns nothing, that is said, never passed over.
Writes build/sbom.json (CycloneDX 1.5) for a scan elsewhere. `audit.py freeze REPORT` writes locked.txt from
`pip install --dry-run --ignore-installed --report REPORT '.[station,sim,parquet,plates]'`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
PRODUCT, EXTRAS = "boresight", ("station", "sim", "parquet", "plates")
LOCKED, ADVISORIES, SBOM = HERE / "locked.txt", HERE / "advisories.toml", HERE.parent / "build" / "sbom.json"
PERMISSIVE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|PSF|PYTHON|ISC|Zlib|CC0|HPND|Unlicense|MIT-CMU|NumFOCUS)", re.IGNORECASE
)
COPYLEFT = re.compile(r"\b(A?GPL|LGPL|GNU|MPL|Mozilla|EUPL|CDDL|SSPL|CC-BY-SA|EPL)", re.IGNORECASE)
EXCEPTIONS = {"certifi": "MPL-2.0: a list of certificates, unchanged, which skyfield (emulated world, tests) asks for"}


def closure(product: str = PRODUCT, extras: Iterable[str] = EXTRAS) -> tuple[dict[str, Distribution], list[str]]:
    """Every distribution that the product installs with, by canonical name, and what is missing or too old."""
    found: dict[str, Distribution] = {}
    problems: list[str] = []
    seen: set[tuple[str, str]] = set()
    waiting = [(product, extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            problems.append(f"{name} is not installed")
            continue
        found[name] = package
        for text in package.requires or []:
            wanted = Requirement(text)
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
                continue
            other = canonicalize_name(wanted.name)
            waiting += [(other, also) for also in ("", *wanted.extras)]
            problems += too_old(name, other, wanted.specifier)
    del found[product]
    return dict(sorted(found.items())), problems


def too_old(asker: str, name: str, wanted: SpecifierSet) -> list[str]:
    try:
        version = distribution(name).version
    except PackageNotFoundError:
        return []  # told where it is looked at
    return (
        [] if wanted.contains(version, prereleases=True) else [f"{asker} needs {name}{wanted}, {version} is installed"]
    )


def licence_of(package: Distribution) -> str:
    """What a package says of its licence: the expression, else its classifiers, else the first line of the field."""
    said = package.metadata
    classified = [line.rpartition(" :: ")[2] for line in said.get_all("Classifier") or [] if line.startswith("License")]
    return said.get("License-Expression") or ", ".join(classified) or (said.get("License") or "").partition("\n")[0]


def licence_problem(name: str, licence: str) -> str:
    if name in EXCEPTIONS or (PERMISSIVE.search(licence) and not COPYLEFT.search(licence)):
        return ""
    return f"{name}: its licence {licence[:60]!r} is not known to be permissive"


def altered_files(package: Distribution) -> list[str]:
    """Files that are not what the package recorded of them when it was built."""
    altered = []
    for file in package.files or []:
        if file.hash is None or file.suffix == ".pyc":
            continue
        path = Path(str(package.locate_file(file)))
        digest = hashlib.new(file.hash.mode, path.read_bytes()).digest() if path.is_file() else b""
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            altered.append(f"{package.metadata['Name']}: {file} is not what was built")
    return altered


def locked(text: str) -> dict[str, str]:
    """Name and version of every line of locked.txt."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) --hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE))


def known_weaknesses(versions: dict[str, str], advisories: dict[str, Any]) -> list[str]:
    """A sentence for every installed version that an advisory is about."""
    return [
        f"{one['package']} {versions[one['package']]} is affected by {one['id']} ({one['affected']}): {one['what']}"
        for one in advisories["advisory"]
        if one["package"] in versions and SpecifierSet(one["affected"]).contains(versions[one["package"]])
    ]


def asked(report: dict[str, Any], names: Iterable[str]) -> tuple[list[str], int]:
    """Weaknesses in pip-audit's answer, and of how many of our packages it knew anything."""
    ours = [one for one in report.get("dependencies", []) if canonicalize_name(one["name"]) in set(names)]
    told = [f"{one['name']} {one['version']}: {weak['id']}" for one in ours for weak in one.get("vulns", [])]
    return told, sum("vulns" in one for one in ours)


def ask_service(names: Iterable[str]) -> tuple[list[str], str]:
    """What pip-audit says now, and in one sentence how much that was."""
    command = [sys.executable, "-m", "pip_audit", "-f", "json", "--progress-spinner", "off", "--timeout", "5"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
        told, known = asked(json.loads(done.stdout), names)
    except (ValueError, subprocess.TimeoutExpired):
        return [], "NOT ASKED: pip-audit is not installed or reached no service; only advisories.toml was looked at"
    total = len(set(names))
    if not known:
        return told, f"NOT ASKED: the service knew none of {total} packages; only advisories.toml was looked at"
    return told, f"asked pip-audit: it knew {known} of {total} packages"


def sbom(packages: dict[str, Distribution]) -> dict[str, Any]:
    """CycloneDX 1.5."""
    components = [
        {
            "type": "library",
            "name": name,
            "version": package.version,
            "purl": f"pkg:pypi/{name}@{package.version}",
            "licenses": [{"license": {"name": licence_of(package)}}],
        }
        for name, package in packages.items()
    ]
    product = {"type": "application", "name": PRODUCT, "version": distribution(PRODUCT).version}
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": product},
            "components": components}  # fmt: skip


def freeze(report: dict[str, Any]) -> str:
    """locked.txt from pip's report of an installation."""
    lines = [
        f"{canonicalize_name(item['metadata']['name'])}=={item['metadata']['version']} "
        f"--hash=sha256:{item['download_info']['archive_info']['hashes']['sha256']}"
        for item in report["install"]
        if canonicalize_name(item["metadata"]["name"]) != PRODUCT
    ]
    return "\n".join(sorted(lines)) + "\n"


def audit() -> int:
    """Print what was found; 1 when anything is wrong."""
    packages, problems = closure()
    versions = {name: package.version for name, package in packages.items()}
    for name, package in packages.items():
        problems += [why for why in [licence_problem(name, licence_of(package))] if why] + altered_files(package)
    frozen, advisories = locked(LOCKED.read_text()), tomllib.loads(ADVISORIES.read_text())
    problems += [f"{name} is installed and not in .ci/{LOCKED.name}: look at it" for name in versions.keys() - frozen]
    problems += known_weaknesses(versions, advisories)
    told, how = ask_service(versions)
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(json.dumps(sbom(packages), indent=1) + "\n")
    moved = [f"{name} {frozen[name]} -> {now}" for name, now in versions.items() if frozen.get(name, now) != now]
    print(f"{len(packages)} packages; advisories known on {advisories['date']}; {how}")
    print(f"not the locked version: {', '.join(moved) or 'none'}")
    for problem in problems + told:
        print(f"audit: {problem}")
    return 1 if problems or told else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["freeze"]:
        LOCKED.write_text(freeze(json.loads(Path(sys.argv[2]).read_text())))
    else:
        raise SystemExit(audit())
