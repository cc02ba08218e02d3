# Authorities and the certificates they sign: P-256, as every TLS library takes it.

days=825
renew_before=2592000 # 30 days, in seconds

fresh() { [ -s "$1.pem" ] && [ -s "$1.key" ] && openssl x509 -in "$1.pem" -noout -checkend "$renew_before" >/dev/null; }

# authority PATH NAME: makes PATH.pem and PATH.key
authority() {
    ! fresh "$1" || return 0
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
    openssl req -x509 -new -key "$1.key" -days "$days" -subj "/CN=$2" -out "$1.pem" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign
}

# certificate AUTHORITY PATH NAME…: makes PATH.pem and PATH.key for these host names and addresses
certificate() {
    signer=$1 path=$2
    shift 2
    # also when its authority is another by now
    if fresh "$path" && openssl verify -CAfile "$signer.pem" "$path.pem" >/dev/null 2>&1; then return 0; fi
    common=$1 names=
    for name; do
        case $name in
        [0-9]*.*.*.*[0-9]) names="$names,IP:$name" ;;
        *) names="$names,DNS:$name" ;;
        esac
    done
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$path.key"
    openssl req -new -key "$path.key" -subj "/CN=$common" -out "$path.csr"
    cat >"$path.ext" <<END
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName=${names#,}
END
    openssl x509 -req -in "$path.csr" -CA "$signer.pem" -CAkey "$signer.key" -days "$days" \
        -set_serial "0x$(openssl rand -hex 16)" -extfile "$path.ext" -out "$path.pem" 2>/dev/null
    rm "$path.csr" "$path.ext"
}
