"""Scripts as modules, and stand-ins for programs."""

import importlib.util
import os
from pathlib import Path

GITHUB = Path(__file__).parent.parent
SCRIPTS = GITHUB / "scripts"


def load(name):
    """The script `name` as a module."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stub(folder, name, text):
    """A program that is found before any other of its name."""
    path = Path(folder, name)
    path.write_text("#!/usr/bin/env bash\n" + text, encoding="utf-8")
    path.chmod(0o755)
    return path


def environment(folder, **more):
    """Variables with `folder` in front of the search path."""
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"} | more
