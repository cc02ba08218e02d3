#!/bin/sh
# Makes, from Debian packages and this machine's Rust toolchain, what stands in for images that cannot be pulled here.
# An image that is there, pulled or made before, is left as it is; what can be pulled is pulled.
#
#   build.sh IMAGE…     one or more of the names below; without any, all of them
#
# A stand-in carries the label dev.writeback.stand-in and takes the same files, variables and user numbers that
# docker-compose.yml gives to the real image. It is for a machine that reaches no image registry, and for nothing else.
set -eu

folder=$(cd "$(dirname "$0")" && pwd)
docker=${DOCKER:-docker}
suite=bookworm
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
# how containers of the build reach package and crate registries; `host` also where only this machine's resolver answers
network=${BUILD_NETWORK:-host}

say() { echo "stand-ins: $*"; }

there() { $docker image inspect "$1" >/dev/null 2>&1; }

# The real image where a registry answers.
pull() { timeout "${PULL_PATIENCE:-60}" "$docker" pull --quiet "$1" >/dev/null 2>&1; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM

# What this machine trusts beyond Debian's own list: without it nothing behind an inspecting proxy can be fetched.
own_authorities() {
    mkdir -p "$1"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$1" \; 2>/dev/null || true
}

debian() {
    command -v debootstrap >/dev/null || { say "debootstrap is missing: apt-get install debootstrap"; exit 1; }
    debootstrap --variant=minbase "$suite" "$scratch/root" "$mirror" >"$scratch/debootstrap.log" 2>&1 ||
        { tail -5 "$scratch/debootstrap.log"; exit 1; }
    rm -rf "$scratch"/root/var/cache/apt/* "$scratch"/root/var/lib/apt/lists/* \
        "$scratch"/root/usr/share/doc "$scratch"/root/usr/share/man "$scratch"/root/usr/share/locale
    tar -C "$scratch/root" -c . |
        $docker import --change 'CMD ["bash"]' --change 'LABEL dev.writeback.stand-in=true' - "$1" >/dev/null
}

# The official image keeps the toolchain in the same places.
rust() {
    sysroot=$(rustc --print sysroot)
    mkdir "$scratch/rust"
    own_authorities "$scratch/rust/authorities"
    cp "$folder/rust.Dockerfile" "$scratch/rust/Dockerfile"
    # a mirror of the crate registry, where cargo is told of one; never credentials
    mkdir "$scratch/rust/cargo"
    for name in config.toml config; do
        configuration=${CARGO_HOME:-$HOME/.cargo}/$name
        if [ -f "$configuration" ]; then cp "$configuration" "$scratch/rust/cargo/config.toml"; break; fi
    done
    mkdir "$scratch/rust/toolchain"
    # all but the documentation, which is half of it
    tar -C "$sysroot" --exclude=./share -c . | tar -C "$scratch/rust/toolchain" -x
    $docker build --quiet --network "$network" --tag "$1" "$scratch/rust" >/dev/null
}

service() {
    mkdir "$scratch/$1"
    cp "$folder/$1.Dockerfile" "$scratch/$1/Dockerfile"
    cp "$folder/$1".*.sh "$scratch/$1/" 2>/dev/null || true
    $docker build --quiet --network "$network" --tag "$2" "$scratch/$1" >/dev/null
}

[ $# -gt 0 ] || set -- debian:bookworm-slim rust:1.95-bookworm rabbitmq:4-management postgres:17 prom/prometheus:v3.5.0

for image; do
    begun=$(date +%s)
    if there "$image"; then
        say "$image is there"
        continue
    fi
    if pull "$image"; then
        say "$image pulled, $(($(date +%s) - begun)) s"
        continue
    fi
    case $image in
    debian:*) debian "$image" ;;
    rust:*) rust "$image" ;;
    rabbitmq:*) service rabbitmq "$image" ;;
    postgres:*) service postgres "$image" ;;
    prom/prometheus:*) service prometheus "$image" ;;
    *) say "no stand-in for $image is known"; exit 1 ;;
    esac
    say "$image cannot be pulled: made from Debian's packages, $(($(date +%s) - begun)) s"
done
