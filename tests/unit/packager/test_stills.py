import itertools
import re

import numpy as np
import pytest

from packager.edits import Look
from packager.picture.colour_lut import EDGE, LOOKS, cube_text, hlg_to_nits, pq_to_nits, table, tone_mapped
from packager.picture.poster import poster_score
from packager.picture.storyboard import sheet, tile_count, vtt
from packager.picture.thumbhash import thumbhash


def test_a_thumbhash_equals_the_reference_implementation() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    # Made by thumbhash 0.1.1 of npm from the same pixels.
    assert thumbhash(picture) == "4PcBDwAsrvV3dHlvabh2O9ekRq+H/yMK"


def test_a_thumbhash_of_a_large_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="larger"):
        thumbhash(np.zeros((101, 10, 3), np.uint8))


def test_a_lively_picture_beats_black_white_and_flat_ones() -> None:
    lively = np.random.default_rng(2).integers(20, 230, (50, 50, 3)).astype(np.uint8)
    others = [np.full((50, 50, 3), level, np.uint8) for level in (0, 128, 255)]
    assert all(poster_score(lively, position=0.9) > poster_score(other, position=0.0) + 0.1 for other in others)


def test_storyboard_cues_cover_the_clip_and_name_their_tiles() -> None:
    tiles = [np.full((90, 160, 3), number, np.uint8) for number in range(7)]
    board, columns = sheet(tiles)
    assert board.shape == (3 * 90, 3 * 160, 3)
    text = vtt(count=7, columns=columns, width=160, height=90, duration_s=7.0, image="storyboard.webp")
    cues = re.findall(r"(\S+) --> (\S+)\nstoryboard.webp#xywh=(\d+),(\d+),160,90", text)
    assert len(cues) == 7
    assert cues[0][0] == "00:00:00.000"
    assert cues[-1][1] == "00:00:07.000"
    assert all(before[1] == after[0] for before, after in itertools.pairwise(cues))
    for number, cue in enumerate(cues):
        assert board[int(cue[3]), int(cue[2]), 0] == number


def test_long_clips_have_at_most_a_hundred_tiles() -> None:
    assert [tile_count(seconds) for seconds in (0.2, 15.0, 600.0)] == [1, 15, 100]


def test_tone_mapping_keeps_grey_grey_black_black_and_white_below_one() -> None:
    grey = np.linspace(0, 1, 11)[:, None].repeat(3, axis=1)
    for transfer in (pq_to_nits, hlg_to_nits):
        mapped = tone_mapped(transfer(grey))
        assert np.allclose(mapped[0], 0, atol=0.03)
        assert np.all(np.diff(mapped[:, 0]) >= -1e-9)
        assert np.allclose(mapped, mapped[:, :1], atol=0.01)
        assert mapped.max() <= 1


def test_pq_reference_white_is_bright_but_leaves_room() -> None:
    code = np.full((1, 3), 0.58)  # about 203 nits
    assert pq_to_nits(code)[0, 0] == pytest.approx(203, rel=0.02)
    assert 0.8 < tone_mapped(pq_to_nits(code))[0, 0] < 0.97


def test_there_are_at_least_eight_looks_and_each_changes_the_picture() -> None:
    assert len(LOOKS) >= 8
    plain = np.stack(np.meshgrid(*[np.linspace(0, 1, EDGE)] * 3, indexing="ij")[::-1], axis=-1)
    for look in LOOKS:
        values = table(hdr=None, look=look)
        assert values is not None
        assert values.min() >= 0
        assert values.max() <= 1
        assert np.abs(values - plain).mean() > 0.01


def test_a_cube_file_lists_red_fastest() -> None:
    values = table(hdr="pq", look=Look.NONE)
    assert values is not None
    lines = cube_text(values).splitlines()
    assert lines[0] == "LUT_3D_SIZE 33"
    assert len(lines) == 1 + 33**3
    assert [float(part) for part in lines[2].split()] == pytest.approx(values[0, 0, 1].tolist(), abs=1e-5)
    assert table(hdr=None, look=Look.NONE) is None
