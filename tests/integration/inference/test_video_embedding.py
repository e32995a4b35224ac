"""The real weights, converted once for the session, give vectors that mean something."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from inference.content.install import install, is_whole
from inference.content.torch_archive import read_state_dict
from inference.errors import ModelDamaged, ModelMissing
from inference.video_embedding import VideoEmbedder

NO_FRAMES = np.zeros((0, 224, 224, 3), np.uint8)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    install(directory)
    return directory


@pytest.fixture(scope="module")
def embedder(model_dir: Path) -> VideoEmbedder:
    return VideoEmbedder.load(model_dir)


def text_vector(embedder: VideoEmbedder, text: str, creator: str = "1") -> np.ndarray:
    return embedder.embed(frames=NO_FRAMES, text=text, audio_16k=None, creator_id=creator)


def test_vectors_are_unit_float32_of_256_and_repeatable(embedder: VideoEmbedder) -> None:
    rng = np.random.default_rng(1)
    given = {
        "frames": rng.integers(0, 255, (3, 224, 224, 3), dtype=np.uint8),
        "text": "Surfing at dawn #waves",
        "audio_16k": rng.standard_normal(32_000).astype(np.float32) * 0.1,
        "creator_id": "42",
    }
    first, second = embedder.embed(**given), embedder.embed(**given)
    assert first.shape == (256,)
    assert first.dtype == np.float32
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(first, second)


def test_related_texts_are_near_also_across_languages(embedder: VideoEmbedder) -> None:
    cat = text_vector(embedder, "a cat plays the piano", "1")
    kitten = text_vector(embedder, "un gato toca el piano", "2")
    tax = text_vector(embedder, "quarterly corporate tax law", "3")
    assert cat @ kitten > 0.4
    assert cat @ kitten > cat @ tax + 0.3


def test_similar_pictures_are_nearer_than_unlike_ones(embedder: VideoEmbedder) -> None:
    y, x = np.mgrid[0:224, 0:224]
    stripes = np.repeat((np.sin(x / 6) * 100 + 128)[..., None], 3, axis=2).astype(np.uint8)
    shifted = np.roll(stripes, 3, axis=1)
    disc = np.where(((x - 112) ** 2 + (y - 112) ** 2 < 3600)[..., None], [250, 120, 10], [20, 60, 200]).astype(np.uint8)
    vectors = [
        embedder.embed(frames=f[None], text="", audio_16k=None, creator_id=str(i))
        for i, f in enumerate((stripes, shifted, disc))
    ]
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_silence_and_too_short_sound_change_nothing(embedder: VideoEmbedder) -> None:
    without = text_vector(embedder, "rain")
    for silent in (np.zeros(48_000, np.float32), np.ones(10, np.float32)):
        got = embedder.embed(frames=NO_FRAMES, text="rain", audio_16k=silent, creator_id="1")
        np.testing.assert_array_equal(got, without)


def test_installing_twice_keeps_the_files_and_repairs_damage(model_dir: Path) -> None:
    target = model_dir / "content-1"
    before = (target / "visual.onnx").stat().st_mtime_ns
    install(model_dir)
    assert (target / "visual.onnx").stat().st_mtime_ns == before
    (target / "visual.onnx").write_bytes(b"cut")
    assert not is_whole(target)
    install(model_dir)
    assert is_whole(target)


def test_loading_without_installation_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"inference\.install_models"):
        VideoEmbedder.load(tmp_path)


def test_a_checkpoint_that_names_a_function_is_refused_unexecuted(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path(tmp_path / "ran").touch, ())  # type: ignore[return-value]

    (tmp_path / "evil.pth").write_bytes(
        pickle.dumps(0x1950A86A20F9469CFC6C) + pickle.dumps(1001) + pickle.dumps(Trap())
    )
    with pytest.raises(ModelDamaged):
        read_state_dict(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_a_cut_checkpoint_is_damage_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "cut.pth").write_bytes(b"\x80\x02\x8a\nl\xfc")
    with pytest.raises(ModelDamaged):
        read_state_dict(tmp_path / "cut.pth")
