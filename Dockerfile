# An image with codetextbook and what the laptop recipe reads, every package from the lock with its hash checked.
#   docker build --tag codetextbook .
#   docker run --rm --volume "$PWD/work:/work" codetextbook run laptop --work /work
# Linted here (tests/frame/test_packaging.py), not built here: there is no container engine where the tests run.
FROM python:3.11-slim-bookworm AS made
WORKDIR /build
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY src src
RUN python -m venv /opt/codetextbook \
    && /opt/codetextbook/bin/pip install --no-cache-dir "uv==0.13.9" \
    && VIRTUAL_ENV=/opt/codetextbook /opt/codetextbook/bin/uv pip install --no-cache --require-hashes --requirement requirements.lock \
    && VIRTUAL_ENV=/opt/codetextbook /opt/codetextbook/bin/uv pip install --no-cache --no-deps .

FROM python:3.11-slim-bookworm
RUN useradd --create-home --uid 1000 textbook && mkdir /work && chown textbook /work
COPY --from=made /opt/codetextbook /opt/codetextbook
ENV PATH=/opt/codetextbook/bin:$PATH PYTHONUNBUFFERED=1
USER 1000
WORKDIR /work
VOLUME ["/work"]
ENTRYPOINT ["codetextbook"]
CMD ["--help"]
