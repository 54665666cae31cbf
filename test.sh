#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Everything that has to be true before a change is accepted. The last line is "N passed, N failed".

set -euo pipefail
cd "$(dirname "$0")"
. scripts/setup.sh

usage() {
    cat <<'TEXT'
usage: ./test.sh [quick]

  quick    unit tests and end-to-end tests (event MPM) but those that need seconds of a core, and those of the
           JavaScript client
  (none)   everything: what quick does; format, clang and clang-tidy; builds by CMake and apxs; unit tests
           with the sanitizers; end-to-end tests with ASan and UBSan, and on worker and prefork; whether a message
           costs more instructions than recorded

Installs missing Debian packages first. Exit status 0 if nothing failed.
TEXT
}

case ${1-full} in
    quick | full) mode=${1-full} ;;
    --help | -h)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
esac
[ $# -le 1 ] || {
    usage >&2
    exit 2
}

# Ctrl-C reaches all that runs here by itself, and bash waits for it; httpds under test end with their tests.
trap 'say "interrupted"; exit 130' INT
trap 'say "ended"; exit 143' TERM

# What Python has compiled is kept, but not beside the sources.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX=$PWD/build/pycache
# Where there is a compiler cache, nothing is compiled, or looked at by clang-tidy, that was so before, be it in another
# clone.
if [ -d /usr/lib/ccache ]; then
    export PATH=/usr/lib/ccache:$PATH CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
    export WEBSOCKET_GOOD_FILES=${XDG_CACHE_HOME:-${HOME:-$PWD/build}/.cache}/mod_websocket/good
fi
logs=$PWD/build/test-logs
passed=0
failed=0
unstable=() # failed, but not when they ran by themselves
summary=()

# --- phases ----------------------------------------------------------------------------------

# phase NAME COMMAND...: a command that fails counts as one failure, unless it counted its own
# (see count). Its status is returned.
phase() {
    local name=$1 begin=$SECONDS failed_before=$failed status=0 verdict=ok beside=
    shift
    printf '\n=== %s\n' "$name"
    "$@" || status=$?
    if [ $status -ne 0 ]; then
        verdict=FAILED
        [ "$failed" -gt "$failed_before" ] || failed=$((failed + 1))
    fi
    summary+=("$(printf '%-44s %-6s %4d s' "$name" $verdict $((SECONDS - begin)))$beside")
    say "=== ${summary[-1]}"
    return "$status"
}

# behind NAME COMMAND...: a piece of work that is done while tests wait; phase NAME finished NAME waits for it.
behind() {
    local log=$logs/behind/${1// /-} begin=$SECONDS status=0
    "${@:2}" >"$log" 2>&1 || status=$?
    echo "$status $((SECONDS - begin))" >"$log.new"
    mv "$log.new" "$log.status"
}

# in_gaps COMMAND...: with the lowest priority, and so in a process of its own.
in_gaps() {
    renice -n 19 -p $BASHPID >/dev/null
    "$@"
}

# succeeded NAME: waits for it; false also when who was to do it is gone. The seconds that it took are in took.
succeeded() {
    local result=$logs/behind/${1// /-}.status status=1
    took="?"
    while [ ! -s "$result" ] && kill -0 "$behind_tests" 2>/dev/null; do sleep 0.2; done
    [ ! -s "$result" ] || read -r status took <"$result"
    return "$status"
}

finished() {
    local status=0
    succeeded "$1" || status=$?
    beside=" of waiting, $took s beside the others"
    cat "$logs/behind/${1// /-}"
    return "$status"
}

skip() { summary+=("$(printf '%-44s not run: %s' "$1" "$2")"); }

count() {
    passed=$((passed + $1))
    failed=$((failed + $2))
}

build() { scons -s "$@"; }

# What tests run: all but the bench.
tested=(module bridge plugins tools test-plugins unit-tests)

# Moves the suites that take longest to the beginning, so that none of them begins when the others are through.
long_ones_first() {
    awk 'BEGIN { split("engine_drain engine_drain_turns local_bus message_reader_deflate connection_tls connection_deflate hub " \
                       "connection_timer pool_lanes inflater loop utf8", names)
                 for (place in names) places[names[place]] = place }
         { print ($0 in places ? places[$0] : 1000), $0 }' | sort -s -n -k 1,1 | cut -d" " -f 2
}

# tally RESULT: adds what scripts/run-again.py has counted.
tally() {
    local numbers names
    [ -s "$1" ] || return 1
    {
        read -r numbers
        mapfile -t names
    } <"$1"
    # shellcheck disable=SC2086  # two words
    count $numbers
    unstable+=("${names[@]}")
}

# Suites that need seconds of a core, for which others, or end-to-end tests, show the like.
heavy_suites='local_bus|host_leases|utf8|history_order|metric_catalogue|tls_transport_memory'

# unit_tests VARIANT: each suite in a process, several at a time. Most wait most of their time. Counted by
# counted_unit_tests, as this may run behind others.
unit_tests() {
    local folder=$logs/unit-$1 run=() suites=() suite processes=$((4 * $(nproc)))
    # The shadow memory of TSan does not fit every random layout of the address space.
    if [ "$1" = tsan ] && setarch "$(uname -m)" -R true 2>/dev/null; then
        run=(setarch "$(uname -m)" -R)
    fi
    [ "$1" != tsan ] || processes=$(nproc)
    mapfile -t suites < <("${run[@]}" "build/$1/test/unit-tests" --list | long_ones_first)
    [ "$mode" = full ] || mapfile -t suites < <(printf '%s\n' "${suites[@]}" | grep -vxE "$heavy_suites")
    mkdir -p "$folder"
    for suite in "${suites[@]}"; do : >"$folder/$suite.log"; done
    run=(timeout --foreground --kill-after=10 1800 "${run[@]}" "build/$1/test/unit-tests")
    local -x ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
        TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:report_thread_leaks=0:suppressions=$PWD/test/tsan.suppressions
    # shellcheck disable=SC2016  # for that shell
    printf '%s\n' "${suites[@]}" |
        xargs -P "$processes" -I SUITE bash -c 'log=$1; shift; "$@" >"$log" 2>&1 || echo "exit status $?" >>"$log"
            echo "took $SECONDS s" >>"$log"' bash "$folder/SUITE.log" "${run[@]}" SUITE || true
    for suite in "${suites[@]}"; do
        echo "$(sed -n 's/^took \(.*\) s$/\1/p' "$folder/$suite.log") $suite"
    done >"$logs/unit-$1.times"
    scripts/run-again.py suites "$folder" "$folder.result" "${run[@]}"
}

counted_unit_tests() {
    local status=0
    finished "unit tests, $1" || status=1
    tally "$logs/unit-$1.result" || status=1
    return $status
}

# end_to_end VARIANT MPMS
end_to_end() {
    local name=$logs/e2e-$1 status=0 processes=$((12 * $(nproc)))
    local run=(/usr/bin/python3 -m pytest -p no:cacheprovider "--mpm=$2") several
    # With a sanitizer, too, only what is quick: the rest differs in what is around httpd.
    [ "$mode" = full ] && [ "$1" = release ] || run+=(--quick)
    [ "$mode" = full ] || run+=(--light)
    # Most tests wait most of their time, so there are more processes than cores; less where compilers run beside them.
    [ "$mode" = quick ] || processes=$((5 * $(nproc)))
    several=(--dist load --numprocesses $((processes < 24 ? processes : 24)))
    local -x WEBSOCKET_BUILD=build/$1
    timeout --foreground --kill-after=60 4000 "${run[@]}" "${several[@]}" "--junitxml=$name.xml" test/e2e || status=$?
    scripts/run-again.py end-to-end "$name.xml" $status "$name.result" timeout --foreground --kill-after=60 2000 "${run[@]}" &&
        status=0 || status=1
    tally "$name.result" || status=1
    return $status
}

# The end-to-end tests and suites of all phases that took longest.
slowest() {
    /usr/bin/python3 - "$logs" <<'PYTHON'
import pathlib
import sys
import xml.etree.ElementTree

times = []
for file in pathlib.Path(sys.argv[1]).glob("e2e-*.xml"):
    for case in xml.etree.ElementTree.parse(file).iter("testcase"):
        name = f"{case.get('classname').split('.')[-1]}::{case.get('name')}"
        times.append((float(case.get("time")), file.stem, name))
for file in pathlib.Path(sys.argv[1]).glob("unit-*.times"):
    for line in file.read_text().splitlines():
        seconds, suite = line.split()
        times.append((float(seconds), file.stem, suite))
for seconds, phase, name in sorted(times, reverse=True)[:20]:
    print(f"  {seconds:4.0f} s {phase:12} {name}")
PYTHON
}

# The same with ASan and UBSan in httpd. Each report that ASan writes counts as a failure; those of
# UBSan go to httpd's error log (both runtimes in one process share one destination, and UBSan's
# setting is lost), where the tests look for them.
end_to_end_sanitized() {
    local folder=$PWD/build/asan/sanitizer-logs status=0 preload reports crashes
    rm -rf "$folder"
    mkdir -p "$folder"
    chmod 1777 "$folder" # httpd's children may be another user
    # With libstdc++, which httpd itself does not load: ASan looks for what it wraps when it starts.
    preload=$(realpath "$(gcc -print-file-name=libasan.so)"):$(realpath "$(gcc -print-file-name=libstdc++.so)")
    # Not to be replaced by httpd's handlers, which say nothing of where it was.
    crashes=handle_segv=2:handle_sigbus=2:handle_sigfpe=2
    # The leak checker would report what httpd itself never frees.
    WEBSOCKET_PRELOAD=$preload \
        ASAN_OPTIONS=detect_leaks=0:$crashes:abort_on_error=0:detect_stack_use_after_return=1:symbolize=0:log_path=$folder/asan \
        UBSAN_OPTIONS=print_stacktrace=1 \
        end_to_end asan event || status=$?
    reports=("$folder"/asan.*)
    if [ -s "${reports[0]}" ]; then
        count 0 ${#reports[@]}
        status=1
        scripts/symbolize.py "${reports[0]}"
        say "--- all reports, counted (in ${folder#"$PWD"/}):"
        grep -hE '^SUMMARY|CHECK failed|ERROR: ' "${reports[@]}" | sed 's/^==[0-9]*==//' | sort | uniq -c
    fi
    return $status
}

# Clients of the tests that are modules for node; from test/clients/package.json, which names exact
# versions.
node_client() {
    local from=test/clients/package.json to=build/node
    [ -e $from ] || return 0
    if ! cmp -s $from $to/package.json || [ ! -d $to/node_modules ]; then
        rm -rf $to
        mkdir -p $to
        cp $from $to/package.json
        (cd $to && npm install --no-save --no-package-lock --no-audit --no-fund --loglevel=error --fetch-retries=1 --fetch-timeout=60000) || {
            rm -rf $to
            return 1
        }
    fi
}

# The client of clients/js is in build/js, where end-to-end tests find it. Its tests run behind others.
javascript_tests() {
    local log=$logs/javascript.tap status=0
    scripts/javascript-client test >"$log" 2>&1 || status=1
    [ $status -eq 0 ] || cat "$log"
    return $status
}

counted_javascript_tests() {
    local log=$logs/javascript.tap status=0
    finished "JavaScript client, tests" || status=1
    count "$(sed -n 's/^# pass //p' "$log")" "$(sed -n 's/^# fail //p' "$log")"
    return $status
}

javascript_phases() {
    [ $has_javascript = yes ] || return 0
    phase "JavaScript client, tests" counted_javascript_tests || true
    [ "$mode" = quick ] || phase "JavaScript client, package" finished "JavaScript client, package" || true
}

# The rest only when compilers have the processors no more.
javascript_behind_tests() {
    [ $has_javascript = yes ] || return 0
    behind "JavaScript client, build" scripts/javascript-client build
    succeeded "JavaScript client, build" && succeeded "build release" || return 0
    behind "JavaScript client, tests" javascript_tests
    [ "$mode" = quick ] || behind "JavaScript client, package" scripts/javascript-client check
}

# What end-to-end tests need.
build_phases() {
    if [ $has_javascript = yes ]; then
        phase "JavaScript client, build" finished "JavaScript client, build" || has_javascript=no
    fi
    phase "build release" finished "build release"
}

# apart COMMAND...: in the background, in a process group of its own, which Ctrl-C does not reach and the end of this
# script does. Its id is in behind_tests, for itself, too.
apart() {
    mkdir -p "$logs/behind"
    set -m
    { behind_tests=$BASHPID && "$@"; } &
    behind_tests=$!
    set +m
    # shellcheck disable=SC2064  # that one
    trap "kill -- -$behind_tests 2>/dev/null || true" EXIT
}

# What users get, on event. Suites and end-to-end tests leave each other a part of the machine.
quick_phases() {
    apart quick_behind_tests
    if build_phases; then
        phase "end to end, release, event" end_to_end release event || true
        phase "unit tests, release" counted_unit_tests release || true
        javascript_phases
    else
        skip "tests" "the build failed"
    fi
}

quick_behind_tests() {
    javascript_behind_tests &
    behind "build release" build "${tested[@]}"
    unit_tests_behind_tests release
    wait
}

# What compilers have to do: first what tests wait for, and beside it what only fills its gaps; then, with the lowest
# priority, what nobody waits for.
compile_behind_tests() {
    in_gaps behind "build tsan" build sanitize=thread unit-tests plugins test-plugins &
    behind "build release" build
    behind "build asan" build sanitize=address "${tested[@]}"
    wait
    in_gaps installing_behind_tests &
    in_gaps looking_behind_tests &
    wait
}

looking_behind_tests() {
    behind "clang and clang-tidy" scripts/check-clang.py
    behind "each file by itself" scripts/check-alone.py
}

installing_behind_tests() {
    behind "install, SCons and CMake" scripts/check-install
    behind "apxs" scripts/check-apxs
    behind "instructions" bench/check_instructions.py
}

# unit_tests_behind_tests VARIANT...: all suites, as soon as they are built.
unit_tests_behind_tests() {
    local variant
    for variant in "$@"; do
        ! succeeded "build $variant" || behind "unit tests, $variant" unit_tests "$variant"
    done
}

all_behind_tests() {
    compile_behind_tests &
    behind_tests=$! # whom the others wait for
    javascript_behind_tests &
    unit_tests_behind_tests release asan tsan
    wait
}

# Whether a message costs more instructions than what is recorded. With status 3 none could be compared, of another compiler.
instructions() {
    local status=0
    finished "instructions" || status=$?
    [ $status -ne 3 ] || {
        beside="$beside, nothing compared"
        status=0
    }
    return $status
}

full_phases() {
    local work
    apart all_behind_tests
    phase "format and shellcheck" scripts/check-format || true
    if ! build_phases; then
        skip "all others" "the build failed"
        return
    fi
    phase "end to end, release, event, worker, prefork" end_to_end release event,worker,prefork || true
    javascript_phases
    phase "unit tests, release" counted_unit_tests release || true
    if phase "build asan" finished "build asan"; then
        phase "end to end, asan, event" end_to_end_sanitized || true
        phase "unit tests, asan" counted_unit_tests asan || true
    else
        skip "tests, asan" "the build failed"
    fi
    if phase "build tsan" finished "build tsan"; then
        phase "unit tests, tsan" counted_unit_tests tsan || true
    else
        skip "unit tests, tsan" "the build failed"
    fi
    for work in "clang and clang-tidy" "each file by itself" "install, SCons and CMake" "apxs"; do
        phase "$work" finished "$work" || true
    done
    phase "instructions" instructions || true
}

# --- run -------------------------------------------------------------------------------------

begin=$SECONDS
case $mode in
    quick) setup build test ;;
    full) setup build test full ;;
esac
rm -rf "$logs"
mkdir -p "$logs"
export NODE_PATH=$PWD/build/node/node_modules
if [ "$mode" = quick ] && ! node_client; then
    skip "tests with modules for node" "npm could not install it"
    say "npm could not install ws; its tests are left out"
    export WEBSOCKET_SKIP_CLIENTS=node${WEBSOCKET_SKIP_CLIENTS:+,$WEBSOCKET_SKIP_CLIENTS}
elif [ "$mode" = full ]; then
    phase "node client" node_client || true
fi
has_javascript=yes
case ",${WEBSOCKET_SKIP_CLIENTS-}," in
    *,node,*)
        has_javascript=no
        skip "JavaScript client" "WEBSOCKET_SKIP_CLIENTS names node"
        ;;
esac
case $mode in
    quick) quick_phases ;;
    full) full_phases ;;
esac

printf '\nThe slowest tests:\n'
slowest || true
printf '\nPhases, %d s:\n' $((SECONDS - begin))
printf '  %s\n' "${summary[@]}"
if [ ${#unstable[@]} -gt 0 ]; then
    printf '\nFailed, but not alone (CONTRIBUTING.md says what that means), %d unstable:\n' ${#unstable[@]}
    printf '  unstable: %s\n' "${unstable[@]}"
fi
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
