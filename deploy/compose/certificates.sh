#!/bin/sh
# certificates.sh DIR [NAME...]: certificates to try the whole thing with on one machine: an authority of their own,
# one for Envoy (public, for localhost and the names given) and one for the service behind it. Where others reach it,
# `public` comes from a real authority.
set -eu
directory=$1
shift
mkdir -p "$directory"
cd "$directory"
days=397

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Ledger on this machine" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -keyout ca.key -out ca.crt 2> /dev/null

issue() {
    openssl req -x509 -CA ca.crt -CAkey ca.key -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days $days \
        -subj "/CN=$1" -addext "subjectAltName=$2" -addext "basicConstraints=critical,CA:FALSE" \
        -addext "extendedKeyUsage=serverAuth" -keyout "$1.key" -out "$1.crt" 2> /dev/null
}

names=DNS:localhost,IP:127.0.0.1
for name in "$@"; do names=$names,DNS:$name; done
issue public "$names"
issue ledger DNS:ledger,DNS:ledger-1,DNS:ledger-2

# The users in the containers have other numbers than yours. The authority's key stays yours.
chmod 600 ca.key
chmod 644 ./*.crt public.key ledger.key
echo "made $(pwd)/{ca,public,ledger}.crt; clients trust ca.crt"
