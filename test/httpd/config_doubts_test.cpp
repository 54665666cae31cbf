// SPDX-License-Identifier: Apache-2.0
#include "httpd/config/config_doubts.hpp"

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "unit.hpp"

using websocket::httpd::doubts_of;

namespace {

/// A tree as httpd makes it of a configuration.
class Tree {
public:
    /// One line in the section that is open; the line's number is how many came before it.
    Tree& line(const char* directive, const char* arguments) {
        append(directive, arguments);
        return *this;
    }
    Tree& open(const char* section, const char* arguments) {
        parents_.push_back(append(section, arguments));
        return *this;
    }
    Tree& close() {
        parents_.pop_back();
        return *this;
    }
    /// The ids of all doubts with their lines: "WS0118:3 WS0119:7".
    [[nodiscard]] std::string ids() const {
        std::string all;
        for (const std::string& doubt : doubts()) {
            const std::size_t line = doubt.rfind(':');
            all += (all.empty() ? "" : " ") + doubt.substr(0, 6) +
                   doubt.substr(line, doubt.size() - line - 1);
        }
        return all;
    }

    [[nodiscard]] std::vector<std::string> doubts() const {
        return doubts_of(nodes_->empty() ? nullptr : &nodes_->front());
    }

private:
    ap_directive_t* append(const char* directive, const char* arguments) {
        ap_directive_t node{};
        node.directive = directive;
        node.args = arguments;
        node.filename = "httpd.conf";
        node.line_num = static_cast<int>(nodes_->size()) + 1;
        node.parent = parents_.empty() ? nullptr : parents_.back();
        nodes_->push_back(node);
        ap_directive_t* added = &nodes_->back();
        for (ap_directive_t& other : *nodes_) {
            if (&other != added && other.parent == added->parent && other.next == nullptr) {
                other.next = added;
            }
        }
        if (added->parent != nullptr && added->parent->first_child == nullptr) {
            added->parent->first_child = added;
        }
        return added;
    }

    std::shared_ptr<std::deque<ap_directive_t>> nodes_ =
        std::make_shared<std::deque<ap_directive_t>>();  // they point to each other
    std::vector<ap_directive_t*> parents_;
};

Tree endpoint(const char* path = "\"/chat\">") {
    Tree tree;
    tree.open("<Location", path)
        .line("SetHandler", "websocket-handler")
        .line("WebSocketHandler", "chat.so chat_init")
        .close();
    return tree;
}

void assert_ids(const Tree& tree, const char* expected) {
    const std::string got = tree.ids();
    ck_assert_str_eq(got.c_str(), expected);
}

}  // namespace

START_TEST(a_complete_endpoint_is_fine) {
    assert_ids(Tree(), "");
    assert_ids(endpoint(), "");
    assert_ids(endpoint("/chat>").line("WebSocketOriginCheck", "Same"), "");
}
END_TEST

START_TEST(a_plugin_without_a_handler_is_told) {
    assert_ids(Tree().open("<Location", "/chat>").line("WebSocketHandler", "a.so a").close(),
               "WS0118:2");
    assert_ids(endpoint().open("<Location", "/news>").line("WebSocketHandler", "a.so a").close(),
               "WS0118:5");
    assert_ids(endpoint().open("<Location", "/chatter>").line("WebSocketHandler", "a.so a").close(),
               "WS0118:5");
}
END_TEST

START_TEST(the_handler_may_come_from_elsewhere) {
    const auto plugin_with = [](const char* directive, const char* arguments) {
        Tree tree;
        tree.open("<Location", "/chat>").line("WebSocketHandler", "a.so a").close();
        return tree.line(directive, arguments);
    };
    assert_ids(plugin_with("RewriteRule", "^/chat - [H=websocket-handler]"), "");
    assert_ids(plugin_with("RewriteRule", "^/chat - [H=%{ENV:h}]"), "");
    assert_ids(plugin_with("AddHandler", "websocket-handler .ws"), "");
    assert_ids(plugin_with("SetHandler", "expr=%{ENV:h}"), "");
    assert_ids(plugin_with("AllowOverride", "AuthConfig FileInfo"), "");
    assert_ids(plugin_with("LuaHookFixups", "a.lua f"), "");
    assert_ids(plugin_with("AllowOverride", "None"), "WS0118:2");
    assert_ids(plugin_with("SetHandler", "server-status"), "WS0118:2");
    for (const char* around :
         {"/>", "/chat>", "/chat/room>", "\"/chat/\">", "~ \"^/c\">", "/ch*>"}) {
        Tree tree = plugin_with("ServerName", "x");
        tree.open("<Location", around).line("SetHandler", "\"WebSocket-Handler\"").close();
        ck_assert_msg(tree.ids().find("WS0118") == std::string::npos, "%s", around);
    }
    Tree files = plugin_with("ServerName", "x");
    files.open("<Directory", "/srv>").line("SetHandler", "websocket-handler").close();
    assert_ids(files, "");
}
END_TEST

START_TEST(another_virtual_host_does_not_help) {
    Tree tree;
    tree.open("<VirtualHost", "*:80>").line("SetHandler", "websocket-handler").close();
    tree.open("<VirtualHost", "*:81>").line("WebSocketHandler", "a.so a").close();
    assert_ids(tree, "WS0118:4 WS0119:2");
}
END_TEST

START_TEST(a_handler_without_a_plugin_is_told) {
    assert_ids(Tree().open("<Location", "/chat>").line("SetHandler", "websocket-handler").close(),
               "WS0119:2");
    assert_ids(
        endpoint().open("<Location", "/news>").line("SetHandler", "websocket-handler").close(),
        "WS0119:5");
    assert_ids(
        endpoint().open("<Location", "/chat/room>").line("SetHandler", "websocket-handler").close(),
        "");
}
END_TEST

START_TEST(a_misspelled_handler_is_told_and_nothing_else) {
    for (const char* name :
         {"websocket-handlr", "websocket_handler", "websocket", "web-socket-handler",
          "websockethandler", "\"WebSockets-Handler\"", "websoket-handler"}) {
        Tree tree;
        tree.open("<Location", "/chat>")
            .line("SetHandler", name)
            .line("WebSocketHandler", "a.so a")
            .close();
        assert_ids(tree, "WS0117:2");
    }
    for (const char* name :
         {"server-status", "proxy:ws://127.0.0.1:80/", "cgi-script", "None", "default-handler"}) {
        assert_ids(endpoint().line("SetHandler", name), "");
    }
}
END_TEST

START_TEST(a_check_of_an_empty_list_is_told) {
    assert_ids(
        endpoint().open("<Location", "/chat>").line("WebSocketOriginCheck", "trusted").close(),
        "WS0138:5");
    assert_ids(endpoint()
                   .open("<Location", "/chat>")
                   .line("WebSocketOriginCheck", "Trusted")
                   .close()
                   .line("WebSocketTrustedOrigin", "https://a.example"),
               "");
    assert_ids(endpoint().line("WebSocketTrustedOrigin", "https://a.example"), "");
}
END_TEST

START_TEST(an_origin_that_no_page_has_is_told) {
    assert_ids(endpoint().line("WebSocketTrustedOrigin",
                               "https://a.example ws://a.example \"https://b.example/chat\""),
               "WS0139:4 WS0139:4");
}
END_TEST

START_TEST(who_wants_to_trust_every_page_is_told_how) {
    const auto doubts = endpoint().line("WebSocketTrustedOrigin", "*").doubts();
    ck_assert_uint_eq(doubts.size(), 1);
    ck_assert(doubts[0].find("WebSocketOriginCheck Off") != std::string::npos);
}
END_TEST

WEBSOCKET_TEST_SUITE(config_doubts) {
    tcase_add_test(tests, who_wants_to_trust_every_page_is_told_how);
    tcase_add_test(tests, a_complete_endpoint_is_fine);
    tcase_add_test(tests, a_plugin_without_a_handler_is_told);
    tcase_add_test(tests, the_handler_may_come_from_elsewhere);
    tcase_add_test(tests, another_virtual_host_does_not_help);
    tcase_add_test(tests, a_handler_without_a_plugin_is_told);
    tcase_add_test(tests, a_misspelled_handler_is_told_and_nothing_else);
    tcase_add_test(tests, a_check_of_an_empty_list_is_told);
    tcase_add_test(tests, an_origin_that_no_page_has_is_told);
}
