# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by run.sh and test.sh: installs what is missing. Debian 12 is what they are tried on;
# elsewhere they name what is missing and leave it to you.

say() { printf '%s\n' "$*"; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Each package stands here once: what needs it, its name, and a command or file that is there when
# it is installed.
packages() {
    cat <<'LIST'
build  scons                scons
build  python3              /usr/bin/python3
build  g++                  g++
build  pkg-config           pkg-config
build  apache2-bin          /usr/sbin/apache2
build  apache2-dev          apxs
build  apache2-ssl-dev      /usr/include/apache2/mod_ssl_openssl.h
build  libssl-dev           /usr/include/openssl/ssl.h
build  libsimdjson-dev      /usr/include/simdjson.h
build  zlib1g-dev           /usr/include/zlib.h
build  check                /usr/include/check.h
test   libhiredis-dev       /usr/include/hiredis/read.h
test   redis-server         redis-server
test   redis-sentinel       redis-sentinel
test   libnats-dev          /usr/include/nats/nats.h
test   nats-server          nats-server
test   libisal-dev          /usr/include/isa-l/igzip_lib.h
test   python3-pytest       /usr/lib/python3/dist-packages/pytest
test   python3-pytest-xdist /usr/lib/python3/dist-packages/xdist
test   python3-websockets   /usr/lib/python3/dist-packages/websockets
test   python3-h2           /usr/lib/python3/dist-packages/h2
test   python3-selenium     /usr/lib/python3/dist-packages/selenium
test   chromium             chromium
test   chromium-driver      chromedriver
test   apache2-utils        rotatelogs
test   mosquitto            mosquitto
test   tigervnc-standalone-server Xtigervnc
test   nodejs               node
test   npm                  npm
test   php-cli              php
test   libapache2-mod-php   /usr/lib/apache2/modules/libphp8.2.so
test   openssl              openssl
test   ca-certificates      /etc/ssl/certs/ca-certificates.crt
full   nginx                nginx
full   haproxy              haproxy
full   libapache2-mpm-itk   /usr/lib/apache2/modules/mpm_itk.so
full   abigail-tools        abidiff
full   valgrind             valgrind
full   git                  git
full   cmake                cmake
full   make                 make
full   clang                clang++
full   clang-format         clang-format
full   clang-tidy           clang-tidy
full   shellcheck           shellcheck
LIST
}

is_there() {
    case $1 in
        /*) [ -e "$1" ] ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# install_packages PACKAGE...: as root, by the command in as_root. Debian starts a service when it installs it,
# and at each boot from then on. The tests start nginx, haproxy, mosquitto and Redis themselves, so none shall be.
install_packages() {
    "${as_root[@]}" bash -s -- "$@" <<'SCRIPT'
set -eu
services=()
for package in "$@"; do
    case $package in nginx | haproxy | mosquitto | redis-server | redis-sentinel | nats-server) services+=("$package") ;; esac
done
policy=/usr/sbin/policy-rc.d
if [ ${#services[@]} -gt 0 ] && [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 1' INT TERM HUP
    printf '#!/bin/sh\ncase $1 in nginx* | haproxy* | mosquitto* | redis*) exit 101 ;; esac\n' >$policy
    chmod 755 $policy
fi
apt-get install -q -y --no-install-recommends "$@" </dev/null
if [ ${#services[@]} -gt 0 ] && [ -d /run/systemd/system ]; then
    systemctl --quiet disable "${services[@]}"
fi
SCRIPT
}

# setup KIND...: makes sure of every package that one of these kinds needs.
setup() {
    local kind package probe missing=() as_root
    PATH=$PATH:/usr/sbin:/sbin
    while read -r kind package probe; do
        case " $* " in
            *" $kind "*) is_there "$probe" || missing+=("$package") ;;
        esac
    done < <(packages)
    [ ${#missing[@]} -gt 0 ] || return 0

    command -v apt-get >/dev/null ||
        die "please install what the Debian packages ${missing[*]} contain; there is no apt-get here"
    as_root=(env DEBIAN_FRONTEND=noninteractive)
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            die "please install, as root: apt-get install ${missing[*]} (there is no sudo here)"
        as_root=(sudo "${as_root[@]}")
    fi
    say "Installing ${missing[*]}"
    "${as_root[@]}" apt-get update -q </dev/null ||
        say "apt-get update failed; going on with the package lists that are there"
    install_packages "${missing[@]}" || die "could not install ${missing[*]}"
}
