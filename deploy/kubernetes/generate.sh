#!/bin/sh
# Writes what is the same for every forest of an overlay, or the same as elsewhere, so that nobody writes it twice:
#   generate.sh OVERLAY    OVERLAY/forests/<id>/kustomization.yaml for each line of OVERLAY/forests.txt,
#                          and the rules of ../prometheus as a PrometheusRule, components/monitoring/rules.yaml
# The results are committed: what is applied can be read, and kustomize alone can build it.
# A line of forests.txt is the forest's id and the networks of its domain controllers.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
overlay=${1:?which overlay? generate.sh overlays/example}

rm -rf "$overlay/forests"
mkdir "$overlay/forests"
{
    echo "# Made by generate.sh from forests.txt."
    echo "apiVersion: kustomize.config.k8s.io/v1beta1"
    echo "kind: Kustomization"
    echo "resources:"
} > "$overlay/forests/kustomization.yaml"

grep -v '^#' "$overlay/forests.txt" | while read -r forest networks; do
    [ -n "$forest" ] || continue
    echo "  - $forest" >> "$overlay/forests/kustomization.yaml"
    mkdir "$overlay/forests/$forest"
    to=
    for network in $networks; do
        to="$to{ipBlock: {cidr: $network}}, "
    done
    [ -n "$to" ] || { echo "generate: forest $forest has no network" >&2; exit 1; }
    cat > "$overlay/forests/$forest/kustomization.yaml" <<EOF
# Made by generate.sh from forests.txt.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
nameSuffix: -$forest
resources: [../../../../writer]
components: [../../../../components/scaling-of-writers]
labels:
  - pairs: { writeback.dev/forest: $forest }
    includeSelectors: true
    includeTemplates: true
patches:
  - target: { kind: Deployment, name: writer }
    patch: |-
      - { op: replace, path: /spec/template/spec/volumes/1/secret/secretName, value: writeback-writer-$forest }
  - target: { kind: NetworkPolicy, name: writer }
    patch: |-
      - { op: replace, path: /spec/egress/0/to, value: [${to%, }] }
  - target: { kind: ScaledObject, name: writer }
    patch: |-
      - { op: replace, path: /spec/scaleTargetRef/name, value: writer-$forest }
      - { op: replace, path: /spec/triggers/0/metadata/queueName, value: writeback.forest.$forest }
EOF
done

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
} > "$here/components/monitoring/rules.yaml"
