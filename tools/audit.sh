#!/bin/sh
# Looks for known vulnerabilities in what the image is locked to: tools/audit.sh [--if-possible]
#
# Exit status: 0 none is known; 1 there are some, or nobody could be asked. With --if-possible the latter is said, and 0.
set -eu
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

audit() { .venv/bin/python -m pip_audit --disable-pip --progress-spinner off --timeout 10 "$@"; }

# Where the service is out of reach, pip-audit may find "no known vulnerabilities" in packages that it has not found at
# all. So it is first asked for a release of which everybody knows that it has some.
echo 'jinja2==2.11.2' >"$work/canary.txt"
if ! audit --no-deps --requirement "$work/canary.txt" 2>&1 | grep -q 'CVE-\|GHSA-\|PYSEC-'; then
    echo "audit: NOT AUDITED, the vulnerability service does not answer from here" >&2
    [ "${1:-}" = --if-possible ] && exit 0
    exit 1
fi

sed -n 's/^TORCH=//p' tools/setup.sh >"$work/torch.txt"
audit --strict --no-deps --requirement "$work/torch.txt"
set --
for lock in deploy/requirements*.lock; do set -- "$@" --requirement "$lock"; done
audit --strict --require-hashes "$@"
