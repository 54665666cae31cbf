// SPDX-License-Identifier: Apache-2.0
// Calls a method of a JSON-RPC service and prints the result:
//
//     call ws://localhost:8080/jsonrpc sum '[1, 2, 3]'
//
// The params are JSON, which simdjson reads. Ends with 1 when there is no result, and says why.
#include <chrono>
#include <exception>
#include <iostream>

#include <websocket/jsonrpc/reader.hpp>
#include <websocket/jsonrpc/writer.hpp>
#include <websocket/jsonrpc_client.hpp>

using namespace websocket::jsonrpc;

int main(int count, char** words) {
    if (count != 3 && count != 4) {
        std::cerr << "usage: call ADDRESS METHOD [PARAMS]\n";
        return 2;
    }
    try {
        Configuration configuration;
        configuration.ws.uri = words[1];
        configuration.ws.on_connection_failed = [](const ConnectionError& error) {
            std::cerr << error.what() << "; trying again\n";
        };
        configuration.rpc.request_timeout = std::chrono::seconds(20);
        Client client(configuration);
        client.connect();
        const Value params = count == 4 ? Reader({}).read(words[3]) : Value();
        std::cout << to_json(client.send(words[2], params).get()) << '\n';
        client.close().wait();
        return 0;
    } catch (const Error& error) {  // of the service
        std::cerr << "error " << error.code << ": " << error.what() << ' ' << to_json(error.data)
                  << '\n';
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
    }
    return 1;
}
