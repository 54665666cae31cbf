// SPDX-License-Identifier: Apache-2.0
// Tests the plugin without httpd.
#include <cstdio>
#include <websocket/testing.hpp>

extern "C" WebSocketPlugin* greeter_init(void);

int main() {
    websocket::testing::Host host(*greeter_init(), {{"greeting", "moin"}});
    const auto client = host.connect();
    client->text("x");
    const bool good = client->texts() == std::vector<std::string>{"moin", "x"};
    host.stop();
    std::puts(good && host.offences().empty() ? "good" : "bad");
    return good && host.offences().empty() ? 0 : 1;
}
