// Command lines of the bench programs: one table of options, one way to fail.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace websocket::bench {

inline constexpr int run_failed = 1;
inline constexpr int usage_error = 2;

// Prints one line to stderr and ends the program.
[[noreturn, gnu::format(printf, 2, 3)]] inline void fail(int status, const char* format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    std::fprintf(stderr, "%s: ", program_invocation_short_name);
    std::vfprintf(stderr, format, arguments);
    std::fputc('\n', stderr);
    va_end(arguments);
    std::exit(status);
}

struct Option {
    const char* name;   // "--size"
    const char* value;  // what the usage text calls its value
    const char* help;
    std::function<void(const char*)> set;
};

[[noreturn]] inline void refuse_value(const char* name, const char* value, const char* allowed) {
    fail(usage_error, "%s: \"%s\" is not allowed; %s", name, value, allowed);
}

// A whole number from `least` to `most`; K and M multiply by 1024 and 1024².
inline Option number(const char* name, const char* help, std::uint64_t& target, std::uint64_t least,
                     std::uint64_t most) {
    return {name, "N", help, [=, &target](const char* text) {
                char* end = nullptr;
                std::uint64_t value = std::strtoull(text, &end, 10);
                const bool has_digits = end != text && *text >= '0' && *text <= '9';
                const std::string_view unit(end);
                const unsigned shift = unit == "K" ? 10 : unit == "M" ? 20 : 0;
                const bool fits = value <= (most >> shift);
                value <<= shift;
                if (!has_digits || !(unit.empty() || shift) || !fits || value < least) {
                    const std::string allowed = "a whole number from " + std::to_string(least) +
                                                " to " + std::to_string(most) +
                                                ", K and M understood";
                    refuse_value(name, text, allowed.c_str());
                }
                target = value;
            }};
}

// Seconds, fractions allowed, from `least` to an hour.
inline Option seconds(const char* name, const char* help, double& target, double least) {
    return {name, "SECONDS", help, [=, &target](const char* text) {
                char* end = nullptr;
                const double value = std::strtod(text, &end);
                if (end == text || *end != '\0' || !(value >= least && value <= 3600))
                    refuse_value(name, text, "seconds, at most 3600");
                target = value;
            }};
}

inline Option text(const char* name, const char* value, const char* help, std::string& target) {
    return {name, value, help, [&target](const char* given) { target = given; }};
}

[[noreturn]] inline void print_usage(const char* purpose, std::span<const Option> options) {
    std::printf("%s: %s\n", program_invocation_short_name, purpose);
    for (const Option& option : options)
        std::printf("  %-14s %-18s %s\n", option.name, option.value, option.help);
    std::exit(0);
}

// Applies argv to the table; --help prints it; anything unknown ends the program.
inline void parse_options(int argc, char** argv, const char* purpose,
                          std::span<const Option> options) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--help") print_usage(purpose, options);
        const Option* found = nullptr;
        for (const Option& option : options)
            if (name == option.name) found = &option;
        if (!found) fail(usage_error, "unknown option \"%s\"; --help lists them", argv[i]);
        if (i + 1 == argc) fail(usage_error, "%s needs a value: %s", found->name, found->value);
        found->set(argv[++i]);
    }
}

}  // namespace websocket::bench
