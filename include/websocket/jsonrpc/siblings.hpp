// SPDX-License-Identifier: Apache-2.0
// How a session gets from one process to another. Part of websocket/jsonrpc.hpp.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../server.hpp"
#include "reader.hpp"
#include "writer.hpp"

namespace websocket::jsonrpc::detail {

/// The other processes that have this service, over a topic. A session is in one process at a time: who has
/// it gives it away when another one asks for it.
///
///     {"ask":ID,"user":USER,"from":PROCESS}      a client wants to come back to this session: who has it?
///     {"give":ID,"to":PROCESS,"session":{...}}   here it is; I have forgotten it
///     {"got":ID,"from":PROCESS}                  it has arrived
///     {"keep":ID,"from":PROCESS,"session":{...}} I am about to end: keep this for the client
///     {"drop":ID,"from":PROCESS}                 its client is here: forget what you keep
///
/// Without topics nobody else has anything.
class Siblings {
public:
    using Milliseconds = std::chrono::milliseconds;
    using Found = std::function<void(const std::optional<Value>& session)>;

    /// What others want; called where timers of the plugin run.
    struct Handler {
        std::function<void(const std::string& id, const std::string& user,
                           const std::string& asker)>
            asked;
        /// Returns whether the session is here now.
        std::function<bool(const std::string& id, const Value& session)> kept;
        std::function<void(std::string_view id)> dropped;
    };

    Siblings(const websocket::Server& host, const std::string& word, Milliseconds patience)
        : host_(host), topic_(kPrefix + word), patience_(patience),
          reader_(ReadLimits{std::size_t{16} << 20, 600}) {
        std::random_device random;
        for (int i = 0; i < 4; ++i) self_ += std::to_string(random()) + '.';
    }
    void listen(Handler handler) {
        handler_ = std::move(handler);
        if (patience_.count() == 0 || !host_.has_topics()) return;
        listener_ = host_.listen(topic_, [this](const Published& message) {
            if (message.is_text()) hear(message.text());
        });
    }

    [[nodiscard]] bool any() const noexcept { return static_cast<bool>(listener_); }
    [[nodiscard]] Milliseconds patience() const noexcept { return patience_; }

    /// Calls `found` once, where timers of the plugin run: with what another process has given, or nothing
    /// when nobody has it, or it is here meanwhile. [any thread]
    void ask(const std::string& id, const std::string& user, Found found) {
        {
            const std::lock_guard lock(mutex_);
            Question& question = questions_[id];
            question.waiting.push_back(std::move(found));
            if (question.waiting.size() > 1) return;  // the answer is for all
            question.timer =
                host_.after(patience_, [this, id] { answered(std::string(id), {}, true); });
        }
        say(Value::object({{"ask", id}, {"user", user}, {"from", self_}}));
    }
    /// Keeps the process from ending until it has arrived, as nobody else has the session. [any thread]
    void give(const std::string& id, const std::string& asker, Value session, DrainHold hold) {
        const auto kept = std::make_shared<const DrainHold>(std::move(hold));
        {
            const std::lock_guard lock(mutex_);
            Given& given = given_[id];
            given.hold = kept;
            given.timer = host_.after(
                patience_, [this, id, weak = std::weak_ptr(kept)] { give_up(id, weak.lock()); });
        }
        say(Value::object({{"give", id}, {"to", asker}, {"session", std::move(session)}}));
    }
    void keep(const std::string& id, Value session) const {
        say(Value::object({{"keep", id}, {"from", self_}, {"session", std::move(session)}}));
    }
    void drop(const std::string& id) const { say(Value::object({{"drop", id}, {"from", self_}})); }

private:
    /// No text has this byte, so that clients who choose topics of any name by text do not get in here.
    static constexpr const char* kPrefix = "\xFF"
                                           "websocket.jsonrpc:";

    struct Question {
        std::vector<Found> waiting;
        Timer timer;
    };

    /// On its way to another process.
    struct Given {
        std::shared_ptr<const DrainHold> hold;
        Timer timer;
    };

    void give_up(const std::string& id, const std::shared_ptr<const DrainHold>& hold) {
        const std::lock_guard lock(mutex_);
        const auto given = given_.find(id);
        if (given == given_.end() || given->second.hold != hold) return;  // given once more
        given->second.timer.detach();
        given_.erase(given);
    }
    void say(const Value& what) const {
        if (any()) host_.publish(topic_, to_json(what));
    }
    void hear(std::string_view text) {
        const Value heard = read(text);
        const auto word = [&heard](std::string_view name) -> std::string {
            const Value* value = heard.find(name);
            return value != nullptr && value->is_text() ? value->text() : std::string();
        };
        const Value* session = heard.find("session");
        if (std::string id = word("give"); !id.empty()) {
            if (word("to") != self_ || session == nullptr) return;
            answered(id, *session, false);
            say(Value::object({{"got", id}, {"from", self_}}));
        } else if (word("from") == self_) {
            return;
        } else if (id = word("ask"); !id.empty()) {
            handler_.asked(id, word("user"), word("from"));
        } else if (id = word("keep"); !id.empty() && session != nullptr) {
            // Who was asked while it made this of the session did not find it.
            if (handler_.kept(id, *session)) answered(id, {}, false);
        } else if (id = word("got"); !id.empty()) {
            const std::lock_guard lock(mutex_);
            given_.erase(id);
        } else if (id = word("drop"); !id.empty()) {
            handler_.dropped(id);
        }
    }
    /// What comes from elsewhere than a process of this service is nothing.
    Value read(std::string_view text) const {
        try {
            return reader_.read(text);
        } catch (const ReadError&) {
            return {};
        }
    }
    void answered(const std::string& id, const std::optional<Value>& session, bool by_timer) {
        std::vector<Found> waiting;
        {
            const std::lock_guard lock(mutex_);
            const auto question = questions_.find(id);
            if (question == questions_.end()) return;  // too late
            if (by_timer) question->second.timer.detach();
            waiting.swap(question->second.waiting);
            questions_.erase(question);
        }
        for (const Found& found : waiting) found(session);
    }

    const websocket::Server& host_;
    const std::string topic_;
    const Milliseconds patience_;
    const Reader reader_;
    std::string self_;  ///< names this process
    Handler handler_;
    std::mutex mutex_;  // guards the next two
    std::map<std::string, Question> questions_;
    std::map<std::string, Given> given_;
    Listener listener_;  // last: it uses the others
};

}  // namespace websocket::jsonrpc::detail
