"""Runs workflows on this machine with act; external actions are the stand-ins of `stubs`."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import support

USES = re.compile(r"uses: ([\w.-]+)/([\w.-]+)((?:/[\w.-]+)*)@([0-9a-f]{40})")


def stand_ins():
    """Options that replace every external action of the workflows; an action without a stand-in is an error."""
    options = set()
    for folder in ("workflows", "actions"):
        for file in (support.GITHUB / folder).rglob("*.yml"):
            for owner, name, inner, commit in USES.findall(file.read_text(encoding="utf-8")):
                stub = support.GITHUB / "tests/stubs" / name
                if not (stub / inner.lstrip("/") / "action.yml").exists():
                    raise AssertionError(f"{file.name} uses {owner}/{name}{inner}, which has no stand-in in {stub}")
                options.add(f"--local-repository={owner}/{name}@{commit}={stub}")
    return sorted(options)


def run(folder, event, *options, seconds=600, log=None, **environment):
    """Exit code and output of act in `folder`; the output is also in the file `log`, while it comes."""
    command = ["act", event, "--pull=false", "--concurrent-jobs=1", *stand_ins(), *options]
    # Nothing is downloaded, and no container is started.
    command += ["-P=ubuntu-latest=-self-hosted", "-P=self-hosted=-self-hosted", "-P=gpu=-self-hosted"]
    with open(log, "w+b") if log else tempfile.TemporaryFile() as out, tempfile.TemporaryDirectory() as workspaces:
        done = subprocess.run(
            [*command, f"--action-cache-path={workspaces}"],
            cwd=folder,
            env=os.environ | environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
        out.seek(0)
        return done.returncode, out.read().decode("utf-8", "replace")


def artifacts(folder):
    """The names of the artifacts in a folder."""
    return sorted(path.name for path in Path(folder).iterdir())
