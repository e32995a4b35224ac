"""`popreel sounds add` and `popreel upload --sound` on the running platform."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from popreel.lab.throwaway import ThrowawayPlatform
from tests.integration.origin.hearing import tone_clip, tone_file, tones


def test_a_sound_is_added_and_mixed_under_an_upload(platform: ThrowawayPlatform, tmp_path: Path) -> None:
    tone_file(tmp_path / "high.mp3", 1900)
    added = platform.popreel("sounds", "add", tmp_path / "high.mp3", "--title", "High", "--artist", "Lab", "--json")
    assert added.returncode == 0, added.stderr
    sound = json.loads(added.stdout)
    assert (sound["title"], sound["state"]) == ("High", "ready")

    tone_clip(tmp_path / "low.mp4", hertz=400)
    edits = '{"sound": {"originalVolume": 1.0}}'
    sent = platform.popreel(
        "upload", tmp_path / "low.mp4", "--as", "mixer", "--sound", sound["id"], "--edits", edits, "--json"
    )
    assert sent.returncode == 0, sent.stderr
    url = platform.pop_url + json.loads(sent.stdout)[0]["urls"]["mp4"]
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert tones(answer.read(), 400, 1900) == {400, 1900}


def test_what_is_no_sound_or_no_edit_is_said_at_once(platform: ThrowawayPlatform, tmp_path: Path) -> None:
    text = tmp_path / "list.m3u8"
    text.write_text("#EXTM3U\n")
    refused = platform.popreel("sounds", "add", text)
    assert refused.returncode == 1
    assert "playlist" in refused.stderr
    clip = tmp_path / "low.mp4"
    tone_clip(clip, hertz=400)
    nameless = platform.popreel("upload", clip, "--as", "mixer", "--edits", '{"sound": {}}', "--json")
    assert nameless.returncode == 1
    assert "musicId" in nameless.stdout
