#!/bin/sh
# Installs the Debian packages the lab runs on, those that are missing, and says which.
# The lab starts its own private daemons: the packages' own must not start with the installation.
set -eu

wanted="samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind
        rabbitmq-server postgresql ldap-utils python3-jwcrypto ca-certificates openssl prometheus"

# cargo links with the system's compiler
command -v cc >/dev/null || wanted="$wanted gcc libc6-dev"

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | cut -c1-2)" = ii ]
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

missing=
for package in $wanted; do
    installed "$package" || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "install: every package of the lab is there"
    exit 0
fi

as_root apt-get update -qq
# Debian releases differ in how they split samba: a name this release does not have is inside another package.
available=
for package in $missing; do
    if [ -n "$(apt-cache policy "$package" | sed -n 's/^  Candidate: //p' | grep -v '(none)')" ]; then
        available="$available $package"
    else
        echo "install: this Debian release has no package $package, going on without it"
    fi
done
if [ -z "$available" ]; then
    exit 0
fi
echo "install: installing with apt-get:$available"

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    # invoke-rc.d asks this script; 101 means "do not start" (policy-rc.d specification)
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    trap 'as_root rm -f "$policy"' EXIT INT TERM
fi
# shellcheck disable=SC2086 # a list of names, split on purpose
as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $available >/dev/null
echo "install: done"
