#!/bin/sh
# Puts together, in a folder, all that the given programs need to run on an otherwise empty image: the shared libraries
# they are linked to, the authorities the system trusts, and a user.
set -eu
to=$1
shift
mkdir -p "$to/etc/ssl/certs" "$to/etc/writeback" "$to/var/lib/writeback" "$to/usr/local/bin"
# Each line of ldd(1) ends in the address a library is loaded at; the kernel's own has no path.
for program; do ldd "$program"; done | sed -n 's/.*[[:space:]]\(\/[^ ]*\) (0x[0-9a-f]*)$/\1/p' | sort -u |
while read -r library; do
    mkdir -p "$to$(dirname "$library")"
    cp -L "$library" "$to$library"
done
cp -L /etc/ssl/certs/ca-certificates.crt "$to/etc/ssl/certs/"
echo 'hosts: files dns' >"$to/etc/nsswitch.conf"
echo 'writeback:x:10001:10001::/var/lib/writeback:/nonexistent' >"$to/etc/passwd"
echo 'writeback:x:10001:' >"$to/etc/group"
chown 10001:10001 "$to/var/lib/writeback"
