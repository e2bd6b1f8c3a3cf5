"""Tests of the script toolchain: what it asks rustup for, and when it asks for nothing."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import support

RUSTUP = """
case $1 in
component) cat "$STUB/installed" || exit 1 ;;
toolchain) echo "$*" >> "$STUB/calls" ;;
run) echo "rustc of $2" ;;
esac
"""
MANIFEST = '[toolchain]\nstable = "1.2.3"\nnightly = "nightly-2026-01-02"\n[python]\nstable-tool = { version = "4" }\n'
HAVE = "cargo\nclippy-x86_64-unknown-linux-gnu\nrust-std-x86_64-unknown-linux-gnu\nrustfmt-x86_64-unknown-linux-gnu\n"


class Toolchain(unittest.TestCase):
    def run_script(self, *arguments, have=None, manifest=MANIFEST):
        """Exit code, what rustup installs, and the variables of the job."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / ".ci").mkdir()
            (folder / ".ci/tools.toml").write_text(manifest, encoding="utf-8")
            if have is not None:
                (folder / "installed").write_text(have, encoding="utf-8")
            support.stub(folder, "rustup", RUSTUP)
            done = subprocess.run(
                [support.SCRIPTS / "toolchain", *arguments],
                cwd=folder,
                env=support.environment(folder, STUB=name, GITHUB_ENV=str(folder / "env")),
                check=False,
                capture_output=True,
            )
            texts = [folder / "calls", folder / "env"]
            return done.returncode, *(text.read_text(encoding="utf-8") if text.exists() else "" for text in texts)

    def test_what_is_missing_is_installed(self):
        line = "toolchain install 1.2.3 --profile minimal --component rustfmt,clippy --no-self-update\n"
        self.assertEqual(self.run_script(), (0, line, "RUSTUP_TOOLCHAIN=1.2.3\n"))

    def test_another_processor_is_a_target_and_not_a_component(self):
        target = "aarch64-unknown-linux-gnu"
        line = f"toolchain install 1.2.3 --profile minimal --component rustfmt,clippy --target {target} --no-self-update\n"
        self.assertEqual(self.run_script("", "", target, have=HAVE)[:2], (0, line))
        self.assertEqual(self.run_script("", "", target, have=HAVE + f"rust-std-{target}\n")[:2], (0, ""))

    def test_nothing_is_installed_twice(self):
        self.assertEqual(self.run_script(have=HAVE), (0, "", "RUSTUP_TOOLCHAIN=1.2.3\n"))
        code, calls, _ = self.run_script("", "llvm-tools", have=HAVE)
        self.assertEqual(code, 0)
        self.assertIn("--component rustfmt,clippy,llvm-tools ", calls)

    def test_names(self):
        for name, expected in (("stable", "1.2.3"), ("nightly", "nightly-2026-01-02"), ("1.91.1", "1.91.1")):
            self.assertEqual(self.run_script(name, have=HAVE)[2], f"RUSTUP_TOOLCHAIN={expected}\n")
        self.assertEqual(self.run_script("nightly", manifest='[toolchain]\nstable = "1.2.3"\n'), (1, "", ""))


if __name__ == "__main__":
    unittest.main()
