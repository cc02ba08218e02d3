#!/bin/sh
# Provisions the forest at the first start, peoples it, and becomes its domain controller.
#
#   FOREST_ID       the short id: corp
#   FOREST_DOMAIN   its DNS name: corp.example.com
#   SURNAME_SHIFT   how far surnames are shifted against the list, so that forests hold different people
#
# Reads from /run/writeback: ca.pem, server.pem and server.key for LDAPS, and the passwords `administrator`, `people`,
# `svc-writeback` and `svc-writeback-read`.
set -eu

data=/var/lib/writeback-forest
given=/run/writeback
here=$(dirname "$0")
begun=$(date +%s)
say() { echo "forest $FOREST_ID: $*"; }

# Samba reads a key that is its own and nobody else's.
mkdir -p /run/writeback-tls
for file in ca.pem server.pem server.key; do
    install -m 600 "$given/$file" "/run/writeback-tls/$file"
done

if [ ! -e "$data/peopled" ]; then
    say "provisioning $FOREST_DOMAIN"
    # what an interrupted first start has left
    find "$data" -mindepth 1 -delete
    mkdir -p "$data/run"
    # without --adminpass it makes a random password, which nobody learns; ours is set from within, for a command line is
    # there for every process to read
    samba-tool domain provision --server-role=dc --dns-backend=SAMBA_INTERNAL --use-rfc2307 \
        --realm="$(echo "$FOREST_DOMAIN" | tr '[:lower:]' '[:upper:]')" \
        --domain="$(echo "$FOREST_ID" | tr '[:lower:]' '[:upper:]')" \
        --host-name=dc1 --host-ip="$(hostname -i | cut -d' ' -f1)" --targetdir="$data" \
        --option="server services=ldap, cldap, kdc, dns" \
        --option="tls enabled=yes" \
        --option="tls keyfile=/run/writeback-tls/server.key" \
        --option="tls certfile=/run/writeback-tls/server.pem" \
        --option="tls cafile=/run/writeback-tls/ca.pem" \
        --option="pid directory=$data/run" \
        --option="ncalrpc dir=$data/run/ncalrpc" \
        --option="winbindd socket directory=$data/run/winbindd" \
        --option="ntp signd socket directory=$data/run/ntp" \
        --option="vfs objects=dfs_samba4 acl_xattr xattr_tdb" \
        --option="ldb:nosync=true" >"$data/provision.log" 2>&1 ||
        { tail -20 "$data/provision.log"; say "cannot be provisioned"; exit 1; }
    say "peopling it"
    /usr/bin/python3 "$here/plan.py" "$data/etc/smb.conf" "$given" "$here/people.txt" | /usr/bin/python3 "$here/populate.py"
    touch "$data/peopled"
fi
say "ready to serve after $(($(date +%s) - begun)) s"
# an hour's grace for the old password would make every proof by sign-in worthless; provisioning does not carry this one
# into smb.conf
exec samba --foreground --no-process-group --configfile "$data/etc/smb.conf" --debug-stdout \
    --option="old password allowed period = 0"
