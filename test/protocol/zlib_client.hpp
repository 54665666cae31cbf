// SPDX-License-Identifier: Apache-2.0
//
// Compression as a client does it, with zlib's own functions and nothing of ours, so that both can be
// wrong in different ways only.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "unit.hpp"

namespace websocket::test {

/// A raw deflate stream.
class ZlibDeflate {
public:
    explicit ZlibDeflate(int window_bits = 15, int level = 6, int memory_level = 8,
                         int strategy = Z_DEFAULT_STRATEGY) {
        ck_assert_int_eq(
            deflateInit2(&stream_, level, Z_DEFLATED, -window_bits, memory_level, strategy), Z_OK);
    }
    ~ZlibDeflate() { deflateEnd(&stream_); }
    ZlibDeflate(const ZlibDeflate&) = delete;
    ZlibDeflate& operator=(const ZlibDeflate&) = delete;

    [[nodiscard]] std::string feed(std::string_view plain, int flush) {
        std::string out;
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
        stream_.avail_in = static_cast<uInt>(plain.size());
        do {
            char some[4096];
            stream_.next_out = reinterpret_cast<Bytef*>(some);
            stream_.avail_out = sizeof some;
            ::deflate(&stream_, flush);
            out.append(some, sizeof some - stream_.avail_out);
        } while (stream_.avail_out == 0);
        return out;
    }

    /// The payload of one compressed message.
    [[nodiscard]] std::string message(std::string_view plain) {
        if (plain.empty()) return std::string(1, '\0');
        std::string payload = feed(plain, Z_SYNC_FLUSH);
        ck_assert(payload.ends_with(kTail));
        payload.resize(payload.size() - kTail.size());
        return payload;
    }
    /// RFC 7692 section 7.2.3.4: the same with a final block; the stream begins anew.
    [[nodiscard]] std::string final_message(std::string_view plain) {
        std::string payload = feed(plain, Z_FINISH) + '\0';
        reset();
        return payload;
    }
    void reset() { deflateReset(&stream_); }

    static constexpr std::string_view kTail{"\0\0\xFF\xFF", 4};

private:
    z_stream stream_{};
};

/// A client's end of a raw deflate stream.
class ZlibInflate {
public:
    explicit ZlibInflate(int window_bits = 15) {
        ck_assert_int_eq(inflateInit2(&stream_, -window_bits), Z_OK);
    }
    ~ZlibInflate() { inflateEnd(&stream_); }
    ZlibInflate(const ZlibInflate&) = delete;
    ZlibInflate& operator=(const ZlibInflate&) = delete;

    /// What the payload of a compressed message says; fails the test when it is broken.
    [[nodiscard]] std::string message(std::string_view payload) {
        const std::string whole = std::string(payload) + std::string(ZlibDeflate::kTail);
        std::string out;
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(whole.data()));
        stream_.avail_in = static_cast<uInt>(whole.size());
        do {
            char some[4096];
            stream_.next_out = reinterpret_cast<Bytef*>(some);
            stream_.avail_out = sizeof some;
            const int result = ::inflate(&stream_, Z_SYNC_FLUSH);
            ck_assert_msg(result == Z_OK || result == Z_BUF_ERROR, "zlib says %d: %s", result,
                          stream_.msg != nullptr ? stream_.msg : "");
            out.append(some, sizeof some - stream_.avail_out);
        } while (stream_.avail_out == 0);
        ck_assert_uint_eq(stream_.avail_in, 0);
        return out;
    }
    void reset() { inflateReset(&stream_); }

private:
    z_stream stream_{};
};

}  // namespace websocket::test
