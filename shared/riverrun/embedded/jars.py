"""Kafka's own jar files, fetched once by Maven into the user's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from riverrun.embedded.folder_lock import folder_lock
from riverrun.embedded.java import java_home_for_maven
from riverrun.errors import UnavailableError

__all__ = ["KAFKA_VERSION", "cache_folder", "kafka_jars"]

# Not 4.3 or 4.4: there a coordinator that restarts may leave a transaction open for ever (docs/decisions/0026).
KAFKA_VERSION = "4.2.1"

# Pinned like everything else that runs at build time; -C below makes Maven refuse a file whose checksum
# differs.
_COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_SLF4J_VERSION = "1.7.36"
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>riverrun</groupId>
  <artifactId>embedded-kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>{_SLF4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
_LINES_OF_FAILURE = 3


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where riverrun keeps what it downloads: ``$RIVERRUN_CACHE``, else ``~/.cache/riverrun``.

    Examples
    --------
    >>> cache_folder({"RIVERRUN_CACHE": "/var/cache/riverrun"}).as_posix()
    '/var/cache/riverrun'
    """
    if environ.get("RIVERRUN_CACHE"):
        return Path(environ["RIVERRUN_CACHE"])
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "riverrun"


def kafka_jars(announce: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder with Kafka's jar files, after fetching them if they are not there.

    Parameters
    ----------
    announce : callable
        Told in one line when a download starts.
    environ : Mapping of str to str
        Settings, for `cache_folder` and for Maven.

    Returns
    -------
    Path
        A folder of jar files, complete: it appears under its name only when all of it is there.

    Raises
    ------
    UnavailableError
        When Maven is missing or fails.
    """
    cache = cache_folder(environ)
    jars = cache / f"kafka-{KAFKA_VERSION}"
    if jars.is_dir():
        return jars
    with folder_lock(cache):
        if not jars.is_dir():
            announce(f"fetching Kafka {KAFKA_VERSION} by Maven into {cache} (about 45 MB, once)")
            with tempfile.TemporaryDirectory(dir=cache, prefix=".fetching-") as scratch:
                _copy_dependencies(Path(scratch), environ)
                (Path(scratch) / "jars").rename(jars)
    return jars


def _copy_dependencies(scratch: Path, environ: Mapping[str, str]) -> None:
    maven = shutil.which("mvn", path=environ.get("PATH"))
    if maven is None:
        raise UnavailableError(
            "the embedded Kafka is fetched by Maven, and mvn is not on the PATH",
            hint="install it (apt-get install maven, dnf install maven, apk add maven brew install maven), "
            "or set RIVERRUN_KAFKA to a broker you have",
        )
    (scratch / "pom.xml").write_text(_POM, encoding="utf-8")
    java_home = java_home_for_maven()
    command = [
        maven,
        "--batch-mode",
        "--strict-checksums",
        "--no-transfer-progress",
        "--file",
        str(scratch / "pom.xml"),
        _COPY_GOAL,
        "-DincludeScope=runtime",
        f"-DoutputDirectory={scratch / 'jars'}",
    ]
    result = subprocess.run(
        command,
        env={**environ, **({"JAVA_HOME": str(java_home)} if java_home else {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        errors = [line for line in result.stdout.splitlines() if line.startswith("[ERROR]")]
        raise UnavailableError(
            "Maven could not fetch Kafka: " + " ".join(errors[:_LINES_OF_FAILURE]),
            hint="check the network and Maven's settings.xml, or set RIVERRUN_KAFKA to a broker you have",
        )
