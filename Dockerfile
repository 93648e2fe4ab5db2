# One image for all of riverrun's services: `docker build -t riverrun:0.1.0 .`
# What a service is told apart by is its command: python -m services.<name> FILE.

FROM python:3.11.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /venv
# For the inner loops, which are compiled (docs/decisions/0033).
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
# The lock first: its layer stays as long as no dependency changes. Every file is checked against its hash.
COPY requirements.lock ./
RUN /venv/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY shared shared
COPY services services
COPY schemas schemas
COPY scripts/native_build.py scripts/unneeded_packages.py scripts/
RUN HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 /venv/bin/pip install --no-deps --no-build-isolation .
# The lock also has what tests and the demo need: it goes, and so does pip itself.
RUN /venv/bin/python scripts/unneeded_packages.py alerts gateway telemetry > /tmp/unneeded \
    && /venv/bin/pip uninstall --yes --quiet -r /tmp/unneeded \
    && /venv/bin/python -c "import services.ingest.wiring, services.learn.wiring, services.score.wiring" \
    && /venv/bin/pip uninstall --yes --quiet pip

FROM python:3.11.13-slim-bookworm
LABEL org.opencontainers.image.title="riverrun" org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 riverrun \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin riverrun \
    # A named volume takes over the owner of the folder that it is mounted on.
    && install --directory --owner 10001 --group 10001 /data /models
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    RIVERRUN_DATA=/data \
    RIVERRUN_MODEL_STORE=/models
USER 10001:10001
WORKDIR /data
VOLUME ["/data", "/models"]
STOPSIGNAL SIGTERM
CMD ["riverrun", "--help"]
