"""Tests of bench-trend: what it fetches, and that a report that fails makes it fail."""

import io
import json
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

import support

# The nights 1 and 2 have an artifact, the second without figures; cargo sees the history.
GH = """
case $2 in
*name=bench-a-card*) jq "$4" "$NIGHTS/artifacts.json" ;;
*/1/zip | */2/zip) id=${2%/zip}; cat "$NIGHTS/${id##*/}.zip" ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
"""
ARTIFACTS = [
    {"id": 1, "expired": False, "workflow_run": {"head_branch": "main", "head_repository_id": 7, "repository_id": 7}},
    {"id": 2, "expired": False, "workflow_run": {"head_branch": "main", "head_repository_id": 7, "repository_id": 7}},
    {"id": 3, "expired": True, "workflow_run": {"head_branch": "main", "head_repository_id": 7, "repository_id": 7}},
    # Of a fork, and of a branch: the stand-in for gh has none of them.
    {"id": 4, "expired": False, "workflow_run": {"head_branch": "main", "head_repository_id": 8, "repository_id": 7}},
    {"id": 5, "expired": False, "workflow_run": {"head_branch": "b", "head_repository_id": 7, "repository_id": 7}},
]
CARGO = 'echo "$*" > "$NIGHTS/called"; ls target/ci/history > "$NIGHTS/history"; exit "$CODE"\n'


class Trend(unittest.TestCase):
    def run_script(self, *arguments, code=0, gh=GH):
        """Exit code, what cargo was called with, the history that it saw, and the outputs of the step."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for night, file in ((1, "bench.json"), (2, "perf.md")):
                data = io.BytesIO()
                with zipfile.ZipFile(data, "w") as archive:
                    archive.writestr(file, "{}")
                (folder / f"{night}.zip").write_bytes(data.getvalue())
            (folder / "artifacts.json").write_text(json.dumps({"artifacts": ARTIFACTS}), encoding="utf-8")
            support.stub(folder, "gh", gh)
            support.stub(folder, "cargo", CARGO)
            variables = {"NIGHTS": name, "CODE": str(code), "GH_REPO": "o/r", "GITHUB_OUTPUT": str(folder / "out")}
            done = subprocess.run(
                [support.SCRIPTS / "bench-trend", *arguments],
                cwd=folder,
                env=support.environment(folder, **variables),
                check=False,
                capture_output=True,
            )
            texts = [folder / file for file in ("called", "history", "out")]
            return done.returncode, *(text.read_text(encoding="utf-8") if text.exists() else "" for text in texts)

    def test_earlier_nights_are_fetched(self):
        code, called, history, out = self.run_script("a-card")
        self.assertEqual(code, 0)
        self.assertEqual(called, "xtask bench-report --history target/ci/history --machine a-card\n")
        self.assertEqual((history, out), ("1.json\n", "class=a-card\n"))

    def test_a_slower_night_fails(self):
        self.assertEqual(self.run_script("a-card", code=1)[0], 1)

    def test_figures_that_cannot_be_fetched_fail(self):
        code, called, _, _ = self.run_script("a-card", gh="exit 4\n")
        self.assertEqual((code, called), (4, ""))

    def test_the_processor_is_a_class(self):
        out = self.run_script(gh="true\n")[3]
        self.assertRegex(out, r"^class=[a-z0-9]([a-z0-9-]*[a-z0-9])?\n$")


if __name__ == "__main__":
    unittest.main()
