#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds mod_websocket and shows it in a private httpd, in the foreground.

set -euo pipefail
cd "$(dirname "$0")"
. scripts/setup.sh

usage() {
    cat <<'TEXT'
usage: ./run.sh [--port N]

Builds mod_websocket and starts a private httpd with a demo page, reachable from this machine only.
Ctrl-C stops it and leaves nothing behind. Installs missing Debian packages first.

  --port N   port to listen on, 1 to 65535 (8080, or the next free one if 8080 is taken)
  --help     this text
TEXT
}

refuse() {
    printf 'run.sh: %s; allowed are --port N (1 to 65535) and --help\n' "$1" >&2
    exit 2
}

port=
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h)
            usage
            exit 0
            ;;
        --port)
            [ $# -ge 2 ] || refuse "--port needs a number"
            port=$2
            shift 2
            ;;
        --port=*)
            port=${1#--port=}
            shift
            ;;
        *) refuse "\"$1\" is not an option" ;;
    esac
    if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || [ "$port" -gt 65535 ]; then
        refuse "\"$port\" is not a port"
    fi
done

# Prints a Listen line for each loopback address on which the port is free, or why it is not.
listen_lines() {
    /usr/bin/python3 - "$1" <<'PYTHON'
import socket
import sys

port = int(sys.argv[1])
for family, address, name in ((socket.AF_INET, "127.0.0.1", "127.0.0.1"),
                              (socket.AF_INET6, "::1", "[::1]")):
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
            probe.listen()
    except PermissionError:
        sys.exit("may only be used by root")
    except OSError as error:
        if family == socket.AF_INET6 and error.errno != 98:  # no IPv6 here
            continue
        sys.exit("is taken")
    print(f"Listen {name}:{port}")
PYTHON
}

choose_port() {
    local reason
    if [ -n "$port" ]; then
        reason=$( { listen=$(listen_lines "$port"); } 2>&1) || die "port $port $reason"
        listen=$(listen_lines "$port")
        return
    fi
    for port in {8080..8180}; do
        if listen=$(listen_lines "$port" 2>/dev/null); then
            [ "$port" = 8080 ] || say "Port 8080 is taken; using $port instead."
            return
        fi
    done
    die "no port from 8080 to 8180 is free; choose one with --port N"
}

# LoadModule lines for the modules that this httpd has not compiled in.
module_lines() {
    local name builtin
    builtin=$("$httpd" -l)
    for name in mpm_event unixd authz_core authz_host mime dir proxy proxy_http; do
        case $builtin in
            *mod_$name.c* | *" $name.c"*) ;;
            *) say "LoadModule ${name}_module \"$modules/mod_$name.so\"" ;;
        esac
    done
    say "LoadModule websocket_module \"$build/mod_websocket.so\""
}

# httpd started by root insists on another user for its children.
user_lines() {
    local name
    [ "$(id -u)" -eq 0 ] || return 0
    for name in www-data apache daemon nobody; do
        if id "$name" >/dev/null 2>&1; then
            say "User $name"
            say "Group #$(id -g "$name")"
            return
        fi
    done
    die "found no unprivileged user for httpd's children"
}

write_conf() {
    local text
    text=$(<conf/demo.conf.in)
    text=${text//@root@/"$root"}
    text=${text//@htdocs@/"$htdocs"}
    text=${text//@build@/"$build"}
    text=${text//@listen@/"$listen"}
    text=${text//@port@/"$port"}
    text=${text//@modules@/"$(module_lines)"}
    text=${text//@user@/"$(user_lines)"}
    printf '%s\n' "$text" >"$root/httpd.conf"
}

child=  # the build, then httpd
root=
htdocs=
# shellcheck disable=SC2317  # called by the trap
cleanup() {
    trap '' INT TERM HUP
    if [ -n "$child" ] && kill -TERM "$child" 2>/dev/null; then
        wait "$child" 2>/dev/null || true
    fi
    [ -z "$root" ] || rm -rf "$root"
    [ -z "$htdocs" ] || rm -rf "$htdocs"
    rmdir build/demo 2>/dev/null || true
}

setup build
httpd=$(apxs -q SBINDIR)/$(apxs -q PROGNAME)
modules=$(apxs -q LIBEXECDIR)
build=$PWD/build/release
trap cleanup EXIT
trap 'exit 0' INT TERM HUP

choose_port

# In the background, here and below, because a shell looks after signals only while it waits.
say "Building (the first time takes some minutes)"
scons -s module plugins &
child=$!
wait "$child" || die "the build failed"
child=

root=$PWD/build/demo/$port
mkdir -p "$root"
# In a folder of its own below /tmp: httpd's children may be another user, who cannot look into the
# home folder that the checkout may be in.
htdocs=$(mktemp -d)
chmod 755 "$htdocs"
cp examples/*.html "$htdocs"
chmod 644 "$htdocs"/*.html
write_conf

# In a session of its own: a Ctrl-C or a resized terminal reaches this script only.
setsid "$httpd" -f "$root/httpd.conf" -D FOREGROUND &
child=$!

# httpd writes its pid file once it listens.
answers() { [ -s "$root/httpd.pid" ] && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
until answers; do
    if ! kill -0 "$child" 2>/dev/null; then
        [ ! -e "$root/error.log" ] || cat "$root/error.log" >&2
        die "httpd did not start"
    fi
    sleep 0.1
done
say "mod_websocket demo: http://localhost:$port/"
say "  echo at ws://localhost:$port/echo, dumb increment at ws://localhost:$port/dumb-increment"
say "  the echo again through a tunnel, as if another server had it: ws://localhost:$port/tunnel"
say "  JSON-RPC at ws://localhost:$port/jsonrpc, with SockJS at http://localhost:$port/sockjs"
say "  topics at ws://localhost:$port/topics; to publish: POST to http://localhost:$port/publish/demo"
say "  chat: http://localhost:$port/chat.html, ticker: http://localhost:$port/ticker.html"
say "  log: $root/error.log"
say "  Ctrl-C stops it."

status=0
wait "$child" || status=$?
child=
cat "$root/error.log" >&2
die "httpd ended by itself (status $status)"
