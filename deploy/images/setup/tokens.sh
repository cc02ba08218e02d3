# The lab's authorization server, reduced to what callers see: access tokens (RFC 9068), signed with Ed25519 (RFC 8037),
# and their key set. A real installation has an issuer, and none of this.

base64url() { base64 -w 0 | tr '+/' '-_' | tr -d '='; }

# key_set PATH: makes PATH.key if it is missing, and prints its public half
key_set() {
    [ -s "$1.key" ] || openssl genpkey -algorithm ed25519 -out "$1.key"
    # the last 32 bytes of the structure are the key itself (RFC 8410)
    x=$(openssl pkey -in "$1.key" -pubout -outform DER | tail -c 32 | base64url)
    printf '{"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "lab", "x": "%s"}]}\n' "$x"
}

# token PATH AUDIENCE SCOPES
token() {
    now=$(date +%s)
    header=$(printf '{"alg":"EdDSA","typ":"at+jwt","kid":"lab"}' | base64url)
    claims=$(printf '{"iss":"%s","aud":"%s","sub":"lab","client_id":"lab","scope":"%s","jti":"%s","iat":%d,"exp":%d}' \
        "$issuer" "$2" "$3" "$(cat /proc/sys/kernel/random/uuid)" "$now" $((now + 30 * 86400)) | base64url)
    work=$(mktemp)
    printf '%s.%s' "$header" "$claims" >"$work"
    signature=$(openssl pkeyutl -sign -rawin -inkey "$1.key" -in "$work" | base64url)
    rm "$work"
    printf '%s.%s.%s' "$header" "$claims" "$signature"
}
