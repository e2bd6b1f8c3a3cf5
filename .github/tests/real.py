"""Runs ci.yml with act and with the real programs: plan, fast checks, the tests built once, and one shard of them.

Half an hour, and the `tfhe` crate on top where CARGO_TARGET_DIR (or else target) does not have it; so by name only:
.github/tests/run real
"""

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import act
import support

ROOT = support.GITHUB.parent
JOB = re.compile(r"^\[ci/([^\]]*?) *\].*(Job succeeded|Job failed)$", re.MULTILINE)


class Real(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.repository, self.artifacts = Path(folder.name, "repository"), Path(folder.name, "artifacts")
        self.artifacts.mkdir()
        # Packages of the system are not installed by a test: what a lane needs of them is here, or the lane fails.
        self.programs = Path(folder.name, "programs")
        self.programs.mkdir()
        support.stub(self.programs, "sudo", "exit 0")
        # The last commit, as main: everything is planned.
        subprocess.run(["git", "clone", "--quiet", ROOT, self.repository], check=True)
        subprocess.run(["git", "checkout", "--quiet", "-B", "main"], cwd=self.repository, check=True)

    def run_job(self, job, *matrix):
        """Runs a job and those that it needs. One entry of a matrix at a time: entries share a folder, which the first to
        end removes."""
        environment = {
            "ARTIFACTS": str(self.artifacts),
            "CARGO_TARGET_DIR": os.path.abspath(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")),
        }
        options = ["-W=.github/workflows/ci.yml", f"-j={job}", *(f"--matrix={entry}" for entry in matrix)]
        options += [f"--env={name}={value}" for name, value in environment.items()]
        environment["PATH"] = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        log = ROOT / f"target/ci/act-{job}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        code, out = act.run(self.repository, "push", *options, seconds=4 * 3600, log=log, **environment)
        self.assertEqual(code, 0, out)
        return dict(JOB.findall(out))

    def test_lint(self):
        self.assertEqual(self.run_job("fast", "lane:lint"), dict.fromkeys(["Plan", "lint"], "Job succeeded"))

    def test_a_shard(self):
        jobs = dict.fromkeys(["Plan", "fmt", "Build tests", "Tests 1/4"], "Job succeeded")
        self.assertEqual(self.run_job("shards", "lane:fmt", "shard:1"), jobs)
        report = json.loads((self.artifacts / "ci-test-1/test.json").read_text(encoding="utf-8"))
        self.assertGreater(report["passed"], 0, report)
        self.assertEqual((report["failed"], report["skipped"]), (0, 0), report)


if __name__ == "__main__":
    unittest.main()
