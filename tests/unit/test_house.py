"""Rules of the house that a reader relies on and a reviewer would otherwise have to remember."""

import re
import subprocess
from pathlib import Path

import pytest

from foundation.settings import Settings
from popreel import settings_reference

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("edge", "origin", "packager", "inference", "cdn_router", "control_plane", "foundation", "popreel")
NAMELESS = {"utils.py", "util.py", "common.py", "helpers.py", "base.py", "misc.py"}
MAX_LINES = 450
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def tracked() -> list[str]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout: an archive holds only tracked files anyway")
    return [name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_the_settings_reference_is_what_the_classes_say() -> None:
    assert settings_reference.DOCUMENT.read_text() == settings_reference.render(), (
        "run `python -m popreel.settings_reference`"
    )


def test_every_knob_says_what_it_is() -> None:
    rows = [line for line in settings_reference.render().splitlines() if line.startswith("| `")]
    assert rows
    assert not [row for row in rows if row.rstrip().endswith("|  |")]


def test_every_settings_class_is_in_the_reference() -> None:
    def leaves(kind: type[Settings]) -> set[type[Settings]]:
        return {sub for child in kind.__subclasses__() for sub in ({child} | leaves(child))}

    services = {kind for kind in leaves(Settings) if kind.__module__.split(".")[0] in PACKAGES}
    assert services == set(settings_reference.CLASSES)


def test_modules_have_subjects_docstrings_and_a_readable_size() -> None:
    assert not [path for path in SOURCES if path.name in NAMELESS]
    assert not [path for path in SOURCES if len(path.read_text().splitlines()) > MAX_LINES]
    empty = {path for path in SOURCES if not path.read_text().strip()}
    assert not [path for path in SOURCES if path not in empty and not path.read_text().lstrip().startswith('"""')]


def test_every_package_tells_what_it_is_for() -> None:
    assert not [name for name in PACKAGES if '"""' not in (ROOT / name / "__init__.py").read_text()]


def test_no_commit_names_a_registry_or_a_machine() -> None:
    hosts = (("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs"), ("npmjs", "org/"))
    places = (("", "root", "."), ("", "work", "main"), ("", "opt", "pypi"))
    words = [".".join(host) for host in hosts] + ["/".join(place) for place in places]
    forbidden = re.compile("|".join(map(re.escape, words)))
    named = [
        name
        for name in tracked()
        if Path(name).suffix not in (".png", ".webp", ".onnx", ".npz")
        if forbidden.search((ROOT / name).read_text(errors="replace"))
    ]
    assert not named


def test_the_lock_files_hold_hashes_and_no_addresses() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^[A-Za-z0-9_.\[\]-]+==", lock, re.MULTILINE)
    assert len(pins) > 50
    assert lock.count("--hash=sha256:") >= len(pins)
    assert "://" not in lock
    web_lock = ROOT / "web" / "package-lock.json"
    assert '"resolved"' not in web_lock.read_text()
    assert '"integrity"' in web_lock.read_text()


def test_links_in_the_docs_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not dead


def test_a_decision_has_a_number_of_its_own() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "decisions").glob("*.md")]
    assert sorted(numbers) == sorted(set(numbers))


def test_tests_read_every_answer_to_its_end() -> None:
    """An answer left open fails whatever test runs when the collector finds it: see tests/http_client.py."""
    kept = re.compile(r"ClientSession\([\s\S]*await [\w.]*(http|session|viewer)\.(get|post|put|patch|delete|head)\(")
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path.name not in ("http_client.py", "test_house.py")]
    careless = [path for path in tests if "TestClient(" in (text := path.read_text()) or kept.search(text)]
    assert not careless, "use client_of and open_session, or `async with` for each request"


def test_large_files_are_not_committed() -> None:
    assert not [name for name in tracked() if (ROOT / name).stat().st_size > 1_000_000]
