#!/bin/sh
# install.sh DIR: what the image's first stage does, in the root of the repository: DIR becomes an environment with the
# service and exactly what requirements.txt pins. A test runs it in a clean directory.
set -eu
target=$1
here=deploy/docker
python=${PYTHON:-python3}

# Built apart, so that the tools of building do not get into the image.
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
"$python" -m venv "$build/venv"
"$build/venv/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check \
    --require-hashes --only-binary :all: -r $here/requirements-build.txt
"$build/venv/bin/pip" wheel --quiet --no-cache-dir --disable-pip-version-check \
    --no-deps --no-build-isolation --wheel-dir "$build" .

"$python" -m venv "$target"
"$target/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check \
    --require-hashes --only-binary :all: -r $here/requirements.txt
"$target/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --no-deps --no-index "$build"/*.whl
"$target/bin/pip" check
cp $here/healthcheck.py "$target/healthcheck.py"

# Whoever gets in shall find no installer.
"$target/bin/pip" uninstall --quiet --yes setuptools 2> /dev/null || true
"$target/bin/pip" uninstall --quiet --yes pip
