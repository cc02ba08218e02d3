#!/bin/sh
# Writes the workspace without its code into a folder: manifests, the lock file, and an empty program in the place of each
# package's first file. Built from it, dependencies are a layer of their own, which a change of code leaves as it is.
set -eu
to=$1
mkdir -p "$to"
cp Cargo.toml Cargo.lock "$to/"
find proto crates services tests -name Cargo.toml | while read -r manifest; do
    package=$(dirname "$manifest")
    mkdir -p "$to/$package/src"
    cp "$manifest" "$to/$package/"
    for root in src/lib.rs src/main.rs build.rs; do
        if [ -f "$package/$root" ]; then echo 'fn main() {}' >"$to/$package/$root"; fi
    done
done
