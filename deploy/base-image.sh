#!/bin/sh
# A base image of Debian's packages, for machines that reach a Debian mirror but no image registry:
#     deploy/base-image.sh [NAME [SUITE]]
# It has Python with venv, a shell and what wheels link to, unpacked and not configured: no package manager.
# Needs mmdebstrap and podman, and root or a user that may have user namespaces.
set -eu
name=${1:-localhost/labeld-base}
suite=${2:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mmdebstrap --quiet --variant=extract --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --include=base-files,ca-certificates,coreutils,dash,libc-bin,libstdc++6,python3,python3-venv \
    --customize-hook='cat "$1"/usr/share/ca-certificates/mozilla/*.crt > "$1/usr/lib/ssl/cert.pem"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$suite" "$root/base.tar"
podman import --quiet --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    "$root/base.tar" "$name"
