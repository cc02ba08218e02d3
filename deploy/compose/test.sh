#!/bin/bash
# `make compose-test`: the profiles core and lab on a real engine, tried from outside as a client, and taken down again.
#
# Installs Docker on Debian where there is none, and starts it if it does not run; makes stand-ins for images that no
# registry answers for (deploy/images/stand-ins). Leaves the images, for the next time; leaves no container and no volume.
#
#   KEEP=1             leave everything running at the end
#   BUILD_NETWORK=…    the network that builds reach registries through (`host` where only this machine's resolver answers)
set -euo pipefail

cd "$(dirname "$0")/../.."
export COMPOSE_PROJECT_NAME=writeback-test COMPOSE_PROFILES=core,lab
# the builder that every engine has; what BuildKit would do differently is not what is tried here
export DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0

forests=(corp emea)
declare -A domain=([corp]=corp.example.com [emea]=emea.example.net)
declare -A person=([corp]=ana.alvarez [emea]=ana.hansen)

begun=$SECONDS step_begun=$SECONDS
say() { printf 'compose-test: %5d s  %s\n' $((SECONDS - begun)) "$*"; }
step() { step_begun=$SECONDS; say "$*"; }
took() { say "  done in $((SECONDS - step_begun)) s${1:+: $1}"; }
fail() { say "FAILED: $*"; exit 1; }

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# Debian's own programs come first: the engine, its client and docker-compose then belong together.
export PATH=/usr/bin:$PATH
docker() { as_root env DOCKER_BUILDKIT=0 docker "$@"; }
if command -v docker-compose >/dev/null || ! docker compose version >/dev/null 2>&1; then
    compose() { as_root env "${settings[@]}" docker-compose "$@"; }
else
    compose() { as_root env "${settings[@]}" docker compose "$@"; }
fi
settings=(COMPOSE_PROJECT_NAME="$COMPOSE_PROJECT_NAME" COMPOSE_PROFILES="$COMPOSE_PROFILES" DOCKER_BUILDKIT=0
    COMPOSE_DOCKER_CLI_BUILD=0 PROMETHEUS_PORT="${PROMETHEUS_PORT:-19090}" BUILD_NETWORK="${BUILD_NETWORK:-default}"
    REVISION="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)")

scratch=$(mktemp -d)
daemon=
finish() {
    result=$?
    trap - EXIT INT TERM
    if [ "$result" -ne 0 ] && compose ps -q >/dev/null 2>&1; then
        compose ps || true
        compose logs --no-color --tail=15 2>&1 | cut -c1-400 || true
    fi
    if [ -n "${KEEP:-}" ]; then
        say "left running, as asked for: COMPOSE_PROJECT_NAME=$COMPOSE_PROJECT_NAME"
    else
        step "taking everything down, volumes too"
        compose down --volumes --remove-orphans >"$scratch/down.log" 2>&1 || { cat "$scratch/down.log"; result=1; }
        left=$(docker ps -aq --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME"
            docker volume ls -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME")
        [ -z "$left" ] || { say "left behind: $left"; result=1; }
        took
        if [ -n "$daemon" ]; then
            say "stopping the engine that was started for this"
            as_root kill "$daemon" || true
        fi
    fi
    rm -rf "$scratch"
    if [ "$result" -eq 0 ]; then say "passed"; else say "FAILED ($result)"; fi
    exit "$result"
}

step "Docker"
missing=()
command -v dockerd >/dev/null || missing+=(docker.io)
command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 || missing+=(docker-compose)
command -v debootstrap >/dev/null || missing+=(debootstrap)
command -v ldapsearch >/dev/null || missing+=(ldap-utils)
command -v curl >/dev/null || missing+=(curl)
command -v python3 >/dev/null || missing+=(python3-minimal)
if [ ${#missing[@]} -gt 0 ]; then
    say "  installing with apt-get: ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    hash -r
fi
if ! docker info >/dev/null 2>&1; then
    say "  starting the engine"
    as_root sh -c 'dockerd >/var/log/writeback-compose-test-dockerd.log 2>&1 & echo $!' >"$scratch/dockerd"
    daemon=$(cat "$scratch/dockerd")
    for _ in $(seq 60); do
        docker info >/dev/null 2>&1 && break
        sleep 1
    done
    docker info >/dev/null || fail "the engine does not start: see /var/log/writeback-compose-test-dockerd.log"
fi
trap finish EXIT
trap 'exit 130' INT TERM
took "$(docker version --format '{{.Server.Version}}'), $(compose version --short 2>/dev/null)"

step "what other images are built on and started from"
as_root env PATH="$PATH" HOME="$HOME" DOCKER_BUILDKIT=0 BUILD_NETWORK="${BUILD_NETWORK:-default}" \
    deploy/images/stand-ins/build.sh debian:bookworm-slim rust:1.95-bookworm rabbitmq:4-management postgres:17 \
    prom/prometheus:v3.5.0
took

step "docker-compose.yml is well formed in every profile"
settings+=(COMPOSE_PROFILES=core,lab,observability,tools)
compose config --quiet
settings+=(COMPOSE_PROFILES="$COMPOSE_PROFILES")
took

step "building the images (the first time compiles everything)"
compose build setup audit resolver writer-corp writer-emea intake ctl dc-corp dc-emea >"$scratch/build.log" 2>&1 ||
    { tail -40 "$scratch/build.log"; fail "the build"; }
took
for image in setup audit resolver writer intake ctl forest; do
    say "  writeback/$image: $(($(docker image inspect --format '{{.Size}}' writeback/$image:0.1.0) / 1000000)) MB"
done
for image in audit resolver writer intake ctl; do
    case $image in ctl) name=writebackctl ;; *) name=writeback-$image ;; esac
    said=$(docker run --rm --network none writeback/$image:0.1.0 --version)
    [ "$said" = "$name 0.1.0" ] || fail "writeback/$image does not say its own name and version: '$said'"
    user=$(docker image inspect --format '{{.Config.User}}' writeback/$image:0.1.0)
    [[ $user =~ ^[1-9][0-9]*: ]] || fail "writeback/$image does not run as a numeric user that is not root: '$user'"
done

containers() { docker ps -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" "$@"; }

# Every container that has a health check is healthy, there are as many as wanted, and `setup` ended well.
healthy() {
    [ "$(containers | wc -l)" -eq "$1" ] || return 1
    [ "$(containers --filter health=healthy | wc -l)" -eq "$1" ]
}

wait_until() {
    local what=$1 patience=$2 until=$((SECONDS + $2))
    shift 2
    until "$@"; do
        [ $SECONDS -lt $until ] || fail "$what: not within $patience s"
        sleep 1
    done
}

step "starting: setup, then broker, database and forests, then audit, then the rest"
compose up -d >"$scratch/up.log" 2>&1 || { cat "$scratch/up.log"; fail "up"; }
# intake, resolver, audit, two writers per forest, broker, database, two domain controllers
wait_until "every container is healthy" 300 healthy 11
took "11 containers healthy"

step "no secret is in an environment, and no product container can write to its root"
for id in $(containers); do
    docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$id"
done >"$scratch/environment"
docker run --rm --volume "${COMPOSE_PROJECT_NAME}_operator:/operator:ro" --network none debian:bookworm-slim \
    sh -c 'for file in /operator/*; do cat "$file"; echo; done' | grep . >"$scratch/secrets"
[ -s "$scratch/secrets" ] || fail "there are no secrets to look for"
! grep -F -f "$scratch/secrets" "$scratch/environment" || fail "a secret is in an environment"
for service in audit resolver writer-corp writer-emea intake; do
    for id in $(compose ps -q $service); do
        [ "$(docker inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$id")" = true ] || fail "$service can write to its root"
    done
done
took

# What a client has: the public certificates, a token.
docker run --rm --volume "${COMPOSE_PROJECT_NAME}_public:/public:ro" --network none debian:bookworm-slim \
    tar -C /public -c . | tar -C "$scratch" -x
docker run --rm --volume "${COMPOSE_PROJECT_NAME}_operator:/operator:ro" --network none debian:bookworm-slim \
    tar -C /operator -c . | (umask 077 && mkdir "$scratch/operator" && tar -C "$scratch/operator" --no-same-owner -x)

signs_in() { # FOREST USER PASSWORD-FILE
    local port
    port=$(compose port "dc-$1" 636)
    LDAPTLS_CACERT=$scratch/$1-ca.pem LDAPTLS_REQCERT=demand ldapsearch -x -LLL -o nettimeout=5 \
        -H "ldaps://127.0.0.1:${port##*:}" -D "$2@${domain[$1]}" -y "$3" -s base -b "" currentTime >/dev/null 2>&1
}

seal() { # FOREST USER PASSWORD-FILE: prints the event
    compose run --rm -T --no-deps ctl seal --kind reset --user-principal-name "$2@${domain[$1]}" \
        --keys /etc/writeback/public-keys/jwks.json --password-stdin <"$3" 2>"$scratch/seal.log" ||
        { cat "$scratch/seal.log" >&2; return 1; }
}

# The answer must say that it was applied, here.
applied() { # FOREST ANSWER
    python3 -c 'import json, sys
answer = json.load(open(sys.argv[2]))
assert answer.get("status") == "applied" and answer.get("forest") == sys.argv[1], answer
print(answer["id"])' "$@"
}

reset() { # FOREST USER: sets a new password from outside, and signs in
    local forest=$1 user=$2 url
    url=https://localhost:$(compose port intake 8443 | sed 's/.*://')
    (umask 077 && printf 'Reset-%s' "$(head -c 12 /dev/urandom | base64 | tr '+/' 'xy')" >"$scratch/new")
    signs_in "$forest" "$user" "$scratch/operator/$forest-people" || fail "$user@${domain[$forest]} cannot sign in to begin with"
    seal "$forest" "$user" "$scratch/new" >"$scratch/event.json"
    # the token goes in a file: a command line is there for every process to read
    (umask 077 && printf 'header = "Authorization: Bearer %s"\n' "$(cat "$scratch/operator/token")" >"$scratch/curl")
    curl --silent --show-error --max-time 60 --cacert "$scratch/ca.pem" --config "$scratch/curl" \
        --header 'Content-Type: application/cloudevents+json' --data-binary @"$scratch/event.json" \
        --output "$scratch/answer.json" "$url/v1/events"
    operation=$(applied "$forest" "$scratch/answer.json") || fail "$(cat "$scratch/answer.json")"
    signs_in "$forest" "$user" "$scratch/new" || fail "$user@${domain[$forest]} cannot sign in with the new password"
    ! signs_in "$forest" "$user" "$scratch/operator/$forest-people" ||
        fail "$user@${domain[$forest]} can still sign in with the old password"
    say "  $forest: $user signs in with the new password and not with the old one ($operation)"
}

step "a password reset in each forest, from outside: seal, post over HTTPS, sign in over LDAPS"
for forest in "${forests[@]}"; do reset "$forest" "${person[$forest]}"; done
took

ctl() { compose run --rm -T --no-deps ctl "$@"; }
must() { # FILE COMMAND…: what it says goes into the file, and is shown if it fails
    local file=$scratch/$1
    shift
    "$@" >"$file" 2>&1 || { cat "$file"; fail "$*"; }
}

step "writebackctl status says healthy"
# intake, resolver, audit once, two writers of each forest; and each domain controller has somebody bound to it
all_are_well() {
    ctl --json status >"$scratch/status" 2>"$scratch/status.log" && python3 -c 'import json, sys
status = json.load(open(sys.argv[1]))
alive = lambda of: [one["version"] for one in of["instances"] if one["alive"]]
assert status["level"] == "healthy", status["level"]
services = {service["kind"]: alive(service) for service in status["services"]}
assert services == {kind: ["0.1.0"] for kind in ("intake", "resolver", "audit")}, services
forests = {forest["id"]: forest for forest in status["forests"]}
assert sorted(forests) == ["corp", "emea"], forests
for forest in forests.values():
    assert alive(forest["writers"]) == ["0.1.0", "0.1.0"], forest["writers"]
    # two writers and the resolver
    assert forest["domains"][0]["controllers"][0]["bound"] == 3, forest["domains"]' "$scratch/status" 2>>"$scratch/status.log"
}
until=$((SECONDS + 60))
until all_are_well; do
    [ $SECONDS -lt $until ] || { cat "$scratch/status" "$scratch/status.log"; fail "not healthy within 60 s"; }
    sleep 1
done
must status.text ctl status --once
sed 's/^/    /' "$scratch/status.text"
took

step "the operator's token: the kill switch of one forest, and new keys"
must settings.off ctl settings set writeback off --forest emea --note "tried by compose-test"
must settings ctl settings show --forest emea
grep -q 'operator@lab.example' "$scratch/settings" || { cat "$scratch/settings"; fail "who turned it off is not shown"; }
seal emea "${person[emea]}" "$scratch/new" >"$scratch/event.json"
if ctl send --ca /etc/writeback/public/ca.pem <"$scratch/event.json" >"$scratch/send" 2>&1; then cat "$scratch/send"; fail "emea is off and took a password"; fi
grep -q writeback-disabled "$scratch/send" || { cat "$scratch/send"; fail "emea is off and another reason was given"; }
must settings.on ctl settings set writeback on --forest emea --note "tried by compose-test"
# without the token nobody is let in: the caller's is none
if ctl --token-file /etc/writeback/secrets/token settings show >"$scratch/refused" 2>&1; then
    fail "the ledger takes a caller's token for an operator's"
fi
grep -q 'another audience' "$scratch/refused" || { cat "$scratch/refused"; fail "a caller's token is refused for another reason"; }
newest() { # FOREST: the key that is sealed to
    compose run --rm -T --no-deps keys list --forest "$1" --json | python3 -c 'import json, sys
print(sorted(key["kid"] for key in json.load(sys.stdin)["keys"] if key["state"] == "current"))'
}
before=$(newest corp)
must rotated compose run --rm -T --no-deps keys rotate --forest corp
after=$(newest corp)
[ -n "$before" ] && [ "$before" != "$after" ] || fail "corp has the keys that it had: $after"
must entries ctl ledger export
grep -q 'rotated.*operator@lab.example' "$scratch/entries" || fail "the ledger does not say who rotated the keys"
reset corp clara.costa
took "emea was off and is on, corp has new keys"

step "the operator's view: operations, and the ledger read again"
compose run --rm -T --no-deps ctl operations list >"$scratch/list" 2>&1 || { cat "$scratch/list"; fail "operations list"; }
[ "$(grep -c applied "$scratch/list")" -ge 2 ] || { cat "$scratch/list"; fail "the ledger does not list both resets"; }
compose run --rm -T --no-deps ctl ledger verify >"$scratch/verify" 2>&1 || { cat "$scratch/verify"; fail "ledger verify"; }
took

step "--scale writer-corp=4"
compose up -d --no-recreate --scale writer-corp=4 >"$scratch/scale.log" 2>&1 || { cat "$scratch/scale.log"; fail "scale"; }
wait_until "four writers are healthy" 120 healthy 13
# each writer is a consumer of the forest's queue
consumers() {
    docker exec "$(compose ps -q rabbitmq)" rabbitmqctl --quiet list_queues --vhost writeback name consumers |
        awk '$1 == "writeback.forest.corp" {print $2}'
}
four() { [ "$(consumers)" = 4 ]; }
wait_until "four writers share the forest's queue" 60 four
reset corp ben.bauer
took "four writers of corp share its queue"

step "Prometheus of the profile observability finds every one of them"
settings+=(COMPOSE_PROFILES=core,lab,observability)
compose up -d --no-recreate --no-deps --scale writer-corp=4 prometheus >"$scratch/prometheus.log" 2>&1 ||
    { cat "$scratch/prometheus.log"; fail "prometheus"; }
scraped() {
    curl --silent --max-time 5 "http://$(compose port prometheus 9090)/api/v1/query?query=sum(up%7Bjob=%22writeback%22%7D)" | grep -q '"9"\]'
}
# intake, resolver, audit, six writers
wait_until "nine are scraped" 60 scraped
took "9 targets up"
