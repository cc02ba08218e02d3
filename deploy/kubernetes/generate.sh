#!/bin/sh
# Writes what is the same for every forest of an overlay, or the same as elsewhere, so that nobody writes it twice:
#   generate.sh OVERLAY    OVERLAY/forests/<id>/kustomization.yaml for each line of OVERLAY/forests.txt,
#                          and the rules of ../prometheus as a PrometheusRule, components/monitoring/rules.yaml
# The results are committed: what is applied can be read, and kustomize alone can build it.
# A line of forests.txt is the forest's id, the networks of its domain controllers, and dns=NETWORK for each of its
# dns_servers. What is there stays as it is unless every line holds.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
overlay=$(cd "${1:?which overlay? generate.sh overlays/example}" && pwd)

fail() {
    echo "generate: $*" >&2
    exit 1
}

# what is generated names ../../../../writer
[ "${overlay%/*}" = "$here/overlays" ] || fail "$overlay is not a folder in $here/overlays"
[ -f "$overlay/forests.txt" ] || fail "$overlay/forests.txt is not there"

new=$(mktemp -d "$overlay/.forests.XXXXXX")
rules=$here/components/monitoring/.rules.$$
trap 'rm -rf "$new" "$rules"' EXIT
trap 'exit 1' HUP INT TERM

# a network in CIDR notation, IPv4 or IPv6; whether its numbers are in range the API server says
network() {
    printf '%s\n' "$1" | grep -Eq '^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)/[0-9]{1,3}$'
}

blocks() {
    list=
    for block in $1; do list="$list{ipBlock: {cidr: $block}}, "; done
    printf '[%s]' "${list%, }"
}

cat > "$new/kustomization.yaml" <<EOT
# Made by generate.sh from forests.txt.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
EOT

# comments and the carriage returns of an editor elsewhere are no words; a last line without an end is a line
{ tr -d '\r' < "$overlay/forests.txt"; echo; } | sed 's/#.*//' > "$new/list"
while read -r forest words; do
    [ -n "$forest" ] || continue
    # crates/operation: what a forest's id is; kubernetes.io/docs/concepts/overview/working-with-objects/names: what a name is
    printf '%s\n' "$forest" | grep -Eq '^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$' || fail "forest $forest: no name for a forest"
    [ ! -d "$new/$forest" ] || fail "forest $forest is there twice"
    networks='' names=''
    for word in $words; do
        network "${word#dns=}" || fail "forest $forest: $word is no network such as 10.1.0.0/24"
        case $word in
        dns=*) names="$names ${word#dns=}" ;;
        *) networks="$networks $word" ;;
        esac
    done
    [ -n "$networks" ] || fail "forest $forest has no network"
    echo "  - \"$forest\"" >> "$new/kustomization.yaml"
    mkdir "$new/$forest"
    {
        cat <<EOT
# Made by generate.sh from forests.txt.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
nameSuffix: "-$forest"
resources: [../../../../writer]
components: [../../../../components/scaling-of-writers]
labels:
  - pairs: { writeback.dev/forest: "$forest" }
    includeSelectors: true
    includeTemplates: true
patches:
  - target: { kind: Deployment, name: writer }
    patch: |-
      - { op: replace, path: /spec/template/spec/volumes/1/secret/secretName, value: writeback-writer-$forest }
  - target: { kind: NetworkPolicy, name: writer|readers }
    patch: |-
      - { op: replace, path: /spec/egress/0/to, value: $(blocks "$networks") }
EOT
        if [ -n "$names" ]; then
            ports='[{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]'
            echo "      - { op: add, path: /spec/egress/-, value: {to: $(blocks "$names"), ports: $ports} }"
        fi
        cat <<EOT
  - target: { kind: ScaledObject, name: writer }
    patch: |-
      - { op: replace, path: /spec/scaleTargetRef/name, value: writer-$forest }
      - { op: replace, path: /spec/triggers/0/metadata/queueName, value: writeback.forest.$forest }
EOT
    } > "$new/$forest/kustomization.yaml"
done < "$new/list"
rm "$new/list"
grep -q '^  - ' "$new/kustomization.yaml" || fail "$overlay/forests.txt has no forest"

{
    echo "# Made by generate.sh from ../prometheus/rules.yml and alerts.yml."
    echo "apiVersion: monitoring.coreos.com/v1"
    echo "kind: PrometheusRule"
    echo "metadata:"
    echo "  name: writeback"
    echo "spec:"
    echo "  groups:"
    sed '1,/^groups:/d; s/^\(.\)/  \1/' "$here/../prometheus/rules.yml"
    sed '1,/^groups:/d; s/^\(.\)/  \1/' "$here/../prometheus/alerts.yml"
} > "$rules"

chmod 755 "$new"
rm -rf "$overlay/forests"
mv "$new" "$overlay/forests"
mv "$rules" "$here/components/monitoring/rules.yaml"
