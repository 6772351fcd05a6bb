"""All four steps in one process, against whatever AWS the environment points to."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3

from pipeline import archive
from pipeline.errors import exit_code
from pipeline.evaluate import evaluate
from pipeline.prepare import prepare
from pipeline.register import (
    Artifacts,
    Provenance,
    Serving,
    add_registration_options,
    provenance_of,
    register,
    serving_of,
)
from pipeline.storage import Store
from pipeline.train import DEFAULT_C, DEFAULT_SEED, train

Progress = Callable[[str], None]


def run_pipeline(
    session: boto3.Session,
    bucket: str,
    model_package_group: str,
    *,
    provenance: Provenance,
    serving: Serving | None = None,
    c: float = DEFAULT_C,
    seed: int = DEFAULT_SEED,
    kms_key: str = "",
    work: Path | None = None,
    progress: Progress = print,
) -> dict[str, Any]:
    """Prepare, train, evaluate and register one version.

    `bucket` is versioned, `model_package_group` exists. Files go to `work`, or to a temporary
    directory that is removed. Returns register's result with {hyperparameters, code_commit,
    seconds}. PipelineError, ClientError or BotoCoreError if a step cannot go on.
    """
    started = time.perf_counter()

    def said(text: str) -> None:
        progress(f"{time.perf_counter() - started:5.1f} s  {text}")

    with ExitStack() as stack:
        directory = work or Path(stack.enter_context(TemporaryDirectory(prefix="clinical-risk-")))
        store = Store(session.client("s3"), bucket, kms_key)
        references = prepare(store, model_package_group, directory)
        said(_prepared(references))
        model = train(directory / "train" / "train.csv", directory / "model", c, seed)
        model_archive = directory / "model.tar.gz"
        model_archive.write_bytes(archive.pack(directory / "model"))
        said(f"train     c {c:g}, seed {seed}, {model_archive.stat().st_size} bytes")
        report = evaluate(
            model_archive, directory / "holdout" / "holdout.csv", references, model_package_group
        )
        evaluation = directory / "evaluation.json"
        evaluation.write_text(json.dumps(report, indent=1), encoding="utf-8")
        said("evaluate  " + ", ".join(f"{key} {value}" for key, value in report["metrics"].items()))
        result = register(
            session,
            store,
            model_package_group,
            Artifacts(model_archive, evaluation, directory / "reference"),
            provenance,
            serving or Serving(),
        )
        said(f"register  {result['model_package_arn']} of commit {provenance.code_commit}")
    return {
        **result,
        "hyperparameters": model["training"]["hyperparameters"],
        "code_commit": provenance.code_commit,
        "seconds": round(time.perf_counter() - started, 2),
    }


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(prog="python -m pipeline.run", description=__doc__)
    arguments.add_argument("--bucket", required=True, help="versioned bucket of the project")
    arguments.add_argument("--model-package-group", required=True, help="an existing group")
    arguments.add_argument("--c", type=float, default=DEFAULT_C, help="inverse L2 strength")
    arguments.add_argument("--seed", type=int, default=DEFAULT_SEED, help="seed of the folds")
    arguments.add_argument("--work", type=Path, help="keep the steps' files in this directory")
    arguments.add_argument(
        "--json", action="store_true", help="print the result as one line of JSON at the end"
    )
    add_registration_options(arguments)
    return arguments


def main() -> int:
    """Entry point of `python -m pipeline.run`."""
    options = parser().parse_args()

    def step() -> None:
        result = run_pipeline(
            boto3.Session(),
            options.bucket,
            options.model_package_group,
            provenance=provenance_of(options),
            serving=serving_of(options),
            c=options.c,
            seed=options.seed,
            kms_key=options.kms_key,
            work=options.work,
            # With --json, stdout is the result and nothing else.
            progress=_to_stderr if options.json else print,
        )
        if options.json:
            print(json.dumps(result))

    return exit_code(step)


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _prepared(references: dict[str, Any]) -> str:
    parts = (
        f"{part['rows']} patients ({part['positives']} at high risk)"
        for part in references.values()
    )
    return "prepare   train {}, holdout {}".format(*parts)


if __name__ == "__main__":
    raise SystemExit(main())
