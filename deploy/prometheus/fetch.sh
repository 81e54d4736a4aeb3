#!/usr/bin/env bash
# Puts prometheus and promtool into a folder: those on the PATH, else those of Debian's package, which is unpacked there
# and not installed, so that no daemon is started.
set -euo pipefail

# Without lists of packages, or with old ones, there is nothing to download; only root can bring them up to date.
download() {
    apt-get download -qq prometheus 2>/dev/null || { apt-get update -qq && apt-get download -qq prometheus; }
}

mkdir -p "$1"
cd "$1"
if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    ln -sf "$(command -v prometheus)" "$(command -v promtool)" .
elif command -v apt-get >/dev/null && download; then
    dpkg-deb --extract prometheus_*.deb .
    rm prometheus_*.deb
    ln -sf usr/bin/prometheus usr/bin/promtool .
else
    echo "The tests of deploy/ need prometheus and promtool, and no apt-get can fetch them here: put those of" \
        "https://prometheus.io/download on the PATH" >&2
    exit 1
fi
