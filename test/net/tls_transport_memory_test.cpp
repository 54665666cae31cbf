// SPDX-License-Identifier: Apache-2.0
// OpenSSL without memory: an exception at the takeover, an end of the connection later.
// One thread: nothing to see for ThreadSanitizer.
#include "net/tls_transport.hpp"

#include <openssl/crypto.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "engine/tls_ends.hpp"
#include "unit.hpp"

using namespace websocket::test;

namespace {

/// Allocations that OpenSSL may still make; less than 0 for as many as it likes.
int allowance = -1;

bool may_allocate() {
    if (allowance > 0) --allowance;
    return allowance != 0;
}

void* allocate(std::size_t size, const char* /*file*/, int /*line*/) {
    return may_allocate() ? std::malloc(size) : nullptr;
}
void* reallocate(void* memory, std::size_t size, const char* /*file*/, int /*line*/) {
    return may_allocate() ? std::realloc(memory, size) : nullptr;
}
void give_back(void* memory, const char* /*file*/, int /*line*/) { std::free(memory); }

/// Before OpenSSL has allocated anything. False when it is too late, as all tests run in one process
/// (CK_FORK=no).
bool use_these() {
    const bool used = CRYPTO_set_mem_functions(allocate, reallocate, give_back) == 1;
    ck_assert(used || std::getenv("CK_FORK") != nullptr);
    return used;
}

/// Runs `step` without the first, the second, ... of its allocations until it needs no more.
/// `step` gets a function that lets memory run out, and one that ends that.
template <class Step>
void without_each_allocation(Step step) {
    for (int allowed = 1;; ++allowed) {
        bool used_up = false;
        step([&] { allowance = allowed; },
             [&] {
                 used_up = allowance == 0;
                 allowance = -1;
             });
        if (!used_up) return;
        ck_assert_int_lt(allowed, 10'000);
    }
}

}  // namespace

START_TEST(a_takeover_without_memory_throws) {
    if (!use_these()) return;
    int thrown = 0;
    without_each_allocation([&](auto begin, auto end) {
        TlsHandshake handshake;
        begin();
        try {
            const TlsTransport transport(handshake.server.release(),
                                         std::move(handshake.sockets.server), {});
        } catch (const std::bad_alloc&) {
            ++thrown;
        }
        end();
    });
    ck_assert_int_gt(thrown, 0);
}
END_TEST

START_TEST(a_connection_without_memory_works_or_fails) {
    if (!use_these()) return;
    int failed = 0;
    without_each_allocation([&](auto begin, auto end) {
        Ends ends({.version = kTlsVersions.at(static_cast<std::size_t>(_i))});
        if (SSL_version(ends.peer.ssl()) == TLS1_3_VERSION) {
            ends.peer.tcp().send(ends.peer.key_update(SSL_KEY_UPDATE_REQUESTED));
        }
        ends.peer.send("hello");
        std::array<std::uint8_t, 100> buffer;
        begin();
        const IoStatus read = ends.read(buffer).status;
        const IoStatus written = ends.write("answer").status;
        end();
        ck_assert(read == IoStatus::done || read == IoStatus::failed);
        ck_assert(written == IoStatus::done || written == IoStatus::failed);
        ck_assert(read == IoStatus::done || written == IoStatus::failed);  // as it is unusable
        if (written == IoStatus::done)
            ends.peer.expect("answer");
        else
            ++failed;
        ck_assert(ends.transport.shutdown_write());
    });
    ck_assert_int_gt(failed, 0);
}
END_TEST

WEBSOCKET_TEST_SUITE(tls_transport_memory) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, a_takeover_without_memory_throws);
    tcase_add_loop_test(tests, a_connection_without_memory_works_or_fails, 0,
                        static_cast<int>(kTlsVersions.size()));
}
