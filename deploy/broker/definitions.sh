#!/bin/sh
# The broker's definitions (rabbitmq.com/docs/definitions): users, the virtual host, and what each may do, by permissions.txt.
#   definitions.sh PASSWORDS FOREST… > definitions.json
# PASSWORDS is a folder with a file for each user, named as the user is. `keda` (who scales writers) and `administrator` (the
# management page) are left out if they have none.
set -eu

passwords=${1:?the folder of the passwords? definitions.sh PASSWORDS FOREST…}
shift
permissions=$(dirname "$0")/permissions.txt
users='' rights=''

fail() {
    echo "definitions: $*" >&2
    exit 1
}

# RabbitMQ's salted SHA-256 (rabbitmq.com/docs/passwords): four bytes of salt, then the digest of salt and password.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
password_hash() {
    openssl rand 4 >"$work/salt"
    # an editor's end of line is no part of a password
    tr -d '\r\n' <"$1" | cat "$work/salt" - | openssl dgst -sha256 -binary >"$work/digest"
    cat "$work/salt" "$work/digest" | base64 | tr -d '\n'
}

json() { printf '%s' "$1" | sed 's/\\/\\\\/g'; }

named() { printf '^writeback\\.(%s)$' "$1"; }

# USER TAGS CONFIGURE WRITE READ: adds to $users and $rights
one() {
    if [ ! -s "$passwords/$1" ]; then
        case $1 in
        keda | administrator) return 0 ;;
        *) fail "$passwords/$1 is not there, or empty" ;;
        esac
    fi
    hash=$(password_hash "$passwords/$1")
    users="$users,
  {\"name\": \"$1\", \"password_hash\": \"$hash\",
   \"hashing_algorithm\": \"rabbit_password_hashing_sha256\", \"tags\": \"$2\"}"
    rights="$rights,
  {\"user\": \"$1\", \"vhost\": \"writeback\", \"configure\": \"$(json "$3")\", \"write\": \"$(json "$4")\", \"read\": \"$(json "$5")\"}"
}

while read -r user configure write read; do
    case $user in
    '' | '#'*) ;;
    *FOREST*)
        for forest in "$@"; do
            of_forest() { printf '%s' "$1" | sed "s/FOREST/$forest/g"; }
            one "$(of_forest "$user")" "" "$(named "$(of_forest "$configure")")" \
                "$(named "$(of_forest "$write")")" "$(named "$(of_forest "$read")")"
        done
        ;;
    *) one "$user" "" "$(named "$configure")" "$(named "$write")" "$(named "$read")" ;;
    esac
done <"$permissions"
one administrator administrator '.*' '.*' '.*'
printf '{"users": [%s],\n "vhosts": [{"name": "writeback"}],\n "permissions": [%s]}\n' "${users#,}" "${rights#,}"
