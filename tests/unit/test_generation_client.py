from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sao_tui.core.errors import SaoError
from sao_tui.core.jobs import JobFolder, JobSpec
from sao_tui.services import generation
from sao_tui.services.generation import GenerateRequest, GenerationCancelled, Generator, history
from sao_tui.services.generation_model import choose_model
from sao_tui.services.hashes import sha256_of_file
from sao_tui.services.workspace import Workspace, init_workspace
from tests.fakes.jobs import wait_until

FAKE = Path(__file__).parents[1] / "fakes" / "fake_generator.py"


def config(objective: str = "rectified_flow", **changes: Any) -> dict[str, Any]:
    diffusion = {"diffusion_objective": objective}
    return {"sample_rate": 8_000, "sample_size": 16_384, "model": {"diffusion": diffusion}, **changes}


class Bench:
    def __init__(self, root: Path) -> None:
        self.workspace: Workspace = init_workspace(root)
        (root / "models/base_model.ckpt").write_bytes(b"weights")
        (root / "configs/model_config.json").write_text(json.dumps(config()))
        self.now = 1_700_000_000.0
        self.log = root / "requests.log"
        command = [sys.executable, str(FAKE), str(self.log)]
        self.generator = Generator(self.workspace, clock=lambda: self.now, command=command)

    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def num_starts(self) -> int:
        return self.log.read_text().count("started")

    def generate(self, **fields: Any) -> list[generation.GeneratedClip]:
        return self.generator.generate(GenerateRequest(**{"prompt": "a low tone", "steps": 3, **fields}))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "workspace")
    yield bench
    bench.generator.close()


def test_a_clip_is_made_and_described(bench: Bench) -> None:
    (clip,) = bench.generate(seed=7, negative_prompt="noise")
    assert clip.path.parent == bench.workspace.generations_folder
    assert clip.path.name.endswith("-a-low-tone-7.wav")
    assert (clip.seed, clip.seconds, clip.sample_rate_hz) == (7, 0.01, 8_000)
    described = json.loads(clip.path.with_suffix(".json").read_text())
    assert described["prompt"] == "a low tone"
    assert described["negative_prompt"] == "noise"
    assert (described["steps"], described["cfg_scale"], described["sampler"]) == (3, 4.0, "euler")
    assert described["model"] == "models/base_model.ckpt"
    assert described["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert len(described["config_sha256"]) == 64
    assert history(bench.workspace) == [clip]


def test_each_of_several_clips_is_a_request_of_its_own_with_the_next_seed(bench: Bench) -> None:
    clips = bench.generate(seed=5, count=3)
    assert [clip.seed for clip in clips] == [5, 6, 7]
    assert [(each["seed"], each["count"]) for each in bench.requests()] == [(5, 1), (6, 1), (7, 1)]
    assert len({clip.path for clip in clips}) == 3


def test_a_seed_is_drawn_and_kept_when_none_is_given(bench: Bench) -> None:
    (one,), (two,) = bench.generate(), bench.generate()
    assert one.seed != two.seed
    assert bench.requests()[0]["seed"] == one.seed


def test_the_same_request_in_the_same_second_overwrites_nothing(bench: Bench) -> None:
    (one,), (two,) = bench.generate(seed=1), bench.generate(seed=1)
    assert one.path != two.path
    assert len(history(bench.workspace)) == 2


def test_the_worker_stays_warm_between_requests(bench: Bench) -> None:
    bench.generate()
    bench.generate()
    assert bench.num_starts() == 1


def test_progress_counts_the_steps_of_all_clips(bench: Bench) -> None:
    seen: list[tuple[int, int, str]] = []
    bench.generator.generate(
        GenerateRequest("a low tone", steps=2, count=2), lambda done, total, stage: seen.append((done, total, stage))
    )
    sampling = [(done, total) for done, total, stage in seen if stage == "sampling"]
    assert sampling == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert (1, 1, "loading") in seen


def test_an_error_of_the_worker_comes_in_its_own_words(bench: Bench) -> None:
    with pytest.raises(SaoError) as caught:
        bench.generate(prompt="refuse")
    assert (caught.value.message, caught.value.hint) == ("The sampler does not fit.", "Leave it out.")
    assert bench.generate()
    assert bench.num_starts() == 1


@pytest.mark.parametrize(
    ("prompt", "reason"), [("die", "RuntimeError: shapes do not match"), ("killed", "killed by signal 9")]
)
def test_a_worker_that_dies_is_an_error_with_its_reason_and_the_next_request_starts_another(
    bench: Bench, prompt: str, reason: str
) -> None:
    with pytest.raises(SaoError, match=reason):
        bench.generate(prompt=prompt)
    assert bench.generate()
    assert bench.num_starts() == 2


def test_a_worker_that_says_done_without_a_file_is_not_believed(bench: Bench) -> None:
    with pytest.raises(SaoError, match="did not write"):
        bench.generate(prompt="nothing")
    assert history(bench.workspace) == []


def in_thread(bench: Bench, **fields: Any) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            bench.generate(**fields)
        except SaoError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


def wait_for_request(bench: Bench) -> None:
    wait_until(lambda: bench.log.exists() and bool(bench.requests()), what="a request")


def test_a_cancelled_worker_stays_warm(bench: Bench) -> None:
    thread, errors = in_thread(bench, prompt="slow")
    wait_for_request(bench)
    bench.generator.cancel()
    thread.join(timeout=10)
    assert isinstance(errors[0], GenerationCancelled)
    assert bench.generate()
    assert bench.num_starts() == 1


def test_a_worker_that_does_not_heed_a_cancel_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "CANCEL_SECONDS", 0.3)
    thread, errors = in_thread(bench, prompt="stuck")
    wait_for_request(bench)
    bench.generator.cancel()
    thread.join(timeout=10)
    assert isinstance(errors[0], GenerationCancelled)
    assert bench.generate()
    assert bench.num_starts() == 2


def test_closing_ends_a_request_that_is_going_on(bench: Bench) -> None:
    thread, errors = in_thread(bench, prompt="stuck")
    wait_for_request(bench)
    started = time.monotonic()
    bench.generator.close()
    thread.join(timeout=10)
    assert time.monotonic() - started < 5
    assert isinstance(errors[0], GenerationCancelled)


def test_cancelling_nothing_is_nothing(bench: Bench) -> None:
    bench.generator.cancel()
    bench.generator.close()
    assert bench.generate()


def test_two_threads_get_their_own_clips(bench: Bench) -> None:
    threads = [in_thread(bench, seed=seed, count=2) for seed in (10, 20)]
    for thread, _ in threads:
        thread.join(timeout=20)
    assert sorted(clip.seed for clip in history(bench.workspace)) == [10, 11, 20, 21]
    assert bench.num_starts() == 1


def test_the_worker_ends_with_the_process_that_started_it(bench: Bench, tmp_path: Path) -> None:
    code = (
        "import sys, os\n"
        "from pathlib import Path\n"
        "from sao_tui.services.workspace import open_workspace\n"
        "from sao_tui.services.generation import Generator\n"
        f"generator = Generator(open_workspace(Path({str(bench.workspace.root)!r})),\n"
        f"    command=[sys.executable, {str(FAKE)!r}, {str(bench.log)!r}])\n"
        "generator.start()\n"
        "print(generator._process._process.pid, flush=True)\n"
        "sys.stdin.readline()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the generator's end")


@pytest.mark.parametrize(
    "fields",
    [
        {"count": 0},
        {"count": 10**12},
        {"prompt": "caf\udce9"},
        {"negative_prompt": "caf\udce9"},
        {"cfg_scale": float("nan")},
        {"steps": 10**10},
        {"seconds": 0.0},
        {"seconds": 3.0},
        {"steps": 0},
        {"seed": -1},
        {"model": Path("models/none.safetensors")},
        {"init_audio": Path("none.wav")},
    ],
)
def test_what_cannot_be_generated_is_refused_before_the_worker_is_started(bench: Bench, fields: dict[str, Any]) -> None:
    with pytest.raises(SaoError) as caught:
        bench.generate(**fields)
    assert caught.value.hint
    assert not bench.log.exists()


def test_too_little_init_noise_is_refused(bench: Bench) -> None:
    (clip,) = bench.generate()
    with pytest.raises(SaoError, match="init noise"):
        bench.generate(init_audio=clip.path, init_noise=0.05)
    (clip,) = bench.generate(init_audio=clip.path, init_noise=0.5)
    assert bench.requests()[-1]["init_noise"] == 0.5
    assert clip.init_audio


def test_the_rounded_length_of_the_model_is_its_length(bench: Bench) -> None:
    bench.generate(seconds=2.05)
    assert bench.requests()[-1]["seconds"] == 2.048


def test_the_sampler_follows_the_objective(bench: Bench) -> None:
    bench.workspace.model_config_file.write_text(json.dumps(config("rf_denoiser")))
    (clip,) = bench.generate(steps=None)
    assert (clip.sampler, clip.steps, clip.cfg_scale) == ("pingpong", 8, 1.0)


def test_the_config_of_a_run_of_an_export_and_of_the_base_are_told_apart(bench: Bench) -> None:
    workspace = bench.workspace
    job = JobFolder(workspace.runs_folder / "one")
    job.create(JobSpec("train", 1.0, {}, config(sample_size=800), {}, sys.executable))
    checkpoint = job.checkpoints / "step=1.ckpt"
    checkpoint.write_bytes(b"x")
    export = workspace.models_folder / "export.safetensors"
    export.write_bytes(b"x")
    export.with_suffix(".json").write_text(json.dumps(config(sample_size=1_600)))
    assert choose_model(workspace, checkpoint).defaults.seconds == 0.1
    assert choose_model(workspace, Path("models/export.safetensors")).defaults.seconds == 0.2
    assert choose_model(workspace).defaults.seconds == 2.048


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sample_rate": 0, "sample_size": 1}'])
def test_a_config_that_is_none_is_named(bench: Bench, text: str) -> None:
    bench.workspace.model_config_file.write_text(text)
    with pytest.raises(SaoError, match=r"model_config\.json"):
        bench.generate()


def test_history_is_newest_first_and_skips_what_is_broken(bench: Bench) -> None:
    made = []
    for seed in range(4):
        bench.now += 1
        made += bench.generate(seed=seed)
    made[0].path.unlink()
    made[1].path.with_suffix(".json").write_text("{")
    (bench.workspace.generations_folder / "other.json").write_text('{"a": 1}')
    assert [clip.seed for clip in history(bench.workspace)] == [3, 2]
    assert [clip.seed for clip in history(bench.workspace, limit=1)] == [3]


def test_a_workspace_without_generations_has_no_history(bench: Bench) -> None:
    bench.workspace.generations_folder.rmdir()
    assert history(bench.workspace) == []


def test_odd_prompts_make_plain_file_names(bench: Bench) -> None:
    names = [bench.generate(prompt=prompt, seed=1)[0].path.name for prompt in ("../../etc", "日本", "A" * 300, "")]
    assert all(name.isascii() and "/" not in name and len(name) < 80 for name in names)


def test_a_file_is_hashed_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, cache = tmp_path / "weights", tmp_path / "cache"
    file.write_bytes(b"one")
    assert sha256_of_file(file, cache) == hashlib.sha256(b"one").hexdigest()
    with monkeypatch.context() as context:
        context.setattr(hashlib, "sha256", lambda: pytest.fail("hashed again"))
        sha256_of_file(file, cache)
    file.write_bytes(b"three")
    assert sha256_of_file(file, cache) == hashlib.sha256(b"three").hexdigest()
    (cache / "hashes.json").write_text("{")
    assert sha256_of_file(file, cache) == hashlib.sha256(b"three").hexdigest()


def test_a_clip_made_again_from_its_description_is_the_same(bench: Bench) -> None:
    first = bench.generate(seed=9, count=3)[1]
    again = bench.generate(prompt=first.prompt, seed=first.seed, steps=first.steps)[0]
    assert again.path.read_bytes() == first.path.read_bytes()
    assert replace(again, path=first.path) == first
