# The command in a container, on any architecture that its base image has:
#   docker build -t converge .
#   docker run --rm --env CONVERGE_SOURCE_URL --env CONVERGE_TARGET_URL converge plan
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY converge converge
COPY schema_maps schema_maps
COPY migrations migrations
# The environment has no pip: it is filled from outside, with wheels alone.
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
 && python -m venv --without-pip /opt/converge \
 && pip --python /opt/converge/bin/python install --no-cache-dir --only-binary :all: /wheels/*.whl

FROM python:3.13-slim
COPY --from=build /opt/converge /opt/converge
# A number, so that Kubernetes can see that it is not root.
RUN useradd --uid 10001 --no-create-home converge && install --directory --owner 10001 --group 10001 /work
ENV PATH=/opt/converge/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["converge"]
CMD ["--help"]
