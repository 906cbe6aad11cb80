"""Make the nano model: `python -m sao_tui.worker.nano all --work DIR --output configs/nano`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

NUM_AUTOENCODER_STEPS = 2_400


def main() -> None:
    """Run one stage, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m sao_tui.worker.nano", description=__doc__)
    parser.add_argument("stage", choices=("all", "text-encoder", "autoencoder", "dit", "export", "evaluate"))
    parser.add_argument("--output", type=Path, default=Path("configs/nano"), help="folder of the finished model")
    parser.add_argument("--work", type=Path, default=Path("build/nano"), help="folder of checkpoints to resume from")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--clips", type=int, default=60, help="clips to generate in the evaluation")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves torch's own choice")
    arguments = parser.parse_args()
    # Before huggingface_hub is imported: afterwards it would not look here.
    os.environ["HF_HOME"] = str((arguments.output / "huggingface").resolve())
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Nothing is compiled here, so inductor need not start its pool of compilers.
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    stages = ("text-encoder", "autoencoder", "dit", "export", "evaluate")
    for stage in stages if arguments.stage == "all" else (arguments.stage,):
        _run(stage, arguments)


def _run(stage: str, arguments: argparse.Namespace) -> None:
    from sao_tui.worker.nano import autoencoder, base, evaluate, text_encoder

    output: Path = arguments.output
    model_config = json.loads((output / "base_model_config.json").read_text())
    weights_file = output / "base_model.safetensors"
    if stage == "text-encoder":
        shutil.rmtree(output / "huggingface", ignore_errors=True)
        text_encoder.write_text_encoder(output / "huggingface", arguments.seed)
    elif stage == "autoencoder":
        autoencoder.train(model_config, arguments.work, NUM_AUTOENCODER_STEPS, arguments.seed)
        trained = base.load_autoencoder(model_config, arguments.work)
        print(json.dumps({"recognised after a round trip": autoencoder.recognised(trained)}))
    elif stage == "dit":
        base.train(model_config, arguments.work, arguments.seed)
    elif stage == "export":
        base.export(model_config, arguments.work, weights_file)
    else:
        evaluate.print_report(evaluate.evaluate(model_config, weights_file, arguments.clips, arguments.seed))


if __name__ == "__main__":
    main()
