// SPDX-License-Identifier: Apache-2.0
// One thread: nothing to see for ThreadSanitizer.
#include "plugin/v1/v1_loader.hpp"

#include <cstring>

#include "engine/connection.hpp"
#include "engine/slot_table.hpp"
#include "plugin/built_plugin.hpp"
#include "plugin/common/loader.hpp"
#include "plugin/v1/v1_session.hpp"
#include "unit.hpp"

using websocket::plugin::kMinV1Size;
using websocket::plugin::Plugin;
using websocket::plugin::read_v1_plugin;
using websocket::test::built_plugin;

namespace {

void nothing(void*, void*, ws_conn, std::uint32_t, std::uint8_t*, std::uint64_t) {}

/// As good as a description can be.
ws_plugin good() {
    ws_plugin plugin{};
    plugin.base.size = sizeof plugin;
    plugin.base.version = WEBSOCKET_PLUGIN_VERSION_1;
    plugin.flags = WS_POOL;
    plugin.name = "good";
    plugin.on_message = nothing;
    return plugin;
}

std::string objection(const ws_plugin& plugin) {
    std::string result;
    static_cast<void>(read_v1_plugin(plugin.base, result));
    return result;
}

/// The rule by which servers that know version 0 only load a plugin.
std::string old_objection(const WebSocketPlugin* plugin) {
    if (plugin == nullptr) return "returned NULL";
    if (plugin->version != 0)
        return "unsupported plugin version " + std::to_string(plugin->version);
    if (plugin->size < 40) return "invalid plugin size; check plugin version and compiler";
    return plugin->on_message == nullptr ? "on_message handler is NULL" : "";
}

}  // namespace

START_TEST(a_good_description_is_taken) { ck_assert(objection(good()) == ""); }
END_TEST

START_TEST(a_description_says_how_it_runs_and_what_it_takes) {
    ws_plugin plugin = good();
    plugin.flags = 0;
    ck_assert(objection(plugin).find("WS_NEVER_BLOCKS or WS_POOL") != std::string::npos);
    plugin.flags = WS_POOL | WS_NEVER_BLOCKS;
    ck_assert(objection(plugin).find("WS_NEVER_BLOCKS or WS_POOL") != std::string::npos);
    plugin.flags = WS_POOL | 0x8000;
    ck_assert(objection(plugin).find("unknown flags") != std::string::npos);
    plugin.flags = WS_POOL | WS_WANTS_FRAGMENTS;
    ck_assert(objection(plugin) == "on_fragment handler is NULL");
    plugin = good();
    plugin.on_message = nullptr;
    ck_assert(objection(plugin) == "on_message handler is NULL");
    plugin = good();
    plugin.name = "";
    ck_assert(objection(plugin) == "name is missing");
    plugin = good();
    plugin.base.size = kMinV1Size - 1;
    ck_assert(objection(plugin).find("invalid plugin size") != std::string::npos);
}
END_TEST

START_TEST(nothing_beyond_the_size_of_an_earlier_minor_version_is_read) {
    // In a block of exactly its size, so that a sanitizer sees every byte too many.
    ws_plugin whole = good();
    whole.base.size = kMinV1Size;
    const auto block = std::make_unique<std::uint8_t[]>(kMinV1Size);
    std::memcpy(block.get(), &whole, kMinV1Size);
    std::string wrong;
    const ws_plugin known =
        read_v1_plugin(*reinterpret_cast<const WebSocketPlugin*>(block.get()), wrong);
    ck_assert_str_eq(wrong.c_str(), "");
    ck_assert(known.on_message == nothing);
}
END_TEST

START_TEST(what_later_minor_versions_append_is_not_looked_at) {
    struct {
        ws_plugin plugin = good();
        void* later = nullptr;
    } larger;
    larger.plugin.base.size = sizeof larger;
    std::string wrong;
    static_cast<void>(read_v1_plugin(larger.plugin.base, wrong));
    ck_assert_str_eq(wrong.c_str(), "");
}
END_TEST

START_TEST(both_kinds_of_plugin_are_told_apart) {
    std::string error;
    const auto v1 = Plugin::load(built_plugin("plugins/websocket_echo.so"), "", "echo_init", error);
    ck_assert_msg(v1 != nullptr && v1->v1() != nullptr, "%s", error.c_str());
    ck_assert_str_eq(v1->v1()->name, "echo");
    ck_assert(old_objection(&v1->callbacks()) == "unsupported plugin version 1");
    const auto v0 =
        Plugin::load(built_plugin("plugins/mod_websocket_echo.so"), "", "echo_init", error);
    ck_assert(v0 != nullptr && v0->v1() == nullptr);
}
END_TEST

/// What malloc takes for so many bytes on a 64-bit glibc.
constexpr std::size_t malloced(std::size_t size) { return (size + 8 + 15) / 16 * 16; }

START_TEST(an_idle_connection_of_a_plugin_that_never_blocks_takes_256_bytes_at_most) {
    const std::size_t all = malloced(sizeof(websocket::engine::Connection)) +
                            sizeof(websocket::engine::Slot) +
                            malloced(sizeof(websocket::plugin::V1Session));
    ck_assert_uint_le(all, 256);
}
END_TEST

WEBSOCKET_TEST_SUITE(v1_loader) {
    tcase_add_test(tests, a_good_description_is_taken);
    tcase_add_test(tests, a_description_says_how_it_runs_and_what_it_takes);
    tcase_add_test(tests, nothing_beyond_the_size_of_an_earlier_minor_version_is_read);
    tcase_add_test(tests, what_later_minor_versions_append_is_not_looked_at);
    tcase_add_test(tests, both_kinds_of_plugin_are_told_apart);
    tcase_add_test(tests, an_idle_connection_of_a_plugin_that_never_blocks_takes_256_bytes_at_most);
}
