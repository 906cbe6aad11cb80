from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sao_tui.services import audio
from sao_tui.services.audio import UnreadableClipError, peaks, probe, read_audio
from sao_tui.services.riff import read_wav_header

RATE = 8000
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, 2)).astype(np.float32)


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def wav(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


FORMAT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))


@pytest.mark.parametrize(
    ("container", "subtype", "codec"),
    [
        ("WAV", "PCM_16", "wav pcm_16"),
        ("WAV", "PCM_U8", "wav pcm_u8"),
        ("WAV", "PCM_24", "wav pcm_24"),
        ("WAV", "FLOAT", "wav float"),
        ("WAV", "DOUBLE", "wav double"),
        ("WAVEX", "PCM_16", "wav pcm_16"),
        ("WAVEX", "FLOAT", "wav float"),
    ],
)
def test_our_header_reader_agrees_with_soundfile(tmp_path: Path, container: str, subtype: str, codec: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, RATE, format=container, subtype=subtype)
    info = read_wav_header(path)
    assert info is not None
    assert (info.num_frames, info.sample_rate_hz, info.num_channels, info.codec) == (RATE, RATE, 2, codec)
    assert info.seconds == 1.0


@pytest.mark.parametrize(
    ("name", "container", "subtype"),
    [
        ("a.wav", "RF64", "PCM_16"),
        ("a.wav", "WAV", "ULAW"),
        ("a.wav", "WAV", "IMA_ADPCM"),
        ("a.flac", "FLAC", "PCM_16"),
        ("a.ogg", "OGG", "VORBIS"),
        ("a.opus", "OGG", "OPUS"),
        ("a.aif", "AIFF", "PCM_16"),
        ("a.mp3", "MP3", "MPEG_LAYER_III"),
    ],
)
def test_other_formats_are_read_by_a_library(tmp_path: Path, name: str, container: str, subtype: str) -> None:
    soundfile.write(tmp_path / name, NOISE, RATE, format=container, subtype=subtype)
    info = probe(tmp_path / name)
    assert (info.sample_rate_hz, info.num_channels) == (RATE, 2)
    assert info.seconds == pytest.approx(1.0, abs=0.2)
    audio_CN, rate = read_audio(tmp_path / name)
    assert rate == RATE
    assert audio_CN.shape == (2, info.num_frames)
    assert audio_CN.dtype == np.float32 and audio_CN.flags.c_contiguous


def test_chunks_before_the_format_and_far_into_the_file_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = chunk(b"data", bytes(800))
    path.write_bytes(wav(chunk(b"JUNK", bytes(9001)), FORMAT, chunk(b"LIST", bytes(5000)), samples))
    assert probe(path).num_frames == 400


@pytest.mark.parametrize("declared", [0, 0xFFFFFFFF])
def test_a_wav_streamed_without_its_size_is_as_long_as_its_file(tmp_path: Path, declared: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(FORMAT) + b"data" + struct.pack("<I", declared) + bytes(800))
    assert probe(path).num_frames == 400


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"not a wav file at all", "RIFF header is missing"),
        (wav(FORMAT), "no samples"),
        (wav(FORMAT, chunk(b"data", b"")), "no samples"),
        (wav(chunk(b"data", bytes(80))), "no format"),
        (wav(chunk(b"fmt ", bytes(16)), chunk(b"data", bytes(80))), "damaged|no samples|channels"),
        (wav(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 0, 0, 2, 16)), chunk(b"data", bytes(80))), "at 0 Hz"),
        (wav(FORMAT)[:20], "cut off"),
        (wav(FORMAT) + b"data" + struct.pack("<I", 16000) + bytes(800), "header says 1.00 s, the file holds 0.05 s"),
    ],
)
def test_a_damaged_wav_names_the_file_and_what_is_wrong(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(UnreadableClipError, match=reason) as caught:
        probe(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", ["bad.mp3", "bad.flac", "bad.ogg", "bad.opus", "bad.aif"])
def test_damaged_files_are_errors_and_nothing_is_written_to_the_terminal(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(np.random.default_rng(1).bytes(20_000))
    with pytest.raises(UnreadableClipError, match=name):
        probe(path)
    assert capfd.readouterr() == ("", "")


def test_a_damaged_mp3_is_shown_as_far_as_it_goes_without_a_word_on_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.tile(NOISE, (4, 1)), RATE)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(3000) + data[len(data) // 2 :][:2000])
    assert len(peaks(path, 20)) == 20
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".m4a", ".aiff", ".aac", ".webm", ".WMA"])
def test_formats_that_upstream_passes_over_are_errors_that_say_so(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"anything")
    with pytest.raises(UnreadableClipError, match=r"stable-audio-tools cannot read .*convert it to wav"):
        probe(path)


def test_a_missing_file_and_a_folder_are_errors_not_crashes(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    for name in ("absent.wav", "absent.flac", "folder.wav"):
        with pytest.raises(UnreadableClipError, match=name):
            probe(tmp_path / name)
    for function in (read_audio, lambda path: peaks(path, 4)):
        with pytest.raises(UnreadableClipError, match="no such file"):
            function(tmp_path / "absent.wav")


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_names_that_are_not_utf8_are_read(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / f"a.{suffix}", NOISE, RATE)
    odd = tmp_path / os.fsdecode(b"\xff [bold]." + suffix.encode())
    os.rename(tmp_path / f"a.{suffix}", odd)
    assert probe(odd).num_channels == 2
    assert read_audio(odd)[0].shape[0] == 2


def test_peaks_are_lowest_and_highest_of_each_span_of_the_mono_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, RATE, subtype="FLOAT")
    mono = NOISE.mean(axis=1)
    expected = [(part.min(), part.max()) for part in np.split(mono, 100)]
    assert np.allclose(peaks(path, 100), expected, atol=1e-7)


def test_long_files_are_read_in_blocks_with_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, RATE, subtype="FLOAT")
    whole = peaks(path, 33)
    monkeypatch.setattr(audio, "_BLOCK_FRAMES", 700)
    assert peaks(path, 33) == whole
    monkeypatch.setattr(audio, "_BLOCK_FRAMES", 10)
    assert peaks(path, 33) == whole


def test_a_file_shorter_than_the_columns_still_fills_them(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([0.5, -0.5]), RATE, subtype="FLOAT")
    assert peaks(path, 4) == [(0.5, 0.5), (0.5, 0.5), (-0.5, -0.5), (-0.5, -0.5)]


def test_kept_peaks_are_used_until_the_file_or_the_width_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cache = tmp_path / "a.wav", tmp_path / ".sao"
    soundfile.write(path, NOISE, RATE)
    first = peaks(path, 50, cache)
    with monkeypatch.context() as patched:
        patched.setattr(audio, "_compute_peaks", None)
        assert peaks(path, 50, cache) == first
    assert len(peaks(path, 60, cache)) == 60
    soundfile.write(path, NOISE[:100] * 0, RATE)
    assert peaks(path, 60, cache) == [(0.0, 0.0)] * 60
    for kept in (cache / "peaks").iterdir():
        kept.write_bytes(b"torn")
    assert peaks(path, 60, cache) == [(0.0, 0.0)] * 60
