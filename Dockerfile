# The worker in a container, without its window. As in the original documentation:
#   docker build -t hivemind-worker:latest .
#   docker run -d --name hivemind-worker --network host -e MASTER_ADDRESS=10.0.0.1:50051 -e NODE_PORT=50053 \
#     -e FLASK_PORT=5000 -v /var/run/docker.sock:/var/run/docker.sock hivemind-worker:latest
# Add -v hivemind:/var/lib/hivemind to keep login, results and journal when the container is made anew.
# Read docs/docker.md, "In a container", on what the socket means; without it tasks run in the built-in sandbox.
ARG BASE=python:3.11-slim
FROM ${BASE}

ENV HIVEMIND_HOME=/var/lib/hivemind HOME=/var/lib/hivemind LANG=C.UTF-8 \
    PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_BREAK_SYSTEM_PACKAGES=1

# Every dependency by its hash, all as wheels; those of the window are of no use here.
COPY requirements.lock /tmp/
RUN python3 -c 'import re; \
        rows = re.split(r"(?m)^(?=\w)", open("/tmp/requirements.lock").read()); \
        open("/tmp/wanted.lock", "w").write("".join(r for r in rows if not r.startswith(("pyside6", "shiboken6", "qasync", "gputil"))))' \
    && python3 -m pip install --quiet --require-hashes --only-binary :all: -r /tmp/wanted.lock \
    && rm /tmp/*.lock

COPY pyproject.toml README.md LICENSE NOTICE /usr/src/hivemind/
COPY app /usr/src/hivemind/app
COPY docs /usr/src/hivemind/docs
COPY resources /usr/src/hivemind/resources
RUN python3 -m pip install --quiet --no-deps --no-build-isolation /usr/src/hivemind && rm -rf /usr/src/hivemind
COPY installer/container/hivemind-worker /usr/local/sbin/hivemind-worker

# Begins as root only to find the group of the engine's socket; the worker itself is user 65532.
VOLUME /var/lib/hivemind
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["hivemind-worker", "status", "--json"]
ENTRYPOINT ["hivemind-worker"]
CMD ["run"]
