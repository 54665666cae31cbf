// SPDX-License-Identifier: Apache-2.0
// JSON text as values, by simdjson. Part of websocket/jsonrpc.hpp; the only one that includes simdjson.h, so
// link with -lsimdjson.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simdjson.h>

#include "../utf8.hpp"
#include "value.hpp"

namespace websocket::jsonrpc {

struct ReadLimits {
    std::size_t size = std::size_t{1} << 20;  ///< bytes of text
    std::size_t depth = 32;  ///< arrays and objects within each other that are not empty
};

/// What is wrong with a text, in words for whoever has sent it.
class ReadError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Reads JSON (RFC 8259). Refused besides what is not JSON: names that an object has twice, numbers that
/// do not fit, half surrogate pairs, text that is not UTF-8. [any thread]
///
/// A parser of simdjson keeps its memory and serves one text at a time; those that are free wait here for
/// the next one, with what it takes for texts of up to 64 KiB.
class Reader {
public:
    explicit Reader(ReadLimits limits) noexcept : limits_(limits) {}

    /// Throws ReadError.
    [[nodiscard]] Value read(std::string_view text) const {
        if (text.size() > limits_.size) {
            throw ReadError("the message has " + std::to_string(text.size()) +
                            " bytes; allowed are " + std::to_string(limits_.size));
        }
        const Lease parser(*this, text.size());
        simdjson::dom::element root;
        // Copied to where simdjson may read behind the end.
        const simdjson::error_code error = parser->parse(text.data(), text.size(), true).get(root);
        if (error != simdjson::SUCCESS) throw ReadError(words(error));
        // simdjson lets the second half of a pair pass alone.
        const bool escapes = text.find("\\u") != std::string_view::npos;
        return Copy{escapes}(root);
    }
    [[nodiscard]] const ReadLimits& limits() const noexcept { return limits_; }

private:
    using Parser = simdjson::dom::parser;
    static constexpr std::size_t kKept = std::size_t{64} << 10;
    static constexpr std::size_t kMostKept = 64;

    class Lease {
    public:
        Lease(const Reader& reader, std::size_t size) : reader_(reader) {
            {
                const std::lock_guard lock(reader.mutex_);
                if (!reader.idle_.empty()) {
                    parser_ = std::move(reader.idle_.back());
                    reader.idle_.pop_back();
                }
            }
            if (!parser_) parser_ = std::make_unique<Parser>();
            if (parser_->capacity() < size || parser_->max_depth() != depth()) {
                // simdjson counts the document itself, too.
                const std::size_t capacity = std::max<std::size_t>(size, 1024);
                if (parser_->allocate(capacity, depth()) != simdjson::SUCCESS) {
                    throw std::bad_alloc();
                }
            }
        }
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        ~Lease() {
            if (parser_->capacity() > kKept) return;
            try {
                const std::lock_guard lock(reader_.mutex_);
                if (reader_.idle_.size() < kMostKept) reader_.idle_.push_back(std::move(parser_));
            } catch (const std::bad_alloc&) {
                // The next text makes one of its own.
            }
        }
        Parser* operator->() const noexcept { return parser_.get(); }

    private:
        [[nodiscard]] std::size_t depth() const noexcept { return reader_.limits_.depth + 1; }

        const Reader& reader_;
        std::unique_ptr<Parser> parser_;
    };

    /// From simdjson's memory to ours. The depth is bounded: simdjson has refused what is deeper.
    struct Copy {
        bool escapes;

        Value operator()(const simdjson::dom::element& element) const {
            using simdjson::dom::element_type;
            switch (element.type()) {
                case element_type::NULL_VALUE: return {};
                case element_type::BOOL: return bool(element);
                case element_type::INT64: return std::int64_t(element);
                case element_type::UINT64: return std::uint64_t(element);
                case element_type::DOUBLE: return double(element);
                case element_type::STRING: return text(std::string_view(element));
                case element_type::ARRAY: {
                    const simdjson::dom::array from(element);
                    Value::Array items;
                    items.reserve(from.size());
                    for (const simdjson::dom::element item : from) items.push_back((*this)(item));
                    return items;
                }
                case element_type::OBJECT: {
                    const simdjson::dom::object from(element);
                    Value::Object members;
                    members.reserve(from.size());
                    for (const auto field : from) {
                        members.push_back({text(field.key), (*this)(field.value)});
                    }
                    refuse_doubles(members);
                    return members;
                }
            }
            throw ReadError("the message is not JSON");
        }
        [[nodiscard]] std::string text(std::string_view bytes) const {
            if (escapes && !is_utf8(bytes)) {
                throw ReadError("a string has half of a surrogate pair; \\uD800 to \\uDBFF and "
                                "\\uDC00 to \\uDFFF stand in pairs only");
            }
            return std::string(bytes);
        }
        static void refuse_doubles(const Value::Object& members) {
            constexpr std::size_t kFew = 16;
            if (members.size() <= kFew) {
                for (std::size_t i = 1; i < members.size(); ++i) {
                    for (std::size_t j = 0; j < i; ++j) {
                        if (members[i].name == members[j].name) refuse(members[i].name);
                    }
                }
                return;
            }
            std::vector<std::string_view> names;
            names.reserve(members.size());
            for (const Member& member : members) names.emplace_back(member.name);
            std::ranges::sort(names);
            const auto twice = std::ranges::adjacent_find(names);
            if (twice != names.end()) refuse(*twice);
        }
        [[noreturn]] static void refuse(std::string_view name) {
            throw ReadError("an object has the member \"" + std::string(detail::excerpt(name)) +
                            "\" twice");
        }
    };

    [[nodiscard]] std::string words(simdjson::error_code error) const {
        switch (error) {
            case simdjson::DEPTH_ERROR:
                return "arrays and objects are nested more than " + std::to_string(limits_.depth) +
                       " deep";
            case simdjson::NUMBER_ERROR:
                return "a number is malformed, or too large: integers are from -2^63 to 2^64-1, "
                       "others what a double can hold";
            case simdjson::UTF8_ERROR: return "the message is not UTF-8";
            case simdjson::STRING_ERROR:
                return "a string has an escape that is none, or half of a surrogate pair";
            case simdjson::UNESCAPED_CHARS:
                return "a string has a control character, which has to be escaped";
            case simdjson::UNCLOSED_STRING: return "a string does not end";
            case simdjson::EMPTY: return "the message is empty";
            case simdjson::MEMALLOC: throw std::bad_alloc();
            default: return "the message is not JSON";
        }
    }

    const ReadLimits limits_;
    mutable std::mutex mutex_;  // guards idle_
    mutable std::vector<std::unique_ptr<Parser>> idle_;
};

}  // namespace websocket::jsonrpc
