"""Tests of gpu_sanitize.py with stand-ins for compute-sanitizer and nvcc."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

import support

# Finds the planted bug of its tool, and what the stand-in for the tests says.
SANITIZER = """
tool=$2 code=$4; shift 6
"$@"; status=$?
[[ $2 == "$tool" || $status == 77 ]] && exit "$code"
exit $status
"""


class Sanitize(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        support.stub(self.folder, "compute-sanitizer", SANITIZER)
        support.stub(self.folder, "planted", "exit 0")

    def run_it(self, tool, command, *arguments, path=None):
        """Exit code, report, output."""
        file = self.folder / "sanitize.json"
        line = [support.SCRIPTS / "gpu_sanitize.py", tool, "--json", file, "--command", command, *arguments]
        environment = support.environment(self.folder)
        if path is not None:
            environment["PATH"] = path
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, cwd=self.folder)
        return done.returncode, json.loads(file.read_text(encoding="utf-8")), done.stdout + done.stderr

    def planted(self):
        return ["--planted", str(self.folder / "planted")]

    def test_each_tool_finds_its_bug_and_clean_tests_pass(self):
        for tool in ("memcheck", "racecheck", "synccheck", "initcheck"):
            code, report, out = self.run_it(tool, "sh -c 'test $FHE_REQUIRE_GPU = 1'", *self.planted())
            self.assertEqual((code, report["passed"], report["failed"]), (0, 3, 0), out)
            self.assertTrue(out.endswith("3 passed, 0 failed, 0 skipped\n"), out)

    def test_a_finding_and_a_failed_test_fail(self):
        for status in ("77", "101"):
            code, report, out = self.run_it("memcheck", f"sh -c 'exit {status}'", *self.planted())
            self.assertEqual((code, report["failed"]), (1, 1), out)

    def test_a_tool_that_finds_nothing_is_not_believed(self):
        support.stub(self.folder, "compute-sanitizer", "exit 0")
        code, report, out = self.run_it("racecheck", "true", *self.planted())
        self.assertEqual((code, report["stages"][0]["outcome"]), (2, "failed"), out)
        self.assertEqual(len(report["stages"]), 1, "the tests are not started")

    def test_a_tool_that_finds_something_everywhere_is_not_believed(self):
        support.stub(self.folder, "compute-sanitizer", "exit 86")
        code, report, _ = self.run_it("racecheck", "true", *self.planted())
        self.assertEqual((code, report["stages"][-1]["name"]), (2, "planted twin"))

    def test_the_planted_program_is_compiled(self):
        support.stub(self.folder, "nvcc", 'while [[ $1 != -o ]]; do shift; done; cp "$(dirname "$0")/planted" "$2"')
        code, _, out = self.run_it("memcheck", "true")
        self.assertEqual(code, 0, out)
        support.stub(self.folder, "nvcc", "exit 1")
        code, report, _ = self.run_it("memcheck", "true")
        self.assertEqual((code, report["stages"][0]["name"]), (2, "build"))

    def test_absent_tools_fail(self):
        (self.folder / "compute-sanitizer").unlink()
        code, report, _ = self.run_it("memcheck", "true", *self.planted(), path=f"{self.folder}:/usr/bin:/bin")
        self.assertEqual(code, 2)
        self.assertIn("is not installed", report["stages"][0]["reason"])

    def test_a_test_that_hangs_fails(self):
        code, report, _ = self.run_it("memcheck", "sleep 60", *self.planted(), "--seconds", "1")
        self.assertEqual((code, report["stages"][-1]["name"]), (1, "time"))


if __name__ == "__main__":
    unittest.main()
