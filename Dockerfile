# The image of TxStream: one binary with the libraries that it loads; no shell, no package manager. docs/containers.md
#
# Any engine builds it: `make docker-build`, or
#   docker build --build-arg REVISION="$(git describe --always --dirty)" -t txstream .

# --- the console's page -----------------------------------------------------------------------------------------------
FROM debian:13-slim AS web
# Versions are those of Debian 13 with its security updates: an old one pinned here could not be installed any more.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates nodejs npm \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY tools/lib.sh tools/web.sh tools/
COPY src/console/openapi.yaml src/console/
COPY web web
# Where a proxy has a certificate of its own: --secret id=ca,src=FILE.
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=ca,target=/run/ca.crt \
    NODE_EXTRA_CA_CERTS=/run/ca.crt TXSTREAM_WEB=required tools/web.sh build

# --- the binary -------------------------------------------------------------------------------------------------------
# The compiler with which all tests run, in the version of the presets (docs/adr/0010-containers.md).
FROM debian:13-slim AS toolchain
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates ccache clang-19 cmake libstdc++-14-dev lld-19 ninja-build pkg-config python3 python3-yaml \
        libboost-dev libcli11-dev libexpected-dev libfmt-dev libpq-dev librdkafka-dev libssl-dev \
        nlohmann-json3-dev prometheus-cpp-dev zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*

FROM toolchain AS compile
WORKDIR /src
COPY CMakeLists.txt ./
COPY cmake cmake
COPY tools/embed.py tools/openapi.py tools/
COPY migrations migrations
COPY src src
# All but the page and the revision, which are known later: a new commit compiles what it changed, and ccache has the rest.
RUN --mount=type=cache,id=txstream-ccache,target=/ccache \
    cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_CXX_FLAGS_RELEASE=-O2 \
        -DCMAKE_EXE_LINKER_FLAGS="-fuse-ld=lld-19 -Wl,-z,relro,-z,now" -DTXS_TESTS=OFF -DTXS_BENCH=OFF \
    && CCACHE_DIR=/ccache cmake --build /build --target txstream

FROM compile AS build
COPY --from=web /src/web/dist web/dist
# The git repository is not in the context: who builds says what was checked out.
ARG REVISION=unknown
RUN TXS_REVISION="${REVISION}" cmake --build /build --target txstream \
    && strip --strip-unneeded -o /txstream /build/txstream
COPY web/package-lock.json web/
COPY deploy/container deploy/container
ARG VERSION=0.1.0
ARG CREATED=1970-01-01T00:00:00Z
RUN python3 deploy/container/rootfs.py /txstream /root-of-image \
    && mkdir -p /root-of-image/usr/share/txstream /root-of-image/usr/share/doc/txstream \
    && python3 deploy/container/sbom.py /root-of-image . "${VERSION}" "${REVISION}" "${CREATED}" \
        >/root-of-image/usr/share/txstream/sbom.spdx.json
COPY LICENSE /root-of-image/usr/share/doc/txstream/copyright

# --- what runs --------------------------------------------------------------------------------------------------------
FROM scratch
COPY --from=build /root-of-image /
ARG REVISION=unknown
ARG VERSION=0.1.0
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=
LABEL org.opencontainers.image.title="TxStream" \
      org.opencontainers.image.description="Delivers events from PostgreSQL to Apache Kafka through a transactional outbox" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="docker.io/library/debian:13-slim"
# A number: Kubernetes cannot tell whether a name is root.
USER 65532:65532
# Of API, relay and metrics, console. They listen on loopback until SERVER_HOST, METRICS_HOST and CONSOLE_HOST say otherwise.
EXPOSE 8080 9091 8082
STOPSIGNAL SIGTERM
# Whether it lives, and not whether it is ready: engines that replace what is unhealthy must not replace a relay because Kafka is away.
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 CMD ["/usr/bin/txstream", "healthcheck"]
ENTRYPOINT ["/usr/bin/txstream"]
CMD ["serve"]
