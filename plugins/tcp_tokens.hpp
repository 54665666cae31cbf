// SPDX-License-Identifier: Apache-2.0
// Part of websocket_tcp.cpp: which token leads to which target. The files are those of websockify's
// TokenFile:
//
//     # a comment
//     kitchen: 10.0.0.17:5900
//     cellar: unix_socket:/run/vnc/cellar.sock
//
// or a directory of such files. They are read again when they have changed.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "tcp_socket.hpp"
#include "tcp_target.hpp"

namespace tcp {

/// What lines say, by token.
using Targets = std::map<std::string, Target, std::less<>>;

class TokenLine {
public:
    /// Nothing for an empty line and for a comment. Throws std::invalid_argument.
    [[nodiscard]] static std::optional<std::pair<std::string, Target>>
    parse(std::string_view line) {
        constexpr std::string_view kBlank = " \t\r";
        line = trimmed(line, kBlank);
        if (line.empty() || line.front() == '#') return {};
        // The first colon with a blank behind it: tokens may have colons, and targets have.
        std::size_t colon = line.find(':');
        while (
            colon != std::string_view::npos &&
            (colon + 1 == line.size() || kBlank.find(line[colon + 1]) == std::string_view::npos)) {
            colon = line.find(':', colon + 1);
        }
        if (colon == std::string_view::npos || colon == 0) {
            throw std::invalid_argument(
                "it is not \"TOKEN: TARGET\", with a blank behind the colon");
        }
        constexpr std::string_view kSocket = "unix_socket:";
        std::string target(trimmed(line.substr(colon + 1), kBlank));
        if (target.starts_with(kSocket)) target.replace(0, kSocket.size(), "unix:");
        return std::pair(std::string(trimmed(line.substr(0, colon), kBlank)), parse_target(target));
    }

private:
    static std::string_view trimmed(std::string_view text, std::string_view blank) {
        const std::size_t from = std::min(text.find_first_not_of(blank), text.size());
        return text.substr(from, text.find_last_not_of(blank) + 1 - from);
    }
};

/// The file or directory of the option `targets`. Throws std::system_error when it cannot be read.
class TokenFiles {
public:
    /// Is told what is wrong with a line, which is left out: "FILE, line 3: ...".
    using Complain = std::function<void(const std::string&)>;

    explicit TokenFiles(std::string path) : path_(std::move(path)) {}

    /// Reads the files if they are not those that were read last, and looks the token up.
    /// [any thread; may wait for the disk]
    [[nodiscard]] std::optional<Target> find(std::string_view token, const Complain& complain) {
        const std::lock_guard lock(mutex_);
        Versions now = versions();
        if (now != versions_) {
            versions_.clear();  // should the files be unreadable, they are read again the next time
            targets_ = read(now, complain);
            versions_ = std::move(now);
        }
        const auto found = targets_.find(token);
        return found != targets_.end() ? std::optional(found->second) : std::nullopt;
    }

    /// Reads all files once. Throws std::invalid_argument for the first line that is wrong.
    void check() const {
        static_cast<void>(
            read(versions(), [](const std::string& why) { throw std::invalid_argument(why); }));
    }

private:
    /// By what a change shows without reading: file, inode, size, and times of content and inode. Never
    /// empty.
    using Version = std::tuple<std::string, dev_t, ino_t, off_t, std::int64_t, std::int64_t>;
    using Versions = std::vector<Version>;

    static std::int64_t nanoseconds(const timespec& time) {
        return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
    }
    static struct stat status_of(const std::string& path) {
        struct stat status {};
        if (::stat(path.c_str(), &status) != 0) fail(path);
        return status;
    }
    [[noreturn]] static void fail(const std::string& path) {
        throw std::system_error(errno, std::system_category(), path);
    }
    static Version version_of(const std::string& path, const struct stat& status) {
        return {path,
                status.st_dev,
                status.st_ino,
                status.st_size,
                nanoseconds(status.st_mtim),
                nanoseconds(status.st_ctim)};
    }

    /// Of the file, or of the directory and the files in it that are not hidden, in order of names.
    [[nodiscard]] Versions versions() const {
        const struct stat status = status_of(path_);
        Versions all{version_of(path_, status)};
        if (!S_ISDIR(status.st_mode)) return all;
        struct Close {
            void operator()(DIR* directory) const noexcept { ::closedir(directory); }
        };
        const std::unique_ptr<DIR, Close> directory(::opendir(path_.c_str()));
        if (directory == nullptr) fail(path_);
        while (const dirent* entry = ::readdir(directory.get())) {
            const std::string path = path_ + "/" + entry->d_name;
            struct stat file {};
            const bool there = entry->d_name[0] != '.' && ::stat(path.c_str(), &file) == 0;
            if (there && S_ISREG(file.st_mode)) all.push_back(version_of(path, file));
        }
        std::sort(all.begin() + 1, all.end());
        return all;
    }

    [[nodiscard]] static Targets read(const Versions& versions, const Complain& complain) {
        Targets targets;
        // The first is the directory itself where there is one.
        const bool directory = S_ISDIR(status_of(std::get<0>(versions.front())).st_mode);
        for (std::size_t i = directory ? 1 : 0; i < versions.size(); ++i) {
            read_file(std::get<0>(versions[i]), targets, complain);
        }
        return targets;
    }
    static void read_file(const std::string& path, Targets& targets, const Complain& complain) {
        const std::string text = content_of(path);
        std::size_t number = 0;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = std::min(text.find('\n', at), text.size());
            const std::string_view line = std::string_view(text).substr(at, end - at);
            const std::string where = path + ", line " + std::to_string(++number) + ": ";
            at = end + 1;
            std::string wrong;
            try {
                auto entry = TokenLine::parse(line);
                if (entry && !targets.insert(std::move(*entry)).second) {
                    wrong = "its token stands further up, too; the first one counts";
                }
            } catch (const std::invalid_argument& error) {
                wrong = error.what();
            }
            if (!wrong.empty()) complain(where + wrong);
        }
    }
    static std::string content_of(const std::string& path) {
        const Socket file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        if (!file.valid()) fail(path);
        std::string text;
        char part[4096];
        for (;;) {
            const ssize_t n = ::read(file.get(), part, sizeof part);
            if (n == 0) return text;
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) fail(path);
            text.append(part, static_cast<std::size_t>(n));
        }
    }

    const std::string path_;
    std::mutex mutex_;  // guards the rest
    Versions versions_;
    Targets targets_;
};

}  // namespace tcp
