"""Runs ci.yml as a whole with act: stand-ins for cargo and the card, everything else as it is.

Shows that a failure in any lane makes ci-ok fail, and that a GPU that is left out is shown with its reason.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import act
import support
from test_preflight import CARD, SMI
from test_sanitize import SANITIZER

ROW = re.compile(r"^\| ([\w-]+) \| (success|failure|skipped|cancelled) \| (.*) \|$", re.MULTILINE)
EVERYTHING = ["fmt", "lint", "docs", "test", "doctest", "fuzz", "kernels", "emulate", "icount", "deps", "workflows", "gpu"]

# Stands for cargo and xtask: lanes leave their report, and fail where FAIL names them.
CARGO = """
set -e
mkdir -p target/ci target/release target/doc
line="$*"
case "$line" in
"xtask ci tools"*) echo "stub: tools" ;;
"xtask ci plan"*)
    echo "{\\"lanes\\":$LANES,\\"filter\\":\\"all()\\"}" > target/ci/planned.json
    printf 'lanes=%s\\nfilter=all()\\n' "$LANES" >> "$GITHUB_OUTPUT"
    lane=plan ;;
"xtask ci archive"*) lane=archive; echo tests > target/tests.tar.zst ;;
"xtask ci test"*) lane=test; grep -q tests target/tests.tar.zst ;;
"xtask ci "*) lane=$3 ;;
"build --release --features gpu --bin fhe-gpu-check")
    printf '#!/bin/sh\\necho "{}" > target/ci/smoke.json\\n' > target/release/fhe-gpu-check
    chmod +x target/release/fhe-gpu-check ;;
"test --features gpu --release") lane=gpu ;;
"test --release --features gpu --test gpu --no-run"*)
    printf '#!/bin/sh\\nexit 0\\n' > target/gpu-tests; chmod +x target/gpu-tests
    echo "{\\"reason\\":\\"compiler-artifact\\",\\"target\\":{\\"name\\":\\"gpu\\"},\\"executable\\":\\"$PWD/target/gpu-tests\\"}" ;;
*) echo "stub: no such command: cargo $line" >&2; exit 64 ;;
esac
[ -n "$lane" ] || exit 0
echo "{}" > "target/ci/$lane.json"
echo "ran: $line"
if [ "$lane" = "$FAIL" ]; then echo "0 passed, 1 failed, 0 skipped"; exit 1; fi
"""


@unittest.skipUnless(shutil.which("act") or os.environ.get("FHE_REQUIRE_TOOLS") == "1", "act is not installed")
class Pipeline(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.repository = self.folder / "repository"
        shutil.copytree(support.GITHUB, self.repository / ".github")
        shutil.copytree(support.GITHUB.parent / ".ci", self.repository / ".ci")
        nodes = self.folder / "dev"
        nodes.mkdir()
        for name in ("nvidiactl", "nvidia-uvm", "nvidia0"):
            (nodes / name).symlink_to("/dev/null")
        # Instead of a download.
        shutil.copy(support.GITHUB / "tests/stubs/setup-cuda.yml", self.repository / ".github/actions/setup-cuda/action.yml")
        cuda = self.folder / "cuda/bin"
        cuda.mkdir(parents=True)
        support.stub(cuda, "nvcc", 'while [[ $1 != -o ]]; do shift; done; cp /bin/true "$2"')
        support.stub(cuda, "compute-sanitizer", SANITIZER)
        git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]
        for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "test"]):
            subprocess.run(git + words, cwd=self.repository, check=True)
        self.programs = self.folder / "programs"
        self.programs.mkdir()
        support.stub(self.programs, "cargo", CARGO)
        support.stub(self.programs, "rustup", 'if [[ $1 == component ]]; then printf "rustfmt\\nclippy\\nllvm-tools\\n"; fi')
        support.stub(self.programs, "rustc", "echo host: stub")
        support.stub(self.programs, "sudo", "exit 0")
        support.stub(self.programs, "nvidia-smi", SMI)
        (self.programs / "gpu.csv").write_text(", ".join(CARD.values()) + "\n", encoding="utf-8")

    def pipeline(self, event="push", lanes=None, fail="", **variables):
        """Exit code and output of act, and the table of ci-ok: (result, reason) by job."""
        artifacts = self.folder / "artifacts"
        artifacts.mkdir(exist_ok=True)
        options = ["-W", ".github/workflows/ci.yml"]
        options += [f"--var={name}={value}" for name, value in variables.items()]
        environment = {
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "ARTIFACTS": str(artifacts),
            "LANES": json.dumps(lanes or EVERYTHING, separators=(",", ":")),
            "FAIL": fail,
            "CUDA_STUBS": str(self.folder / "cuda"),
            "FHE_DEVICE_NODES": str(self.folder / "dev"),
        }
        options += [f"--env={name}={environment[name]}" for name in environment if name != "PATH"]
        code, out = act.run(self.repository, event, *options, **environment)
        # From the summary, which act prints as a whole; lines of a step that fails may come late, or not at all.
        table = {job: (result, reason) for job, result, reason in ROW.findall(out)}
        return code, out, table

    def test_all_well_and_the_gpu_is_shown_as_skipped(self):
        code, out, table = self.pipeline()
        self.assertEqual(code, 0, out)
        self.assertEqual(table.pop("gpu"), ("skipped", 'no GPU runner: the repository variable GPU_RUNNER is not "true"'))
        self.assertEqual(len(table), 9)
        self.assertEqual({result for result, _ in table.values()}, {"success"})
        for shard in "1234":
            self.assertIn(f"ran: xtask ci test --archive target/tests.tar.zst --shard {shard}/4 --filter all()", out)
        self.assertIn("--verify-shards 4", out)
        names = act.artifacts(self.folder / "artifacts")
        self.assertEqual([name for name in names if name.startswith("ci-test-")], [f"ci-test-{k}" for k in [*"1234", "whole"]])

    def test_a_pull_request_does_not_reach_the_gpu(self):
        code, out, table = self.pipeline(event="pull_request", GPU_RUNNER="true")
        self.assertEqual(code, 0, out)
        self.assertEqual(table["gpu"][0], "skipped")
        self.assertIn("only as branch pull-request/N", table["gpu"][1])
        self.assertNotIn("cargo test --features gpu", out)

    def test_a_change_of_the_readme_builds_nothing(self):
        code, out, table = self.pipeline(lanes=["fmt", "docs"])
        self.assertEqual(code, 0, out)
        self.assertNotIn("ran: xtask ci archive", out)
        self.assertEqual(table["shards"], ("skipped", "the change does not touch what it tests"))
        self.assertEqual(table["gpu"], ("skipped", "the change does not touch what runs on a card"))

    def test_a_failure_in_any_lane_fails_it(self):
        for lane in ["plan", "archive", *EVERYTHING[:-1]]:
            with self.subTest(lane):
                code, out, table = self.pipeline(fail=lane)
                self.assertNotEqual(code, 0)
                if lane in ("deps", "workflows"):
                    # act ends when a called workflow fails; what ci-ok says of it is in test_verdict.
                    self.assertEqual(table, {})
                else:
                    self.assertIn("failure", [result for result, _ in table.values()], out)
                    self.assertRegex(out, r"ci/ci-ok.*Job failed")

    def test_the_gpu_is_tested_where_there_is_a_runner(self):
        code, out, table = self.pipeline(GPU_RUNNER="true")
        self.assertEqual(code, 0, out)
        self.assertIn("ran: test --features gpu --release", out)
        self.assertEqual({result for result, _ in table.values()}, {"success"})
        names = act.artifacts(self.folder / "artifacts")
        self.assertIn("preflight-test", names)
        for tool in ("memcheck", "racecheck", "synccheck", "initcheck"):
            self.assertIn(f"gpu-{tool}", names)
        self.assertNotEqual(self.pipeline(GPU_RUNNER="true", fail="gpu")[0], 0)


if __name__ == "__main__":
    unittest.main()
