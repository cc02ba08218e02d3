#!/bin/sh
# Renders the example with kustomize (or kubectl, which has it in it) into rendered/example.yaml, where the tests read it.
#   render.sh            renders
#   render.sh --digest   prints the digest of everything it is rendered from, and renders nothing
set -eu
cd "$(dirname "$0")"

digest() {
    find base writer components overlays -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d' ' -f1
}

if [ "${1:-}" = --digest ]; then
    digest
    exit 0
fi
if command -v kustomize >/dev/null; then
    build="kustomize build"
else
    build="kubectl kustomize"
fi
mkdir -p rendered
{
    echo "# Rendered by render.sh from files whose digest is $(digest)"
    $build overlays/example
} > rendered/example.yaml.new
mv rendered/example.yaml.new rendered/example.yaml
