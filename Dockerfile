# syntax=docker/dockerfile:1
# Two stages: a wheel is built and installed into a virtual environment; only that goes on. What pip
# takes is pinned by its hash: requirements.lock, and requirements-build.lock for what builds the
# wheel (`make lock` writes both). But the base image is not, nor the syntax above: their tags move,
# and a build that pulls gets the mends of Debian and Python. Who wants the same base each time writes
# its digest into both lines: FROM python:3.12-slim@sha256:…
#
#   docker build -t bff .
#   docker run --read-only -p 8000:8000 -v ./bff.toml:/etc/bff/bff.toml:ro -v ./spa:/srv/spa:ro \
#     -e BFF_KEY -e BFF_CLIENT_SECRET -e BFF_STORE bff
#
# Compose and Kubernetes: docs/deploy.md. The operations address is 127.0.0.1:9090 unless the file
# says otherwise: the health check reaches it there; for probes from outside set
# listen = "0.0.0.0:9090" in [operate]. Another port there wants BFF_LIVE=http://127.0.0.1:PORT/live.

FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# The other one, requirements-otel.lock, has OpenTelemetry's SDK as well: docs/traces.md.
ARG LOCK=requirements.lock
COPY requirements.lock requirements-otel.lock requirements-build.lock ./
RUN python -m venv /opt/bff \
 && /opt/bff/bin/pip install --require-hashes --only-binary :all: \
    --requirement "$LOCK" --requirement requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY bff ./bff
# A wheel, not the folder: what is installed is what would be published.
RUN /opt/bff/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /opt/wheels . \
 && /opt/bff/bin/pip install --no-deps --no-index /opt/wheels/*.whl \
 && /opt/bff/bin/pip check \
 && /opt/bff/bin/pip uninstall --yes setuptools pip

FROM python:3.12-slim
# pip has compiled the package and nothing is written: the root file system may be read-only.
ENV PATH=/opt/bff/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BFF_LIVE=http://127.0.0.1:9090/live
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
    --shell /usr/sbin/nologin bff
COPY --from=build /opt/bff /opt/bff
USER 10001:10001
# Where no ./bff of a mounted folder could stand in for the package.
WORKDIR /
EXPOSE 8000 9090
# In the form with brackets there is no shell. An answer that is not 200 raises, and so does none.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(os.environ['BFF_LIVE'], timeout=2)"]
# The supervisor is process 1: it hears SIGTERM, and it waits for its workers.
STOPSIGNAL SIGTERM
ENTRYPOINT ["bff", "serve", "--config", "/etc/bff/bff.toml", "--host", "0.0.0.0"]
