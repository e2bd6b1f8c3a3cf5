"""Tests of gpu_preflight.py with a stand-in for nvidia-smi and for the device nodes."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

import support

# One healthy card, as nvidia-smi prints it. Other calls than queries end with 9: the script must not change anything.
SMI = """
case "$1" in
--query-gpu=index,*) cat "$(dirname "$0")/gpu.csv" ;;
--query-gpu=clocks_event_reasons.active) echo "${REASONS:-0x0000000000000001}" ;;
--query-gpu=clocks_throttle_reasons.active) echo 'Field "x" is not a valid field to query.'; exit 2 ;;
--query-gpu=remapped_rows.pending) echo "${PENDING:-No}" ;;
--query-gpu=remapped_rows.failure) echo No ;;
--query-compute-apps=*) printf '%s' "${APPS:-}" ;;
*) exit 9 ;;
esac
"""
CARD = {
    "index": "0", "uuid": "GPU-1", "name": "NVIDIA H100 80GB HBM3", "driver": "580.65.06", "cap": "9.0", "pstate": "P0",
    "total": "81559", "used": "4", "sm": "345", "memory": "2619", "max_sm": "1980", "max_memory": "2619",
    "temperature": "31", "power": "70.1", "limit": "700.0", "ecc": "Enabled", "volatile": "0", "aggregate": "0",
}  # fmt: skip


class Preflight(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        support.stub(self.folder, "nvidia-smi", SMI)
        self.dev = self.folder / "dev"
        self.dev.mkdir()
        for name in ("nvidiactl", "nvidia-uvm", "nvidia0"):
            (self.dev / name).symlink_to("/dev/null")
        self.card()

    def card(self, **fields):
        row = ", ".join((CARD | fields).values())
        (self.folder / "gpu.csv").write_text(row + "\n", encoding="utf-8")

    def run_it(self, *arguments, path=None, **variables):
        """Exit code, report, output."""
        file = self.folder / "deep/er/preflight.json"
        command = [support.SCRIPTS / "gpu_preflight.py", "--dev", self.dev, "--json", file, *arguments]
        environment = support.environment(self.folder, **variables)
        if path is not None:
            environment["PATH"] = path
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        return done.returncode, json.loads(file.read_text(encoding="utf-8")), done.stdout

    def fails(self, check, words, *arguments, **variables):
        code, report, out = self.run_it(*arguments, **variables)
        self.assertEqual((code, report["verdict"]), (1, "failed"), out)
        failed = [row for row in report["checks"] if row["outcome"] == "failed"]
        self.assertEqual([row["name"] for row in failed], [check])
        self.assertIn(words, failed[0]["reason"])
        return report

    def test_a_healthy_card_passes(self):
        code, report, out = self.run_it("--smoke", "echo answers: 0 wrong")
        self.assertEqual((code, report["verdict"], report["class"]), (0, "passed", "nvidia-h100-80gb-hbm3"), out)
        names = [row["name"] for row in report["checks"]]
        expected = "device nodes,driver,memory,ecc,clocks,throttling,foreign processes,smoke kernel"
        self.assertEqual(",".join(names), expected)
        self.assertTrue(out.endswith("8 passed, 0 failed, 0 skipped\n"), out)
        self.assertEqual(report["checks"][5]["found"]["0"]["reasons"], ["idle"])

    def test_without_a_smoke_kernel_it_is_skipped_with_its_reason(self):
        code, report, _ = self.run_it()
        self.assertEqual(code, 0)
        self.assertEqual(report["checks"][-1]["outcome"], "skipped")
        self.assertIn("--smoke", report["checks"][-1]["reason"])

    def test_no_driver_is_a_skip_unless_a_card_is_required(self):
        (self.folder / "nvidia-smi").unlink()
        path = f"{self.folder}:/usr/bin:/bin"
        code, report, out = self.run_it(path=path)
        self.assertEqual((code, report["verdict"]), (0, "skipped"), out)
        self.assertIn("nvidia-smi is not installed", report["reason"])
        code, report, out = self.run_it(path=path, FHE_REQUIRE_GPU="1")
        self.assertEqual((code, report["verdict"]), (2, "failed"), out)
        self.assertTrue(out.endswith("0 passed, 1 failed, 0 skipped\n"), out)

    def test_no_card_is_a_skip_unless_required(self):
        support.stub(self.folder, "nvidia-smi", "echo 'No devices were found'; exit 6")
        self.assertEqual(self.run_it()[0], 0)
        self.assertEqual(self.run_it(FHE_REQUIRE_GPU="1")[0], 2)

    def test_a_driver_that_breaks_fails_always(self):
        support.stub(self.folder, "nvidia-smi", "echo 'Unable to determine the device handle: Unknown Error'; exit 15")
        code, report, _ = self.run_it()
        self.assertEqual((code, report["verdict"]), (1, "failed"))

    def test_device_nodes(self):
        (self.dev / "nvidia-uvm").unlink()
        self.fails("device nodes", "nvidia-uvm: No such file")
        (self.dev / "nvidia-uvm").write_text("", encoding="utf-8")
        self.fails("device nodes", "not a character device")

    def test_an_old_driver(self):
        self.card(driver="535.10")
        self.fails("driver", "535.10")

    def test_memory(self):
        self.card(used="79000")
        self.fails("memory", "MiB free")
        self.card(used="5000")
        self.fails("memory", "in use")
        self.assertEqual(self.run_it("--used-mib", "8000")[0], 0)

    def test_ecc(self):
        self.card(volatile="3")
        self.fails("ecc", "uncorrected")
        self.card(aggregate="3")
        self.assertEqual(self.run_it()[0], 0)
        self.fails("ecc", "remapped", PENDING="Yes")
        self.card(ecc="[N/A]", volatile="[N/A]", aggregate="[N/A]")
        code, report, _ = self.run_it()
        self.assertEqual((code, report["checks"][3]["outcome"]), (0, "skipped"))

    def test_clocks(self):
        self.fails("clocks", "1980 MHz", "--clock-mhz", "2000")
        self.card(max_sm="[N/A]")
        self.fails("clocks", "unknown")

    def test_throttling(self):
        self.fails("throttling", "hardware thermal", REASONS="0x0000000000000041")
        self.assertEqual(self.run_it(REASONS="0x0000000000000004")[0], 0)
        code, report, _ = self.run_it(REASONS="[N/A]")
        self.assertEqual((code, report["checks"][5]["outcome"]), (0, "skipped"))

    def test_foreign_processes(self):
        report = self.fails("foreign processes", "python (42)", APPS="GPU-1, 42, /usr/bin/python, 300\n")
        self.assertEqual(report["checks"][6]["found"][0]["used_mib"], 300)
        self.assertEqual(self.run_it(APPS="GPU-2, 42, /usr/bin/python, 300\n")[0], 0)

    def test_a_smoke_kernel_that_fails_hangs_or_is_absent(self):
        self.fails("smoke kernel", "ended with 1", "--smoke", "sh -c 'echo 3 answers are wrong; exit 1'")
        self.fails("smoke kernel", "took more than 1 s", "--smoke", "sleep 60", "--smoke-seconds", "1")
        self.fails("smoke kernel", "No such file", "--smoke", "./nothing-here")

    def test_after_a_failure_the_smoke_kernel_is_not_started(self):
        self.card(volatile="3")
        report = self.fails("ecc", "uncorrected", "--smoke", f"touch {self.folder}/started")
        self.assertEqual(report["checks"][-1]["outcome"], "skipped")
        self.assertFalse((self.folder / "started").exists())

    def test_one_card_of_several(self):
        rows = [", ".join((CARD | {"index": str(i), "uuid": f"GPU-{i}", "volatile": str(i)}).values()) for i in (0, 1)]
        (self.folder / "gpu.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        (self.dev / "nvidia1").symlink_to("/dev/null")
        self.assertEqual(self.run_it("--device", "0")[0], 0)
        self.fails("ecc", "card 1", "--device", "1")
        self.assertEqual(self.run_it("--device", "7", FHE_REQUIRE_GPU="1")[0], 2)


if __name__ == "__main__":
    unittest.main()
