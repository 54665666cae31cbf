// SPDX-License-Identifier: Apache-2.0
// The shipped bridge in the server in memory, with a target at a unix socket.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>
#include <websocket/testing.hpp>

#include "../../plugins/tcp_socket.hpp"
#include "plugin/built_plugin.hpp"
#include "plugin/common/loader.hpp"
#include "temporary_folder.hpp"
#include "unit.hpp"

using namespace std::chrono_literals;
using tcp::Socket;
using websocket::plugin::Plugin;
using websocket::test::built_plugin;
using websocket::testing::Client;
using websocket::testing::Host;
using websocket::testing::Pairs;

namespace {

/// A listener, and the folder that it is in.
class Listener {
public:
    Listener() : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        ck_assert_uint_lt(path().size(), sizeof address.sun_path);
        std::strcpy(address.sun_path, path().c_str());
        ck_assert_int_eq(
            ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        ck_assert_int_eq(::listen(socket_.get(), 10), 0);
    }
    [[nodiscard]] std::string path() const { return folder() + "/socket"; }
    [[nodiscard]] const std::string& folder() const { return folder_.path(); }
    [[nodiscard]] Socket accept() const {
        return Socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }

private:
    const websocket::test::TemporaryFolder folder_;
    Socket socket_;
};

/// The plugin with one client and its target.
class Bridged {
public:
    explicit Bridged(const char* option = "buffer", const char* value = "64K") {
        std::string error;
        plugin_ = Plugin::load(built_plugin("plugins/websocket_tcp.so"), "tcp", "tcp_init", error);
        ck_assert_msg(plugin_ != nullptr, "%s", error.c_str());
        host.emplace(plugin_->callbacks(),
                     Pairs{{"target", "unix:" + listener.path()}, {option, value}});
        client = host->connect();
        ck_assert_uint_eq(client->answer().status, 101);
        target = listener.accept();
    }
    /// Nothing must have been done that a plugin must not do.
    void stop() {
        host->stop();
        for (const std::string& offence : host->offences()) ck_abort_msg("%s", offence.c_str());
    }

    /// What the client got since the last call.
    [[nodiscard]] std::string heard() {
        std::string all;
        for (; seen_ < client->received().size(); ++seen_) {
            ck_assert_uint_eq(client->received()[seen_].type, WS_BINARY);
            all += client->received()[seen_].payload;
        }
        return all;
    }
    /// What has come to the target; `ended` tells whether the bridge has ended its side.
    [[nodiscard]] std::string arrived(bool* ended = nullptr) const {
        std::string all;
        static char part[65536];
        for (;;) {
            const ssize_t n = ::recv(target.get(), part, sizeof part, MSG_DONTWAIT);
            if (ended != nullptr) *ended = n == 0;
            if (n <= 0) return all;
            all.append(part, static_cast<std::size_t>(n));
        }
    }
    void say(const std::string& bytes) const {
        ck_assert_int_eq(
            ::send(target.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
    }
    void expect_close(unsigned code, const std::string& reason) const {
        ck_assert(client->closed_with().has_value());
        ck_assert_uint_eq(*client->closed_with(), code);
        ck_assert_str_eq(client->close_reason().c_str(), reason.c_str());
    }

    Listener listener;
    std::optional<Host> host;
    std::shared_ptr<Client> client;
    Socket target;

private:
    std::unique_ptr<Plugin> plugin_;
    std::size_t seen_ = 0;
};

/// More than the kernel keeps of a unix socket's stream by itself.
const std::string kMuch = [] {
    std::string text(1 << 20, '\0');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 + i / 1000);
    return text;
}();

}  // namespace

START_TEST(bytes_pass_in_both_directions) {
    Bridged bridged;
    bridged.client->text("one");
    bridged.client->binary(std::string("\0two", 4));
    ck_assert(bridged.arrived() == std::string("one\0two", 7));
    bridged.say("three");
    bridged.host->poll();
    ck_assert(bridged.heard() == "three");
    ck_assert_int_eq(bridged.host->metric("clients"), 1);
    bridged.stop();
    bool ended = false;
    ck_assert(bridged.arrived(&ended).empty());
    ck_assert(ended);
}
END_TEST

START_TEST(a_client_without_room_makes_the_target_wait_and_loses_nothing) {
    for (const std::size_t room : {0U, 1U, 100U}) {
        Bridged bridged;
        bridged.client->stop_reading(room);
        bridged.say("first ");
        bridged.host->poll();
        bridged.say("second");
        for (int i = 0; i < 3; ++i) bridged.host->poll();
        const std::string before = bridged.heard();
        ck_assert_str_eq(before.c_str(), room == 0 ? "" : room == 1 ? "first " : "first second");
        bridged.client->read();
        bridged.host->poll();
        ck_assert(before + bridged.heard() == "first second");
        bridged.stop();
    }
}
END_TEST

START_TEST(a_target_that_does_not_read_pauses_the_client_until_half_is_taken) {
    Bridged bridged("buffer", "256K");
    bridged.client->binary(kMuch);
    ck_assert(bridged.client->paused());
    std::string taken;
    while (taken.size() < kMuch.size()) {
        const std::string part = bridged.arrived();
        ck_assert(!part.empty());
        taken += part;
        bridged.host->poll();
    }
    ck_assert(taken == kMuch);
    ck_assert(!bridged.client->paused());
    bridged.client->binary("more");
    ck_assert(bridged.arrived() == "more");
    bridged.stop();
}
END_TEST

START_TEST(a_target_that_takes_nothing_for_long_is_given_up) {
    Bridged bridged("send-timeout", "10s");
    bridged.client->binary(kMuch);
    bridged.host->advance(9s);
    static_cast<void>(bridged.arrived());
    bridged.host->poll();  // took some: that is noticed after 10 s, and it has 10 s more
    bridged.host->advance(10s);
    ck_assert(!bridged.client->closed_with());
    bridged.host->advance(10s);
    bridged.expect_close(1011, "target does not read");
    bridged.stop();
}
END_TEST

START_TEST(a_target_may_take_its_time_if_the_administrator_says_so) {
    Bridged bridged("send-timeout", "0");
    bridged.client->binary(kMuch);
    bridged.host->advance(24h);
    ck_assert(!bridged.client->closed_with());
    bridged.stop();
}
END_TEST

START_TEST(the_end_of_the_target_comes_behind_all_that_it_said) {
    Bridged bridged;
    bridged.client->stop_reading(0);
    bridged.say("last words");
    bridged.target = Socket();
    for (int i = 0; i < 3; ++i) bridged.host->poll();
    ck_assert(!bridged.client->closed_with());
    bridged.client->read();
    for (int i = 0; i < 3; ++i) bridged.host->poll();
    ck_assert(bridged.heard() == "last words");
    bridged.expect_close(1000, "target closed");
    bridged.stop();
}
END_TEST

START_TEST(a_target_that_ends_with_something_unread_has_failed) {
    Bridged bridged;
    bridged.client->binary("unread");
    bridged.target = Socket();
    for (int i = 0; i < 3; ++i) bridged.host->poll();
    bridged.expect_close(1011, "target failed");
    bridged.stop();
}
END_TEST

START_TEST(a_target_that_takes_no_more_may_still_talk) {
    Bridged bridged;
    ck_assert_int_eq(::shutdown(bridged.target.get(), SHUT_RD), 0);
    bridged.client->binary("in vain");
    bridged.client->binary("in vain");
    bridged.say("I only talk");
    bridged.host->poll();
    ck_assert(bridged.heard() == "I only talk");
    bridged.target = Socket();
    for (int i = 0; i < 3; ++i) bridged.host->poll();
    bridged.expect_close(1011, "target takes no more");
    bridged.stop();
}
END_TEST

START_TEST(what_a_client_leaves_behind_is_written_and_then_the_target_has_time_to_end) {
    Bridged bridged;
    bridged.client->binary(kMuch);
    bridged.client->close();
    std::string taken;
    bool ended = false;
    while (!ended) {
        taken += bridged.arrived(&ended);
        bridged.host->poll();
    }
    ck_assert(taken == kMuch);
    bridged.say("nobody hears this");
    bridged.host->poll();
    for (int i = 0; i < 2; ++i) bridged.host->advance(2s);  // it has taken all at the first look
    ck_assert_int_eq(::send(bridged.target.get(), "x", 1, MSG_NOSIGNAL), -1);
    bridged.stop();
}
END_TEST

START_TEST(a_target_that_ends_as_well_is_forgotten_at_once) {
    Bridged bridged;
    bridged.client->vanish();
    bool ended = false;
    ck_assert(bridged.arrived(&ended).empty());
    ck_assert(ended);
    ck_assert_int_eq(::shutdown(bridged.target.get(), SHUT_WR), 0);
    bridged.host->poll();
    ck_assert_int_eq(::send(bridged.target.get(), "x", 1, MSG_NOSIGNAL), -1);
    bridged.stop();
}
END_TEST

START_TEST(a_stop_waits_a_moment_for_a_target_that_reads) {
    Bridged bridged;
    bridged.client->binary(kMuch);
    std::string taken;
    std::thread reader([&] {
        static char part[65536];
        ssize_t n = 0;
        while ((n = ::recv(bridged.target.get(), part, sizeof part, 0)) > 0) {
            taken.append(part, static_cast<std::size_t>(n));
        }
    });
    bridged.stop();
    reader.join();
    ck_assert(taken == kMuch);
}
END_TEST

START_TEST(a_client_is_refused_without_its_target) {
    Bridged bridged;
    std::filesystem::remove(bridged.listener.path());
    const auto refused = bridged.host->connect();
    ck_assert_uint_eq(refused->answer().status, 502);
    ck_assert(bridged.host->log().back().find("No such file or directory (errno 2)") !=
              std::string::npos);
    ck_assert_int_eq(bridged.host->metric("unreachable"), 1);
    // Lines are limited, what is counted is not.
    for (int i = 0; i < 100; ++i) static_cast<void>(bridged.host->connect());
    ck_assert_int_eq(bridged.host->metric("unreachable"), 101);
    ck_assert_uint_lt(bridged.host->log().size(), 100);
    bridged.stop();
}
END_TEST

WEBSOCKET_TEST_SUITE(tcp_bridge) {
    tcase_add_test(tests, bytes_pass_in_both_directions);
    tcase_add_test(tests, a_client_without_room_makes_the_target_wait_and_loses_nothing);
    tcase_add_test(tests, a_target_that_does_not_read_pauses_the_client_until_half_is_taken);
    tcase_add_test(tests, a_target_that_takes_nothing_for_long_is_given_up);
    tcase_add_test(tests, a_target_may_take_its_time_if_the_administrator_says_so);
    tcase_add_test(tests, the_end_of_the_target_comes_behind_all_that_it_said);
    tcase_add_test(tests, a_target_that_ends_with_something_unread_has_failed);
    tcase_add_test(tests, a_target_that_takes_no_more_may_still_talk);
    tcase_add_test(tests,
                   what_a_client_leaves_behind_is_written_and_then_the_target_has_time_to_end);
    tcase_add_test(tests, a_target_that_ends_as_well_is_forgotten_at_once);
    tcase_add_test(tests, a_stop_waits_a_moment_for_a_target_that_reads);
    tcase_add_test(tests, a_client_is_refused_without_its_target);
}
