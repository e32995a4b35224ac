"""The command as scripts meet it: exit codes, stdout and stderr, without a running platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from popreel.embedded.ports import free_ports
from popreel.launcher.instance import claim
from popreel.launcher.layout import DataFolder


def popreel(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command in `folder` with its data in `folder`/data."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("POPREEL_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "popreel", *arguments],
        cwd=folder,
        env={**clean, "POPREEL_DATA_DIR": str(folder / "data"), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


@pytest.mark.parametrize("command", [("status",), ("token", "ana"), ("upload", "clip.mp4"), ("demo",)])
def test_commands_that_need_the_platform_say_how_to_start_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = popreel(tmp_path, *command)
    assert result.returncode == 1
    assert "popreel up --detach" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("environ", "word"),
    [({"POPREEL_PORT_BASE": "80"}, "port_base"), ({"POPREEL_PLATFORM__COLOUR": "red"}, "colour")],
)
def test_unusable_settings_name_the_knob(tmp_path: Path, environ: dict[str, str], word: str) -> None:
    result = popreel(tmp_path, "status", **environ)
    assert result.returncode == 2
    assert word in result.stderr
    assert "Traceback" not in result.stderr


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = popreel(tmp_path, "--config", "absent.toml", "status")
    assert (result.returncode, "absent.toml" in result.stderr) == (2, True)


def test_popreel_toml_of_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "popreel.toml").write_text("[platform]\nport_base = 80\n")
    result = popreel(tmp_path, "status")
    assert (result.returncode, "port_base" in result.stderr) == (2, True)


def test_bringing_down_what_does_not_run_is_no_error(tmp_path: Path) -> None:
    assert popreel(tmp_path, "down").returncode == 0


def test_wipe_removes_our_folder_and_refuses_any_other(tmp_path: Path) -> None:
    claim(DataFolder(root=tmp_path / "data"))
    assert popreel(tmp_path, "down", "--wipe").returncode == 0
    assert not (tmp_path / "data").exists()

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    refused = popreel(tmp_path, "down", "--wipe")
    assert (refused.returncode, "not made by popreel" in refused.stderr) == (1, True)
    assert (tmp_path / "data" / "thesis.txt").read_text() == "mine"
    started = popreel(tmp_path, "up", "--detach")
    assert (started.returncode, "POPREEL_DATA_DIR" in started.stderr) == (1, True)


def test_doctor_reports_every_subject_and_a_taken_port(tmp_path: Path) -> None:
    base = free_ports(1)[0]
    healthy = popreel(tmp_path, "doctor", "--json", POPREEL_PORT_BASE=str(base))
    findings = {finding["subject"]: finding for finding in json.loads(healthy.stdout)}
    assert {"system", "Python", "Postgres", "Valkey", "object store", "ports", "disk"} <= findings.keys()
    assert all(finding["remedy"] for finding in findings.values() if finding["verdict"] != "fine")

    missing = popreel(tmp_path, "doctor", PG_BIN="/nowhere", POPREEL_PORT_BASE=str(base))
    assert missing.returncode == 1
    assert "Postgres: not found" in missing.stdout
    assert "PG_BIN" in missing.stdout


def test_a_file_that_does_not_exist_cannot_be_packaged(tmp_path: Path) -> None:
    result = popreel(tmp_path, "package", "absent.mp4", "out")
    assert (result.returncode, "absent.mp4" in result.stderr) == (2, True)


def test_a_file_that_is_no_video_cannot_be_packaged(tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_bytes(b"Dear Sir or Madam, " * 1000)
    result = popreel(tmp_path, "package", "letter.mp4", "out")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("popreel: ")


def test_simulated_viewers_are_played_and_drawn(tmp_path: Path) -> None:
    result = popreel(tmp_path, "simulate", "--seeds", "1", "--viewers", "10", "--html", "page.html")
    assert result.returncode == 0, result.stderr
    for expected in ("first_ten", "satisfaction after so many videos of a viewer", "ours - first version"):
        assert expected in result.stdout
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("<svg") == 10
    assert "ours without exploration" in page
