// Echo server on uWebSockets, one thread; with --broadcast each message goes to all others by publish().
// bench/README.md says how to build it against a checkout of theirs.
// uwebsockets [--broadcast] PORT [off|shared|dedicated] [CERTIFICATE KEY]
// The word is about compression: none, every message for itself, or each connection with a context of its
// own, with windows and memory that are the module's defaults. Their level is zlib's default, 6: it is not
// for an application to choose. As the module does, only what has 256 bytes or more is compressed.

#include <App.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kCompressFrom = 256;
constexpr unsigned kMaxPayload = 64U << 20;
constexpr std::string_view kTopic = "all";

struct Options {
    bool broadcast = false;
    int port = 0;
    uWS::CompressOptions compression = uWS::DISABLED;
    std::string certificate;  // empty: no TLS
    std::string key;
};

struct Nothing {};  // user data of a connection

[[noreturn]] void usage() {
    std::fputs("uwebsockets [--broadcast] PORT [off|shared|dedicated] [CERTIFICATE KEY]\n", stderr);
    std::exit(2);
}

Options parse(std::vector<std::string> words) {
    Options options;
    const auto next = [&words] {
        if (words.empty()) usage();
        std::string word = std::move(words.front());
        words.erase(words.begin());
        return word;
    };
    std::string word = next();
    if (word == "--broadcast") {
        options.broadcast = true;
        word = next();
    }
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), options.port);
    if (error != std::errc{} || end != word.data() + word.size() || options.port < 1 ||
        options.port > 65535)
        usage();
    if (words.size() == 1 || words.size() == 3) {
        word = next();
        if (word == "shared")
            options.compression =
                uWS::CompressOptions(uWS::SHARED_COMPRESSOR | uWS::SHARED_DECOMPRESSOR);
        else if (word == "dedicated")  // 12 bits and memory level 5 to send, 12 bits to receive
            options.compression = uWS::CompressOptions(uWS::DEDICATED_COMPRESSOR_32KB |
                                                       uWS::DEDICATED_DECOMPRESSOR_4KB);
        else if (word != "off")
            usage();
    }
    if (!words.empty()) {
        options.certificate = next();
        options.key = next();
    }
    if (!words.empty()) usage();
    return options;
}

template <class App>
int serve(App&& app, const Options& options) {
    if (app.constructorFailed()) {
        std::fprintf(stderr, "no TLS with %s and %s\n", options.certificate.c_str(),
                     options.key.c_str());
        return 1;
    }
    const bool compress = options.compression != uWS::DISABLED;
    const bool broadcast = options.broadcast;
    bool listening = false;
    app.template ws<Nothing>(
        "/*",
        {.compression = options.compression,
         .maxPayloadLength = kMaxPayload,
         .idleTimeout = 0,
         .maxBackpressure = 0,  // none is dropped
         .closeOnBackpressureLimit = false,
         .resetIdleTimeoutOnSend = false,
         .sendPingsAutomatically = false,
         .open =
             [broadcast](auto* socket) {
                 // Only where it is needed: subscribers have no short way to send.
                 if (broadcast) socket->subscribe(kTopic);
             },
         .message =
             [broadcast, compress](auto* socket, std::string_view message, uWS::OpCode opcode) {
                 const bool deflate = compress && message.size() >= kCompressFrom;
                 if (broadcast)
                     socket->publish(kTopic, message, opcode, deflate);
                 else
                     socket->send(message, opcode, deflate);
             }});
    app.listen("127.0.0.1", options.port,
               [&listening](auto* socket) { listening = socket != nullptr; });
    if (!listening) {
        std::fprintf(stderr, "127.0.0.1:%d is taken\n", options.port);
        return 1;
    }
    app.run();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = parse({argv + 1, argv + argc});
    if (options.certificate.empty()) return serve(uWS::App(), options);
    return serve(uWS::SSLApp({.key_file_name = options.key.c_str(),
                              .cert_file_name = options.certificate.c_str()}),
                 options);
}
