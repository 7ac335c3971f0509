# Built by `make image`, which fetches what pip needs into build/wheels first: the build itself needs no network.
# Any image that has Python 3.11 as `python3`, with `venv`, can be the base.
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS build
COPY build/wheels /wheels
COPY requirements /requirements
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
# pip stays among the tools: the environment that is kept has none
RUN python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install --require-hashes -r /requirements/sbom.txt \
    && python3 -m venv --without-pip /opt/paynotify \
    && /opt/tools/bin/pip --python /opt/paynotify/bin/python install --require-hashes \
        -r /requirements/runtime.txt -r /requirements/image.txt
COPY . /source
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/product /source \
    && /opt/tools/bin/pip --python /opt/paynotify/bin/python install --no-deps /tmp/product/*.whl \
    && /opt/tools/bin/pip --python /opt/paynotify/bin/python uninstall --yes setuptools \
    && /opt/tools/bin/cyclonedx-py environment --pyproject /source/pyproject.toml --output-reproducible \
        --output-file /opt/paynotify/sbom.cdx.json /opt/paynotify/bin/python

FROM ${BASE}
LABEL org.opencontainers.image.title="paynotify" \
      org.opencontainers.image.description="Turns payment providers' webhooks into one stream of payment statuses on Kafka"
COPY --from=build /opt/paynotify /opt/paynotify
# numbers: a platform can check that it is not root without reading the image's list of users
RUN install -d -o 10001 -g 10001 -m 0750 /var/lib/paynotify
ENV PATH=/opt/paynotify/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080 9090
# the first process: it passes signals on and takes leave of children that nobody waits for
ENTRYPOINT ["dumb-init", "--", "paynotify"]
CMD ["--help"]
