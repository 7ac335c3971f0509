# Built by `make image`, which downloads what pip needs into build/wheels first: the build itself needs no network.
# Any image that has Python 3.11 as `python3`, with `venv`, can be the base.
#
# Two images can be built: the product (the default), and `--target trial`, which contains the sandbox too.
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS build
COPY build/wheels /wheels
# A library without a wheel for this machine is here as its source. Only then the build needs a compiler, and the network.
# Debian's mirrors hold only the newest version of a package, so a pinned one would soon be missing.
ARG COMPILER="gcc libc6-dev zlib1g-dev"
# hadolint ignore=DL3008,SC2086
RUN if ls /wheels/*.tar.gz >/dev/null 2>&1; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends ${COMPILER} \
        && rm -rf /var/lib/apt/lists/*; \
    fi
COPY requirements /requirements
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
# pip stays in the build stage; the environment that is copied has none
RUN python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install --require-hashes -r /requirements/sbom.txt \
    && python3 -m venv --without-pip /opt/paynotify \
    && /opt/tools/bin/pip --python /opt/paynotify/bin/python install --require-hashes \
        -r /requirements/runtime.txt -r /requirements/image.txt
# faust-streaming's build goes on without its C modules when they do not compile; the workers would be slower, unnoticed
RUN /opt/paynotify/bin/python -c 'import faust._cython.streams, faust._cython.windows'
COPY . /source
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/product /source \
    && /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/sandbox /source/sandbox \
    && /opt/tools/bin/pip --python /opt/paynotify/bin/python install --no-deps /tmp/product/*.whl \
    && /opt/tools/bin/pip --python /opt/paynotify/bin/python uninstall --yes setuptools \
    && /opt/tools/bin/cyclonedx-py environment --pyproject /source/pyproject.toml --output-reproducible \
        --output-file /opt/paynotify/sbom.cdx.json /opt/paynotify/bin/python

FROM build AS build-trial
RUN /opt/tools/bin/pip --python /opt/paynotify/bin/python install --no-deps /tmp/sandbox/*.whl

FROM ${BASE} AS base
ARG BASE
ARG VERSION=
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}"
# numbers: a platform can check that it is not root without reading the image's list of users
RUN install -d -o 10001 -g 10001 -m 0750 /var/lib/paynotify
ENV PATH=/opt/paynotify/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080 9090
# the first process: it forwards signals and reaps orphaned processes
ENTRYPOINT ["dumb-init", "--", "paynotify"]
CMD ["--help"]

FROM base AS trial
LABEL org.opencontainers.image.title="paynotify-trial" \
      org.opencontainers.image.description="paynotify with its sandbox: simulated providers, for trials only"
COPY --from=build-trial /opt/paynotify /opt/paynotify

FROM base AS product
LABEL org.opencontainers.image.title="paynotify" \
      org.opencontainers.image.description="Turns payment providers' webhooks into one stream of payment statuses on Kafka"
COPY --from=build /opt/paynotify /opt/paynotify
