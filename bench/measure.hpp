// Wall time, CPU time of this process and of a server, and a histogram of latencies.
#pragma once

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>

namespace websocket::bench {

inline std::uint64_t now_ns() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(t.tv_nsec);
}

// On the clock of now_ns().
inline std::uint64_t ns_after(double seconds) {
    return now_ns() + static_cast<std::uint64_t>(seconds * 1e9);
}

inline double own_cpu_seconds() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// User and system time of all threads of a process; negative if there is no such process.
inline double cpu_seconds_of(std::uint64_t pid) {
    clockid_t clock{};
    timespec t{};
    if (clock_getcpuclockid(static_cast<pid_t>(pid), &clock) != 0 || clock_gettime(clock, &t) != 0)
        return -1;
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// The processors that a process may use; none if there is no such process.
inline cpu_set_t cores_of(std::uint64_t pid) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    static_cast<void>(sched_getaffinity(static_cast<pid_t>(pid), sizeof cores, &cores));
    return cores;
}

// Time that these processors together were not idle, time stolen by the host included; in clock ticks.
inline double busy_seconds_of(const cpu_set_t& cores) {
    std::FILE* file = std::fopen("/proc/stat", "re");
    if (!file) return 0;
    std::array<char, 512> line;
    unsigned long long busy = 0;
    while (std::fgets(line.data(), static_cast<int>(line.size()), file)) {
        unsigned core = 0;
        // user nice system idle iowait irq softirq steal
        std::array<unsigned long long, 8> ticks{};
        if (std::sscanf(line.data(), "cpu%u %llu %llu %llu %llu %llu %llu %llu %llu", &core,
                        &ticks[0], &ticks[1], &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6],
                        &ticks[7]) == 9 &&
            CPU_ISSET(core, &cores))
            busy += ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7];
    }
    std::fclose(file);
    return static_cast<double>(busy) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// What was used up to a moment: by this process, by the server, and by all on the server's processors.
struct Usage {
    std::uint64_t at = now_ns();
    double own = own_cpu_seconds();
    double server = -1;  // no server named
    double server_cores = 0;
    bool shares_cores = false;  // this process with the server

    explicit Usage(std::uint64_t server_pid) {
        if (server_pid == 0) return;
        server = cpu_seconds_of(server_pid);
        const cpu_set_t cores = cores_of(server_pid);
        const cpu_set_t own_cores = cores_of(0);
        server_cores = busy_seconds_of(cores);
        cpu_set_t both;
        CPU_AND(&both, &cores, &own_cores);
        shares_cores = CPU_COUNT(&both) > 0;
    }
};

[[nodiscard]] inline double seconds_between(const Usage& begin, const Usage& end) {
    return static_cast<double>(end.at - begin.at) * 1e-9;
}

// Fields of a JSON object, a comma before each: CPU time of both sides, for each of `count` units on the
// server's, and what others took of the server's processors, in percent of one.
inline void print_usage(const Usage& begin, const Usage& end, double count, const char* unit) {
    const double elapsed = seconds_between(begin, end);
    const double own = end.own - begin.own;
    std::printf(", \"client_cpu_percent\": %.1f", 100 * own / elapsed);
    if (begin.server < 0 || end.server < 0) return;
    const double server = end.server - begin.server;
    const double others =
        end.server_cores - begin.server_cores - server - (begin.shares_cores ? own : 0);
    std::printf(", \"server_cpu_percent\": %.1f, \"server_cpu_us_per_%s\": %.4f, "
                "\"other_cpu_percent\": %.1f",
                100 * server / elapsed, unit, server * 1e6 / count,
                100 * std::max(others, 0.0) / elapsed);
}

// Nanoseconds up to 2^42 (73 minutes), each bucket 1/64 of its power of two wide: 1.6 % at most.
class Histogram {
public:
    void add(std::uint64_t ns) { ++counts_[bucket(ns)]; }

    // The upper end, in microseconds, of the bucket below which `share` of the values lie.
    [[nodiscard]] double microseconds(double share) const {
        std::uint64_t total = 0;
        for (const std::uint64_t count : counts_) total += count;
        const double wanted = share * static_cast<double>(total);
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > 0 && static_cast<double>(seen) >= wanted)
                return static_cast<double>(upper_end(i)) / 1e3;
        }
        return 0;
    }

private:
    static constexpr unsigned fine_bits = 6;
    static constexpr unsigned powers = 42;

    static std::size_t bucket(std::uint64_t ns) {
        const unsigned width = static_cast<unsigned>(std::bit_width(ns));
        const unsigned shift = width > fine_bits + 1 ? width - fine_bits - 1 : 0;
        const std::size_t i = (static_cast<std::size_t>(shift) << fine_bits) + (ns >> shift);
        return i < size ? i : size - 1;
    }
    static std::uint64_t upper_end(std::size_t i) {
        const std::size_t shift = i < (2U << fine_bits) ? 0 : (i >> fine_bits) - 1;
        return ((i - (shift << fine_bits) + 1) << shift) - 1;
    }

    static constexpr std::size_t size = (powers - fine_bits + 1) << fine_bits;
    std::array<std::uint64_t, size> counts_{};
};

}  // namespace websocket::bench
