# One image for every service of ours; what a container does is its command (docker-compose.yml).

FROM python:3.11-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PATH=/opt/tsdb-trader/bin:$PATH
WORKDIR /build
RUN python -m venv /opt/tsdb-trader
# The slow steps come first and depend on the lock files alone, so that a changed source file
# repeats none of them.
COPY requirements.lock requirements-nodeps.lock requirements-quickfix.lock ./
RUN pip install --require-hashes -r requirements.lock \
    && pip install --no-deps --require-hashes -r requirements-nodeps.lock
COPY scripts scripts
RUN wheel="$(python scripts/build_quickfix.py --cache /tmp/quickfix)" \
    && pip install --no-index --no-deps "$wheel" \
    && rm -rf /tmp/quickfix
COPY pyproject.toml LICENSE ./
COPY src src
RUN pip install --no-deps --no-build-isolation .
# The program looks for these beside its package when it does not run from a checkout.
COPY alembic.ini data/
COPY sql data/sql
COPY migrations data/migrations
COPY fixcfg data/fixcfg
RUN mv data "$(python -c 'import tsdb_trader as t; print(t.__path__[0])')/_data"

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 trader \
    && useradd --uid 10001 --gid trader --no-create-home --home-dir /var/lib/tsdb-trader trader \
    && install --directory --owner trader --group trader --mode 0700 /var/lib/tsdb-trader
COPY --from=build /opt/tsdb-trader /opt/tsdb-trader
COPY --chmod=0755 docker/tsdb-trader /usr/local/bin/tsdb-trader
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TSDB_TRADER_HOME=/var/lib/tsdb-trader
USER trader
WORKDIR /var/lib/tsdb-trader
ENTRYPOINT ["tsdb-trader"]
CMD ["--help"]
