"""Tests of verdict.py: what makes ci-ok fail, and how skips are shown."""

import contextlib
import io
import json
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import support

verdict = support.load("verdict")
JOBS = ["plan", "fast", "build", "shards", "whole", "more", "icount", "fuzz", "security", "gpu"]


def needs(lanes=("fmt", "lint", "test", "docs", "fuzz", "icount", "gpu"), gpu_skipped="", **results):
    found = {name: {"result": results.get(name, "success"), "outputs": {}} for name in JOBS}
    found["plan"]["outputs"] = {"lanes": json.dumps(lanes), "gpu-skipped": gpu_skipped}
    return found


def run(found):
    """Exit code, output and summary."""
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder, "summary.md")
        environment = {"NEEDS": json.dumps(found), "GITHUB_STEP_SUMMARY": str(summary)}
        with mock.patch.dict(os.environ, environment), contextlib.redirect_stdout(io.StringIO()) as out:
            code = verdict.main()
        return code, out.getvalue(), summary.read_text(encoding="utf-8")


class Verdict(unittest.TestCase):
    def test_all_well(self):
        code, out, _ = run(needs())
        self.assertEqual(code, 0)
        self.assertTrue(out.endswith("10 passed, 0 failed, 0 skipped\n"), out)

    def test_each_job_can_fail_it(self):
        for job in JOBS:
            for result in ("failure", "cancelled"):
                code, out, _ = run(needs(**{job: result}))
                self.assertEqual(code, 1, (job, result))
                self.assertIn(f"::error title=ci-ok::{job}", out)

    def test_a_skipped_gpu_is_shown_with_its_reason(self):
        code, out, summary = run(needs(gpu="skipped", gpu_skipped="no GPU runner"))
        self.assertEqual(code, 0)
        self.assertIn("::notice title=gpu skipped::no GPU runner", out)
        self.assertIn("| gpu | skipped | no GPU runner |", summary)
        self.assertTrue(out.endswith("9 passed, 0 failed, 1 skipped\n"), out)

    def test_a_gpu_skipped_without_a_reason_fails(self):
        self.assertEqual(run(needs(gpu="skipped"))[0], 1)

    def test_a_planned_job_must_not_be_skipped(self):
        for job in JOBS[1:-1]:
            code, out, _ = run(needs(**{job: "skipped"}))
            self.assertEqual(code, 1, job)
            self.assertIn("the plan does not say why", out)

    def test_an_unplanned_job_may_be_skipped_but_security_never(self):
        skipped = {job: "skipped" for job in ("build", "shards", "whole", "icount", "fuzz")}
        found = needs(lanes=["fmt", "docs"], gpu_skipped="not touched", gpu="skipped", **skipped)
        self.assertEqual(run(found)[0], 0)
        found["security"]["result"] = "skipped"
        self.assertEqual(run(found)[0], 1)

    def test_without_a_plan_nothing_may_be_skipped(self):
        found = needs(build="skipped")
        found["plan"] = {"result": "failure", "outputs": {}}
        code, out, _ = run(found)
        self.assertEqual(code, 1)
        self.assertIn("build, plan", out)
        self.assertEqual(run({})[0], 1)


if __name__ == "__main__":
    unittest.main()
