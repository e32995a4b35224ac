import base64

import numpy as np
import pytest

from packager.sound.fingerprint import compressed, fingerprint, sub_fingerprints
from packager.sound.loudness import MAX_GAIN_DB, Loudness, gain_db
from packager.sound.mix import mixed, one_after_another, scaled_by, silence


def _blocks(*lengths: int, value: float = 1.0) -> list[np.ndarray]:
    return [np.full((2, length), value, np.float32) for length in lengths]


@pytest.mark.parametrize(
    ("measured", "gain"), [(-14.0, 0.0), (-20.0, 6.0), (-8.0, -6.0), (-70.0, 0.0), (-55.0, MAX_GAIN_DB)]
)
def test_the_gain_brings_a_clip_to_the_target_but_never_raises_silence(measured: float, gain: float) -> None:
    assert gain_db(Loudness(integrated_lufs=measured)) == pytest.approx(gain)


def test_mixing_adds_sample_by_sample_whatever_the_block_sizes() -> None:
    made = np.concatenate(list(mixed(iter(_blocks(3, 4, 5)), scaled_by(iter(_blocks(10, 2)), 0.5))), axis=1)
    assert made.shape == (2, 12)
    assert np.all(made == 1.5)


def test_a_clip_without_sound_is_silent_beside_one_with_sound() -> None:
    made = one_after_another(None, 4, iter(_blocks(3)), 3)
    assert made is not None
    assert np.concatenate(list(made), axis=1)[0].tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert one_after_another(None, 4, None, 3) is None


def test_silence_has_the_length_asked_for() -> None:
    assert sum(block.shape[1] for block in silence(100_001)) == 100_001


def test_a_fingerprint_has_eight_values_a_second_and_survives_volume() -> None:
    time = np.arange(11_025 * 8) / 11_025
    tune = sum(np.sin(2 * np.pi * pitch * time * (1 + 0.05 * np.floor(time))) for pitch in (220, 330, 550))
    loud, quiet = (tune * 8000).astype(np.int16), (tune * 2000).astype(np.int16)
    values = sub_fingerprints(loud)
    assert values.size == (8 * 11_025 - 4096) // 1365 + 1 - 4 - 15
    errors = np.unpackbits((values ^ sub_fingerprints(quiet)).view(np.uint8)).mean()
    assert errors < 0.02


def test_a_sound_too_short_for_a_fingerprint_has_none() -> None:
    assert fingerprint(np.zeros(11_025, np.int16)) is None


def test_the_compressed_form_holds_the_count_and_the_changed_bits() -> None:
    data = base64.urlsafe_b64decode(compressed(np.asarray([1, 1, 0x80000001], np.uint32)) + "==")
    assert data[0] == 1
    assert int.from_bytes(data[1:4], "big") == 3
    # normal: 1 0 | 0 | 7 0 (bit 32: gap of 32, 25 in the exceptions), three bits each, least significant first
    assert data[4:6] == ((1) | (0 << 3) | (0 << 6) | (7 << 9) | (0 << 12)).to_bytes(2, "little")
    assert data[6] & 31 == 32 - 7
