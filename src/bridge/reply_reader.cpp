// SPDX-License-Identifier: Apache-2.0
#include "bridge/reply_reader.hpp"

#include <hiredis/read.h>

#include <new>

namespace websocket::bridge {

namespace {

/// hiredis asks for an object for each part of a reply: the outermost one is ours, the others lie in it.
template <class Fill>
void* make(const redisReadTask* task, Fill fill) noexcept {
    try {
        if (task->parent == nullptr) {
            auto reply = std::make_unique<Reply>();
            fill(*reply);
            return reply.release();
        }
        auto& parent = *static_cast<Reply*>(task->parent->obj);
        Reply& reply = parent.elements.at(static_cast<std::size_t>(task->idx));
        fill(reply);
        return &reply;
    } catch (const std::exception&) {
        return nullptr;  // hiredis calls that out of memory
    }
}

Reply::Type type_of(const redisReadTask* task) noexcept {
    switch (task->type) {
        case REDIS_REPLY_ERROR: return Reply::Type::error;
        case REDIS_REPLY_STATUS: return Reply::Type::status;
        default: return Reply::Type::string;
    }
}

void* make_string(const redisReadTask* task, char* text, std::size_t size) {
    return make(task, [&](Reply& reply) {
        reply.type = type_of(task);
        reply.text.assign(text, size);
    });
}

/// The type of `count` is not the same in all versions of hiredis.
template <class Count>
void* make_array(const redisReadTask* task, Count count) {
    auto& elements = *static_cast<std::size_t*>(task->privdata);
    return make(task, [&](Reply& reply) {
        const auto more = static_cast<std::size_t>(count);
        if (more > ReplyReader::kMostElements - elements) {
            throw std::bad_alloc();
        }
        elements += more;
        reply.type = Reply::Type::array;
        reply.elements.resize(more);
    });
}

void* make_integer(const redisReadTask* task, long long value) {
    return make(task, [&](Reply& reply) {
        reply.type = Reply::Type::integer;
        reply.integer = value;
    });
}

void* make_nil(const redisReadTask* task) {
    return make(task, [](Reply& reply) { reply.type = Reply::Type::nil; });
}

void free_reply(void* reply) { delete static_cast<Reply*>(reply); }

redisReplyObjectFunctions* functions() noexcept {
    static redisReplyObjectFunctions all = [] {
        redisReplyObjectFunctions made{};  // those of RESP3 stay null: it is not asked for
        made.createString = make_string;
        made.createArray = make_array;
        made.createInteger = make_integer;
        made.createNil = make_nil;
        made.freeObject = free_reply;
        return made;
    }();
    return &all;
}

}  // namespace

void ReplyReader::Free::operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }

ReplyReader::ReplyReader(std::size_t most_bytes)
    : most_bytes_(most_bytes), reader_(redisReaderCreateWithFunctions(functions())) {
    if (reader_ == nullptr) {
        throw std::bad_alloc();
    }
    reader_->privdata = &elements_;
}

ReplyReader::~ReplyReader() = default;

bool ReplyReader::feed(std::span<const std::uint8_t> bytes) {
    if (!error_.empty()) {
        return false;
    }
    if (reader_->len - reader_->pos + bytes.size() > most_bytes_) {
        error_ = "a reply is longer than " + std::to_string(most_bytes_) + " bytes";
        return false;
    }
    if (redisReaderFeed(reader_.get(), reinterpret_cast<const char*>(bytes.data()), bytes.size()) !=
        0) {
        error_ = reader_->errstr;
        return false;
    }
    return true;
}

std::optional<Reply> ReplyReader::next() {
    if (!error_.empty()) {
        return {};
    }
    void* whole = nullptr;
    if (redisReaderGetReply(reader_.get(), &whole) != 0) {
        error_ = std::string("what it sends is not the protocol of Redis, or too much: ") +
                 reader_->errstr;
        return {};
    }
    if (whole == nullptr) {
        return {};
    }
    elements_ = 0;
    const std::unique_ptr<Reply> reply(static_cast<Reply*>(whole));
    return std::move(*reply);
}

}  // namespace websocket::bridge
