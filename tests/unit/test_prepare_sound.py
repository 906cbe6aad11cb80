"""Channels, silence at the ends, zero crossings, loudness and peaks, on sounds whose answer is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyloudnorm
import pytest

from sao_tui.core.preparing import PrepareSettings
from sao_tui.services.prepare_cuts import onset_cuts, slice_spans
from sao_tui.services.prepare_sound import level, limit, peak, sounding_span, to_channels, zero_crossing

RATE = 44_100


def tone(seconds: float, hz: float = 440.0, amplitude: float = 0.5, channels: int = 1) -> np.ndarray:
    mono = amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return np.repeat(mono[:, None], channels, axis=1).astype(np.float32)


def silence(seconds: float, channels: int = 1) -> np.ndarray:
    return np.zeros((round(seconds * RATE), channels), np.float32)


def hits(*at_seconds: float, total_seconds: float) -> np.ndarray:
    """Decaying tones that begin at the given times."""
    sound = silence(total_seconds)
    for number, at in enumerate(at_seconds):
        start = round(at * RATE)
        seconds = np.arange(len(sound) - start) / RATE
        sound[start:, 0] += (0.5 * np.sin(2 * np.pi * (200 + 90 * number) * seconds) * np.exp(-seconds * 14)).astype(
            "f"
        )
    return sound


def settings(**changes: object) -> PrepareSettings:
    return PrepareSettings("source", "output", **changes)  # type: ignore[arg-type]


def is_at_crossing(sound_NC: np.ndarray, frame: int) -> bool:
    mix = sound_NC.mean(axis=1)
    return bool((mix[frame - 1] <= 0) != (mix[frame] <= 0))


def test_mono_is_doubled_to_stereo_sample_by_sample() -> None:
    stereo, words = to_channels(tone(0.1), 2)
    assert stereo.shape == (4_410, 2)
    assert np.array_equal(stereo[:, 0], stereo[:, 1])
    assert words == "mono doubled"


def test_stereo_is_mixed_to_the_mean() -> None:
    sound = np.concatenate([tone(0.1, amplitude=0.4), tone(0.1, amplitude=0.2)], axis=1)
    mono, words = to_channels(sound, 1)
    assert np.allclose(mono, tone(0.1, amplitude=0.3), atol=1e-6)
    assert words == "mixed to mono"


@pytest.mark.parametrize(("dead", "name"), [(0, "left"), (1, "right")])
def test_a_dead_channel_is_replaced_by_the_living_one(dead: int, name: str) -> None:
    sound = tone(0.1, channels=2)
    sound[:, dead] = 0
    repaired, words = to_channels(sound, 0)
    assert np.array_equal(repaired, tone(0.1, channels=2))
    assert words == f"dead {name} channel replaced"
    mono, words = to_channels(sound, 1)
    assert np.allclose(mono, tone(0.1)), "a mix with the dead channel would be half as loud"
    assert words == f"dead {name} channel replaced; mixed to mono"


def test_six_channels_are_mixed_to_stereo() -> None:
    stereo, words = to_channels(tone(0.1, channels=6), 2)
    assert stereo.shape[1] == 2
    assert words == "6 channels mixed to stereo"


def test_channels_stay_when_nothing_is_asked() -> None:
    sound = tone(0.1, channels=2)
    assert to_channels(sound, 0) == (sound, "")


def test_silence_at_the_ends_goes_but_for_the_margin() -> None:
    sound = np.concatenate([silence(0.5), tone(1.0), silence(0.7)])
    start, end = sounding_span(sound, RATE, -60.0, 0.02)
    assert 0.5 - start / RATE == pytest.approx(0.02, abs=0.006)
    assert end / RATE - 1.5 == pytest.approx(0.02, abs=0.006)


def test_a_sound_without_silence_is_not_trimmed_and_silence_has_no_span() -> None:
    assert sounding_span(tone(0.3), RATE, -60.0, 0.02) == (0, len(tone(0.3)))
    assert sounding_span(silence(0.3), RATE, -60.0, 0.02) == (0, 0)


def test_a_cut_lies_on_a_zero_crossing_of_the_mix() -> None:
    sound = tone(1.0, hz=97)
    cut = zero_crossing(sound, 20_000, 20_440)
    assert 20_000 <= cut <= 20_440
    assert is_at_crossing(sound, cut)


def test_a_cut_in_a_constant_sound_lies_where_it_is_nearest_to_zero() -> None:
    sound = np.full((1_000, 1), 0.5, np.float32)
    sound[300] = 0.1
    assert zero_crossing(sound, 200, 400) in (300, 301)


def test_fixed_slices_have_the_length_less_at_most_ten_milliseconds_and_cover_everything() -> None:
    sound = tone(10.3, hz=313, channels=2)
    spans = slice_spans(sound, RATE, settings(slicing="fixed", slice_seconds=2.0))
    assert spans[0].start == 0 and spans[-1].end == len(sound)
    assert all(before.end == after.start for before, after in pairwise(spans))
    assert all(1.99 <= (span.end - span.start) / RATE <= 2.0 for span in spans[:-1])
    assert all(is_at_crossing(sound, span.end) for span in spans[:-1])
    assert len(spans) == 6


def test_a_rest_below_the_least_length_gets_some_of_the_slice_before() -> None:
    sound = tone(4.03, hz=313)
    spans = slice_spans(sound, RATE, settings(slicing="fixed", slice_seconds=2.0, min_seconds=0.5))
    assert spans[-1].end == len(sound)
    assert all(span.end - span.start >= 0.5 * RATE for span in spans)
    assert sum(span.end - span.start for span in spans) == len(sound)


def test_what_is_longer_than_the_model_hears_is_sliced_by_default_and_nothing_else() -> None:
    long, short = tone(25.0), tone(11.0)
    spans = slice_spans(long, RATE, settings(max_seconds=11.888))
    assert len(spans) == 3
    assert all(span.end - span.start <= 11.888 * RATE for span in spans)
    assert len(slice_spans(short, RATE, settings(max_seconds=11.888))) == 1
    assert len(slice_spans(long, RATE, settings(max_seconds=11.888, slicing="none"))) == 1


def test_onsets_are_found_and_cut_just_before_their_attack() -> None:
    times = (0.5, 1.3, 2.0, 2.9)
    sound = hits(*times, total_seconds=4.0)
    cuts = onset_cuts(sound, RATE)
    assert len(cuts) == len(times)
    for cut, time in zip(cuts, times, strict=True):
        assert 0 <= time - cut / RATE <= 0.006


def test_slices_by_onsets_begin_at_the_hits() -> None:
    sound = hits(0.0, 0.8, 1.6, total_seconds=2.4)
    spans = slice_spans(sound, RATE, settings(slicing="onsets"))
    assert [round(span.start / RATE, 1) for span in spans] == [0.0, 0.8, 1.6]
    assert spans[-1].end == len(sound)


def test_slices_by_silence_hold_the_sounds_and_leave_the_silence() -> None:
    sound = np.concatenate([silence(0.3), tone(0.5), silence(0.4), tone(0.2), silence(0.1), tone(0.2), silence(0.5)])
    spans = slice_spans(sound, RATE, settings(slicing="silence"))
    assert len(spans) == 2, "a pause of 0.1 s parts nothing"
    (first, second) = ((span.start / RATE, span.end / RATE) for span in spans)
    assert first == (pytest.approx(0.28, abs=0.016), pytest.approx(0.82, abs=0.016))
    assert second == (pytest.approx(1.18, abs=0.016), pytest.approx(1.72, abs=0.016))


def test_a_click_between_silences_is_marked_as_too_short() -> None:
    sound = np.concatenate([silence(0.5), tone(0.005), silence(0.5), tone(0.5)])
    spans = slice_spans(sound, RATE, settings(slicing="silence"))
    assert [span.is_too_short for span in spans] == [True, False]


@pytest.mark.parametrize("target_lufs", [-30.0, -23.0, -16.0])
def test_loudness_is_within_a_tenth_of_what_was_asked(target_lufs: float) -> None:
    noise = np.random.default_rng(1).normal(0, 0.05, (2 * RATE, 2)).astype(np.float32)
    done = level(noise, RATE, target_lufs, -1.0)
    assert pyloudnorm.Meter(RATE).integrated_loudness(done.sound) == pytest.approx(target_lufs, abs=0.1)
    assert peak(done.sound) <= 10 ** (-1 / 20) + 1e-6
    assert done.short_by_lu == 0


def test_a_clip_whose_peaks_allow_no_more_stays_quieter_and_says_by_how_much() -> None:
    sound = silence(2.0)
    sound[::4_410] = 0.9
    done = level(sound, RATE, -14.0, -1.0)
    assert peak(done.sound) <= 10 ** (-1 / 20) + 1e-6
    reached = pyloudnorm.Meter(RATE).integrated_loudness(done.sound)
    assert done.short_by_lu == pytest.approx(-14 - reached, abs=0.1)
    assert done.short_by_lu > 5


def test_a_clip_too_short_for_a_loudness_gets_its_peak_at_the_ceiling() -> None:
    done = level(tone(0.2, amplitude=0.1), RATE, -16.0, -3.0)
    assert peak(done.sound) == pytest.approx(10 ** (-3 / 20), abs=1e-4)
    assert "too short" in done.words


def test_silence_has_no_loudness_and_stays() -> None:
    assert level(silence(1.0), RATE, -16.0, -1.0).words == ""


def test_samples_beyond_full_scale_are_limited_without_a_flat_top() -> None:
    sound = tone(0.5, amplitude=0.5)
    sound[10_000:11_000] *= 3
    done = level(sound, RATE, None, -1.0)
    assert peak(done.sound) <= 10 ** (-1 / 20) + 1e-6
    assert np.array_equal(done.sound[:9_000], sound[:9_000]), "what is far from a peak stays as it is"
    loud = np.abs(done.sound[10_100:10_900, 0])
    assert (loud > 10 ** (-1 / 20) - 1e-4).mean() < 0.1, "clipping would leave flat tops"


def test_the_limiter_leaves_quiet_sound_alone() -> None:
    sound = tone(0.2)
    assert limit(sound, RATE, 0.9) is sound
