"""Compiles the inner loops with mypyc while a wheel is built: a hook of hatchling, for who asks for it.

``HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 pip wheel .`` makes a wheel for this machine's kind and Python; without it,
a wheel and an editable install are pure Python. Both are made from the same source, and pass the same tests
(`make test-native`).
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from mypyc.build import mypycify
from setuptools import Distribution
from setuptools.command.build_ext import build_ext

_OPTIONS: Final = (
    # The build's own: whoever builds has not the stubs of what is imported, and `make lint` has checked the types.
    *("--config-file=", "--explicit-package-bases", "--namespace-packages", "--ignore-missing-imports"),
)
_FLAGS: Final = "-ffp-contract=off"
"""A product and a sum are two operations, as in Python: fused ones, on ARM, would give other last bits."""


class NativeBuildHook(BuildHookInterface[Any]):
    """Compiles the modules named in ``pyproject.toml`` and puts them beside their source."""

    PLUGIN_NAME = "native"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless the install is an editable one: there a module that was compiled would hide its source."""
        if version == "editable":
            return
        folder = Path(tempfile.mkdtemp(prefix="riverrun-native-"))
        # Not sooner: the libraries are put into the wheel after this has returned.
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        root = Path(self.root)
        for library in _compile(root, self.config["modules"], folder):
            build_data["force_include"][str(library)] = str(library.relative_to(folder / "lib"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def _compile(root: Path, modules: list[str], folder: Path) -> list[Path]:
    """Return the libraries, in a tree like the packages'."""
    os.environ["MYPYPATH"] = os.pathsep.join((str(root / "shared"), str(root)))
    os.environ["CFLAGS"] = " ".join(filter(None, (os.environ.get("CFLAGS"), _FLAGS)))
    before = Path.cwd()
    os.chdir(root)
    try:
        extensions = mypycify(
            [*_OPTIONS, *modules], opt_level="3", debug_level="0", target_dir=str(folder / "c"), group_name="riverrun"
        )
        command = build_ext(Distribution({"name": "riverrun", "ext_modules": extensions}))
        command.build_lib, command.build_temp = str(folder / "lib"), str(folder / "temp")
        command.parallel = os.cpu_count()
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    found = sorted((folder / "lib").rglob(f"*{suffix}"))
    if len(found) != len(modules) + 1:
        sys.exit(f"{len(modules)} modules were to be compiled, there are {len(found)} libraries with what they share")
    return found
