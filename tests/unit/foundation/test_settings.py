from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from msgspec import Meta

from foundation.errors import SettingsError
from foundation.settings import Secret, Settings, load, reference


class Sample(Settings, frozen=True, kw_only=True):
    """A sample."""

    section: ClassVar[str] = "sample"

    port: Annotated[int, Meta(ge=1, le=65535, description="Port.")] = 80
    key: Annotated[Secret, Meta(description="Key.")] = Secret("")
    folder: Annotated[Path, Meta(description="Folder.")] = Path("data")
    names: Annotated[tuple[str, ...], Meta(description="Names.")] = ()
    ratio: Annotated[float, Meta(description="Ratio.")] = 0.5
    on: Annotated[bool, Meta(description="Switch.")] = False


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_defaults_hold_without_file_and_environment() -> None:
    assert load(Sample, file=None, environ={}) == Sample()


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "s.toml", '[sample]\nport = 81\nfolder = "/tmp/x"\n[other]\nport = 9\n')
    environ = {"POPREEL_SAMPLE__PORT": "82", "POPREEL_SAMPLE__NAMES": '["a", "b"]', "POPREEL_SAMPLE__ON": "true"}
    settings = load(Sample, file=file, environ={**environ, "POPREEL_OTHER__PORT": "1", "PATH": "/bin"})
    assert (settings.port, settings.folder, settings.names, settings.on) == (82, Path("/tmp/x"), ("a", "b"), True)


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"POPREEL_SAMPLE__PORT": "0"}, "port"),
        ({"POPREEL_SAMPLE__PORT": "many"}, "port"),
        ({"POPREEL_SAMPLE__PROT": "1"}, "no knob 'prot'"),
    ],
)
def test_an_unusable_value_names_its_knob(environ: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        load(Sample, file=None, environ=environ)


@pytest.mark.parametrize(
    ("text", "word"), [("[sample]\nprot = 1", "prot"), ("sample = 1", "table"), ("[sample", "not valid TOML")]
)
def test_a_broken_file_is_told_apart(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        load(Sample, file=write(tmp_path / "s.toml", text), environ={})


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no settings file"):
        load(Sample, file=tmp_path / "none.toml", environ={})


def test_a_secret_does_not_show_itself() -> None:
    settings = load(Sample, file=None, environ={"POPREEL_SAMPLE__KEY": "hunter2"})
    assert isinstance(settings.key, Secret)
    assert str.__str__(settings.key) == "hunter2"
    assert "hunter2" not in repr(settings)


def test_the_reference_lists_every_knob_once() -> None:
    text = reference([Sample])
    assert [text.count(f"| `{name}` |") for name in Sample.__struct_fields__] == [1] * 6
    assert "Port. (1..65535)" in text
