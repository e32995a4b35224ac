"""The data folder: lock, marker, secrets, bounded logs."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from foundation.errors import SettingsError
from popreel.embedded.secret_file import read_or_make, write_private
from popreel.errors import AlreadyRunning, NotOurFolder
from popreel.launcher.instance import holder, instance_lock
from popreel.launcher.layout import DataFolder
from popreel.launcher.log_bounds import bound_logs
from popreel.launcher.secrets import load_or_make
from popreel.launcher.state_file import PlatformState, UnitState, read_state, write_state
from popreel.settings import platform_settings


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_one_supervisor_owns_a_folder_and_the_next_may_when_it_ended(tmp_path: Path) -> None:
    folder = DataFolder(root=tmp_path / "data")
    with instance_lock(folder):
        assert holder(folder.lock) == os.getpid()
        with pytest.raises(AlreadyRunning, match=str(os.getpid())), instance_lock(folder):
            pass
    assert holder(folder.lock) is None
    with instance_lock(folder):
        pass


def test_who_asks_at_the_same_time_is_not_taken_for_a_supervisor(tmp_path: Path) -> None:
    """`popreel down` would end the process that has the pid of the last supervisor by now."""
    folder = DataFolder(root=tmp_path / "data")
    with instance_lock(folder):
        pass
    with folder.lock.open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)  # as holder() does
        assert holder(folder.lock) is None


def test_a_folder_with_other_files_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(NotOurFolder, match="POPREEL_DATA_DIR"), instance_lock(DataFolder(root=tmp_path)):
        pass


def test_secrets_are_made_once_kept_private_and_completed_for_new_holders(tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    first = load_or_make(file, holders=("origin",))
    second = load_or_make(file, holders=("origin", "local-3"))
    assert _mode(file) == 0o600
    assert second.media_key == first.media_key
    assert second.service_keys["origin"] == first.service_keys["origin"]
    assert second.service_keys["local-3"] not in ("", first.service_keys["origin"])
    assert first.media_key not in repr(first)


def test_damaged_secrets_are_reported_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    file.write_text("[keys")
    with pytest.raises(SettingsError, match="damaged"):
        load_or_make(file, holders=())
    assert file.read_text() == "[keys"


def test_a_private_file_is_private_even_if_its_predecessor_was_not(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (_mode(file), file.read_text()) == (0o600, "new")
    assert read_or_make(file) == "new"


def test_logs_above_the_bound_are_rotated_while_their_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "origin.log"
    with log.open("a") as writer:
        writer.write("x" * 100)
        writer.flush()
        assert bound_logs(tmp_path, max_bytes=50) == [log]
        writer.write("after")
    assert (tmp_path / "origin.log.1").read_text() == "x" * 100
    assert log.read_text() == "after"


def test_the_state_file_survives_a_round_trip_and_nonsense_reads_as_none(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    state = PlatformState(supervisor_pid=7, units=[UnitState(name="origin", restarts=2)])
    write_state(file, state)
    assert read_state(file) == state
    file.write_text("{")
    assert read_state(file) is None
    assert read_state(tmp_path / "absent.json") is None


def test_short_variables_win_and_the_folder_becomes_absolute(tmp_path: Path) -> None:
    environ = {"POPREEL_PORT_BASE": "9080", "POPREEL_DATA_DIR": "x", "POPREEL_PLATFORM__WORKERS": "2"}
    settings = platform_settings(file=None, environ=environ)
    assert (settings.port_base, settings.workers) == (9080, 2)
    assert settings.data_dir == Path("x").absolute()


@pytest.mark.parametrize(("variable", "text"), [("POPREEL_PORT_BASE", "80"), ("POPREEL_PORT_BASE", "many")])
def test_a_port_base_out_of_bounds_names_the_knob(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match="port_base"):
        platform_settings(file=None, environ={variable: text})


def test_an_external_object_store_needs_its_keys() -> None:
    with pytest.raises(SettingsError, match="s3_access_key"):
        platform_settings(file=None, environ={"POPREEL_PLATFORM__S3_ENDPOINT": "http://s3"})
