// SPDX-License-Identifier: Apache-2.0
//
// JSON-RPC 2.0 services: a class and one line. Header-only; link with -lsimdjson. docs/jsonrpc.md tells more.
//
//     #include <websocket/jsonrpc.hpp>
//
//     struct Calculator {
//         static constexpr const char* name = "calculator";
//
//         explicit Calculator(websocket::jsonrpc::Server& server) {
//             server.method("sum", {"a", "b"}, [](double a, double b) { return a + b; });
//         }
//     };
//     WEBSOCKET_JSONRPC_PLUGIN(calculator_init, Calculator)
//
// An object of the class is made once in each child process for each location. It may have:
//
//     static constexpr const char* name            required: for log lines and the status page
//     Calculator(jsonrpc::Server&) or Calculator(jsonrpc::Server&, const Options&)
//     static constexpr bool never_blocks = true    methods and events run on the event loop that serves their
//                                                  client; else on threads of this process (option `threads`)
//     static constexpr const char* options[]       names of options of its own
//     static void check(const Options&)            throws OptionError: stops httpd -t
//     void on_upgrade(Upgrade&)                    refuses clients; may block
//
// Methods and events of one session never overlap and keep their order; those of different sessions run at the
// same time, so what the object itself holds needs a lock. Pings are answered at once, whatever a session does.
#pragma once

#include "jsonrpc/plugin.hpp"
