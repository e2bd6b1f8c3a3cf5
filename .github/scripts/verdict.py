#!/usr/bin/env python3
"""Decides whether a pipeline passed: the one check that branch protection has to require.

Reads from the environment NEEDS, which is `toJSON(needs)` of the job. A job may be skipped only for a reason that the
plan gives: none of its lanes is planned, or the GPU's own reason. Anything else that did not succeed fails.
"""

import json
import os
import sys

# The lanes of each job that the plan may leave out.
LANES = {
    "fast": ["fmt", "lint"],
    "build": ["test"],
    "shards": ["test"],
    "whole": ["test"],
    "more": ["doctest", "docs", "kernels", "emulate"],
    "icount": ["icount"],
    "fuzz": ["fuzz"],
}
UNEXPLAINED = "was skipped, and the plan does not say why"


def reason_to_skip(name, outputs):
    """Why the plan leaves the job out; None if it does not."""
    if name == "gpu":
        return outputs.get("gpu-skipped") or None
    # Without a plan everything has to run.
    lanes = json.loads(outputs["lanes"]) if outputs.get("lanes") else None
    if name in LANES and lanes is not None and not set(LANES[name]) & set(lanes):
        return "the change does not touch what it tests"
    return None


def judge(needs):
    """Rows of (job, result, reason)."""
    outputs = needs.get("plan", {}).get("outputs", {})
    broken = any(job["result"] not in ("success", "skipped") for job in needs.values())
    rows = []
    for name, job in sorted(needs.items()):
        result, reason = job["result"], ""
        if result == "skipped":
            reason = reason_to_skip(name, outputs)
            if reason is None:
                result, reason = "failure", "did not run: a job before it failed" if broken else UNEXPLAINED
        rows.append((name, result, reason))
    return rows


def main():
    rows = judge(json.loads(os.environ["NEEDS"]))

    lines = ["| job | result | |", "|---|---|---|"]
    lines += [f"| {name} | {result} | {reason} |" for name, result, reason in rows]
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(path, "a", encoding="utf-8") as summary:
            summary.write("\n".join(lines) + "\n")
    for name, result, reason in rows:
        print(f"{result:8} {name}" + (f": {reason}" if reason else ""))
        if result == "skipped":
            print(f"::notice title={name} skipped::{reason}")
    failed = [name for name, result, _ in rows if result not in ("success", "skipped")]
    skipped = [name for name, result, _ in rows if result == "skipped"]
    if failed:
        print(f"::error title=ci-ok::{', '.join(failed)}")
    print(f"{len(rows) - len(failed) - len(skipped)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
