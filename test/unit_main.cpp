// SPDX-License-Identifier: Apache-2.0
//
// Runs the registered suites, or those that the arguments name; with --list it prints their names.
// Exit status: 0 if every test passed, 1 if one failed or there was none, 2 if a name is unknown.

#include "unit.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace websocket::test {
namespace {

RegisteredSuite* first_suite = nullptr;

const RegisteredSuite* find(const char* name) {
    const RegisteredSuite* suite = RegisteredSuite::first();
    while (suite != nullptr && std::strcmp(suite->name(), name) != 0) suite = suite->next();
    return suite;
}

void print_names(std::FILE* file) {
    for (const auto* suite = RegisteredSuite::first(); suite != nullptr; suite = suite->next())
        std::fprintf(file, "%s\n", suite->name());
}

struct FreeRunner {
    void operator()(SRunner* runner) const noexcept { srunner_free(runner); }
};

}  // namespace

// Static objects are made in an order that the linker decides: the list is kept sorted instead, so
// that every build runs the suites in the same order.
RegisteredSuite::RegisteredSuite(const char* name, FillSuite fill) noexcept
    : name_(name), fill_(fill) {
    RegisteredSuite* before = nullptr;
    RegisteredSuite* after = first_suite;
    while (after != nullptr && std::strcmp(after->name_, name) < 0) {
        before = after;
        after = after->next_;
    }
    next_ = after;
    (before == nullptr ? first_suite : before->next_) = this;
}

const RegisteredSuite* RegisteredSuite::first() noexcept { return first_suite; }

Suite* RegisteredSuite::create() const {
    Suite* suite = suite_create(name_);
    TCase* tests = tcase_create(name_);
    suite_add_tcase(suite, tests);
    fill_(suite, tests);
    return suite;
}

namespace {

int run(int count, char** names) {
    if (count == 1 && std::strcmp(names[0], "--list") == 0) {
        print_names(stdout);
        return 0;
    }
    // Limits only end what hangs, so they suit a machine that is much slower, and busy.
    ::setenv("CK_TIMEOUT_MULTIPLIER", "10", 0);
    const std::unique_ptr<SRunner, FreeRunner> runner{srunner_create(nullptr)};
    for (int i = 0; i < count; ++i) {
        const RegisteredSuite* suite = find(names[i]);
        if (suite == nullptr) {
            std::fprintf(stderr, "unit-tests: no suite is called \"%s\"; there are:\n", names[i]);
            print_names(stderr);
            return 2;
        }
        srunner_add_suite(runner.get(), suite->create());
    }
    if (count == 0) {
        for (const auto* suite = RegisteredSuite::first(); suite != nullptr; suite = suite->next())
            srunner_add_suite(runner.get(), suite->create());
    }
    srunner_run_all(runner.get(), CK_NORMAL);
    const bool passed =
        srunner_ntests_run(runner.get()) > 0 && srunner_ntests_failed(runner.get()) == 0;
    return passed ? 0 : 1;
}

}  // namespace
}  // namespace websocket::test

int main(int argc, char** argv) { return websocket::test::run(argc - 1, argv + 1); }
