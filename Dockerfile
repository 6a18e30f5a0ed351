# gracekeeper's two images: the server's (webhook, the default) and `supervise`, which runs inside training pods. The build
# reads no network: `make image` first puts the dependencies, every hash checked, into build/image/ARCHITECTURE for the base
# image's Python, and the static binary into build/supervise/ARCHITECTURE. Only what Docker's legacy builder can do is used.
ARG BASE=python:3.13-slim

FROM scratch AS supervise

ARG ARCHITECTURE=amd64
ARG VERSION=unknown
LABEL org.opencontainers.image.title="gracekeeper supervise" \
      org.opencontainers.image.description="PID 1 of the containers whose checkpoint gracekeeper protects" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# The legacy builder runs through this stage on its way to the default one, where no binary need be: a pattern may match
# nothing beside a file that is there. `make image` sees to it that this stage's own image has the binary.
COPY LICENSE build/supervise/${ARCHITECTURE}/supervis[e] /
USER 65532:65532
ENTRYPOINT ["/supervise"]

FROM ${BASE} AS webhook

# The architecture as in image names (amd64, arm64): which folder of dependencies is copied.
ARG ARCHITECTURE=amd64
ARG VERSION=unknown
LABEL org.opencontainers.image.title="gracekeeper" \
      org.opencontainers.image.description="Gives training pods the termination grace that their checkpoint needs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"

COPY build/image/${ARCHITECTURE} /opt/gracekeeper
COPY webhook /opt/gracekeeper/webhook
# The root file system is read-only, so bytecode is made now. It is trusted unchecked: nothing here ever changes.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/gracekeeper
# What the server loads as it goes: a dependency that is missing ends the build, not a pod.
RUN cd /opt/gracekeeper && python3 -c "import webhook.cli.serve, kubernetes.config, kubernetes.client.rest"

ENV PYTHONPATH=/opt/gracekeeper \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/opt/gracekeeper/bin:/usr/local/bin:/usr/bin:/bin
USER 65532:65532
WORKDIR /tmp
# The webhook's HTTPS port, and the port of health probes and metrics.
EXPOSE 10250 8080
ENTRYPOINT ["python3", "-m", "webhook"]
CMD ["serve"]
