# The broker's definitions (rabbitmq.com/docs/definitions): users, the virtual host, and what each may do.

permissions=/usr/local/lib/writeback-setup/permissions.txt

# RabbitMQ's salted SHA-256 (rabbitmq.com/docs/passwords): four bytes of salt, then the digest of salt and password.
password_hash() {
    work=$(mktemp -d)
    openssl rand 4 >"$work/salt"
    cat "$work/salt" "$1" | openssl dgst -sha256 -binary >"$work/digest"
    cat "$work/salt" "$work/digest" | base64 -w 0
    rm -r "$work"
}

# one USER PASSWORD-FILE TAGS CONFIGURE WRITE READ: adds to $users and $rights
one() {
    users="$users,
  {\"name\": \"$1\", \"password_hash\": \"$(password_hash "$2")\",
   \"hashing_algorithm\": \"rabbit_password_hashing_sha256\", \"tags\": \"$3\"}"
    rights="$rights,
  {\"user\": \"$1\", \"vhost\": \"writeback\", \"configure\": \"$(json "$4")\", \"write\": \"$(json "$5")\", \"read\": \"$(json "$6")\"}"
}

json() { printf '%s' "$1" | sed 's/\\/\\\\/g'; }

named() { printf '^writeback\\.(%s)$' "$1"; }

definitions() {
    users= rights=
    while read -r user configure write read; do
        case $user in
        '' | '#'*) ;;
        *-FOREST)
            for entry in $FORESTS; do
                id=${entry%%:*}
                of_forest() { printf '%s' "$1" | sed "s/FOREST/$id/g"; }
                name=$(of_forest "$user")
                one "$name" "/to/$name/broker-password" "" "$(named "$(of_forest "$configure")")" \
                    "$(named "$(of_forest "$write")")" "$(named "$(of_forest "$read")")"
            done
            ;;
        *) one "$user" "/to/$user/broker-password" "" "$(named "$configure")" "$(named "$write")" "$(named "$read")" ;;
        esac
    done <"$permissions"
    one administrator "$operator/broker-administrator" administrator '.*' '.*' '.*'
    printf '{"users": [%s],\n "vhosts": [{"name": "writeback"}],\n "permissions": [%s]}\n' "${users#,}" "${rights#,}"
}
