// SPDX-License-Identifier: Apache-2.0
#include "httpd/log/log_writer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "base/descriptor.hpp"
#include "engine/awaiting.hpp"
#include "failing_allocator.hpp"
#include "unit.hpp"

using namespace websocket::test;
using websocket::base::Descriptor;
using websocket::httpd::LogSink;
using websocket::httpd::LogWriter;

namespace {

/// Keeps lines, or does with them what a test says.
struct RecordingSink final : LogSink {
    Awaited<std::vector<std::string>> lines;
    Awaited<std::uint64_t> lost;
    std::atomic<bool> fails{false};

    Written write(std::string_view line) noexcept override {
        if (fails) return Written::no;
        const FailingAllocator::Nested memory;
        lines.update([&](auto& all) { all.emplace_back(line); });
        return Written::yes;
    }
    void report_lost(std::uint64_t count) noexcept override {
        const FailingAllocator::Nested memory;
        lost.update([&](std::uint64_t& all) { all += count; });
    }
    void await_lines(std::size_t count) {
        lines.await([=](const auto& all) { return all.size() >= count; }, "lines");
    }
};

/// A pipe with a sink that writes to it.
struct PipeSink final : LogSink {
    Descriptor read_end;
    Descriptor write_end;
    Awaited<std::uint64_t> lost;

    PipeSink() {
        std::array<int, 2> ends{};
        ck_assert_int_eq(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC), 0);
        read_end = Descriptor(ends[0]);
        write_end = Descriptor(ends[1]);
    }
    Written write(std::string_view line) noexcept override {
        return write_to(write_end.get(), line);
    }
    [[nodiscard]] int descriptor() const noexcept override { return write_end.get(); }
    void report_lost(std::uint64_t count) noexcept override {
        lost.update([&](std::uint64_t& all) { all += count; });
    }
    /// What can be read now.
    std::string read() {
        std::string all;
        std::array<char, 65536> some;
        for (ssize_t count = 0; (count = ::read(read_end.get(), some.data(), some.size())) > 0;) {
            all.append(some.data(), static_cast<std::size_t>(count));
        }
        return all;
    }
};

std::string numbered(int number) { return "line " + std::to_string(number) + '\n'; }

}  // namespace

START_TEST(lines_are_written_in_order) {
    RecordingSink sink;
    LogWriter writer;
    for (int i = 0; i < 1000; ++i) writer.push(sink, numbered(i));
    sink.await_lines(1000);
    const auto lines = sink.lines.get();
    for (int i = 0; i < 1000; ++i) {
        ck_assert(lines.at(static_cast<std::size_t>(i)) == numbered(i));
    }
}
END_TEST

START_TEST(no_thread_runs_before_somebody_wants_it) {
    LogWriter writer;
    ck_assert(writer.stopped());
    writer.begin_stop();
    ck_assert(writer.stopped());
    writer.begin();  // too late
    ck_assert(writer.stopped());
    LogWriter other;
    other.begin();
    other.begin();
    ck_assert(!other.stopped());
}
END_TEST

START_TEST(lines_of_many_threads_stay_whole_and_none_is_lost) {
    RecordingSink sink;
    LogWriter writer;
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; ++n) {
        threads.emplace_back([&] {
            for (int i = 0; i < 2500; ++i) writer.push(sink, numbered(i));
        });
    }
    for (std::thread& thread : threads) thread.join();
    sink.await_lines(10'000);
    ck_assert_uint_eq(sink.lost.get(), 0);
}
END_TEST

START_TEST(what_waits_is_written_before_the_end) {
    RecordingSink sink;
    {
        LogWriter writer;
        for (int i = 0; i < 1000; ++i) writer.push(sink, numbered(i));
        writer.begin_stop();
        await_quietly([&] { return writer.stopped(); }, "the end of the writer");
    }
    ck_assert_uint_eq(sink.lines.get().size(), 1000);
}
END_TEST

START_TEST(after_the_end_lines_are_lost_and_counted) {
    RecordingSink sink;
    LogWriter writer;
    writer.push(sink, numbered(0));
    writer.begin_stop();
    await_quietly([&] { return writer.stopped(); }, "the end of the writer");
    writer.push(sink, numbered(1));
    ck_assert_uint_eq(sink.lines.get().size(), 1);
    ck_assert_uint_eq(sink.lost.get(), 1);
}
END_TEST

START_TEST(a_full_pipe_holds_neither_the_pusher_nor_another_log) {
    PipeSink stuck;
    RecordingSink other;
    LogWriter writer;
    const std::string line(4000, 'x');
    for (int i = 0; i < 100; ++i) writer.push(stuck, line + '\n');  // a pipe holds 16
    writer.push(other, numbered(1));
    other.await_lines(1);
}
END_TEST

START_TEST(a_pipe_that_is_read_again_gets_all_that_waited) {
    PipeSink pipe;
    LogWriter writer;
    constexpr int kLines = 200;
    for (int i = 0; i < kLines; ++i) writer.push(pipe, numbered(i) + std::string(3000, 'x') + '\n');
    std::string all;
    await_quietly(
        [&] {
            all += pipe.read();
            return std::count(all.begin(), all.end(), '\n') == 2 * kLines;
        },
        "all lines");
    ck_assert(all.find(numbered(kLines - 1)) != std::string::npos);
    ck_assert_uint_eq(pipe.lost.get(), 0);
}
END_TEST

START_TEST(what_waits_for_a_stuck_log_is_bounded_and_what_is_lost_is_reported) {
    PipeSink pipe;
    LogWriter writer;
    const std::string line = std::string(3999, 'x') + '\n';
    for (int i = 0; i < 1000; ++i) writer.push(pipe, line);
    pipe.lost.await([](std::uint64_t lost) { return lost > 0; }, "a report");
    std::size_t read = 0;
    await_quietly(
        [&] {
            read += pipe.read().size();
            return read >= LogSink::kMaxQueued - line.size();
        },
        "what was queued");
    writer.begin_stop();
    await_quietly(
        [&] {
            read += pipe.read().size();  // a full pipe would keep what is left from being written
            return writer.stopped();
        },
        "the end of the writer");
    read += pipe.read().size();
    ck_assert_uint_le(read, LogSink::kMaxQueued + 70'000);  // the pipe itself holds 64 KiB
    ck_assert_uint_eq(pipe.lost.get(), 1000 - read / line.size());
}
END_TEST

START_TEST(a_stuck_log_does_not_hold_the_end) {
    PipeSink pipe;
    LogWriter writer;
    for (int i = 0; i < 100; ++i) writer.push(pipe, std::string(3999, 'x') + '\n');
    const auto start = std::chrono::steady_clock::now();
    writer.begin_stop();
    await_quietly([&] { return writer.stopped(); }, "the end of the writer");
    ck_assert(std::chrono::steady_clock::now() - start < kPatience);
}
END_TEST

START_TEST(a_log_that_fails_loses_its_lines_and_works_again_afterwards) {
    RecordingSink sink;
    LogWriter writer;
    sink.fails = true;
    writer.push(sink, numbered(0));
    sink.lost.await([](std::uint64_t lost) { return lost == 1; }, "the report");
    sink.fails = false;
    writer.push(sink, numbered(1));
    sink.await_lines(1);
    ck_assert(sink.lines.get().front() == numbered(1));
}
END_TEST

START_TEST(a_file_gets_whole_lines_at_its_end) {
    std::FILE* file = std::tmpfile();
    const int descriptor = ::fileno(file);
    ::fcntl(descriptor, F_SETFL, O_APPEND);
    ck_assert(LogSink::write_to(descriptor, "one\n") == LogSink::Written::yes);
    ck_assert_int_eq(static_cast<int>(::lseek(descriptor, 0, SEEK_SET)), 0);
    ck_assert(LogSink::write_to(descriptor, "two\n") == LogSink::Written::yes);
    std::array<char, 9> text{};
    ck_assert_int_eq(static_cast<int>(::pread(descriptor, text.data(), 8, 0)), 8);
    ck_assert_str_eq(text.data(), "one\ntwo\n");
    std::fclose(file);
    ck_assert(LogSink::write_to(-1, "three\n") == LogSink::Written::no);
}
END_TEST

START_TEST(without_memory_a_line_is_lost_and_nothing_else) {
    RecordingSink sink;
    LogWriter writer;
    writer.push(sink, numbered(0));
    sink.await_lines(1);
    for (std::size_t index = 0; index < 20; ++index) {
        std::string line = std::string(100, 'x') + '\n';
        const FailingAllocator failing(index);
        writer.push(sink, std::move(line));
    }
    writer.push(sink, {});  // there was not even memory for the line
    writer.begin_stop();
    await_quietly([&] { return writer.stopped(); }, "the end of the writer");
    ck_assert_uint_eq(sink.lines.get().size() + sink.lost.get(), 22);
}
END_TEST

START_TEST(what_was_lost_is_reported_although_nothing_follows) {
    RecordingSink sink;
    LogWriter writer;
    sink.fails = true;
    for (int i = 0; i < 100; ++i) writer.push(sink, numbered(i));
    sink.lost.await([](std::uint64_t lost) { return lost == 100; }, "all of them");
}
END_TEST

START_TEST(a_reminder_is_reported_until_nothing_remains) {
    Awaited<int> calls;
    LogWriter writer([&](LogWriter::Due due) {
        calls.update([due](int& count) { count += due == LogWriter::Due::now ? 1 : 0; });
        return calls.get() < 2;
    });
    ck_assert(writer.stopped());
    writer.remind();
    writer.remind();
    calls.await([](int count) { return count == 2; }, "two reports");
    calls.update([](int& count) { count = 0; });
    writer.remind();
    calls.await([](int count) { return count >= 1; }, "a report after the next reminder");
}
END_TEST

START_TEST(the_end_reports_all_at_once) {
    Awaited<int> ends;
    LogWriter writer([&](LogWriter::Due due) {
        ends.update([due](int& count) { count += due == LogWriter::Due::all ? 1 : 0; });
        return false;
    });
    writer.remind();
    writer.begin_stop();
    await_quietly([&] { return writer.stopped(); }, "the end of the writer");
    ck_assert_int_eq(ends.get(), 1);
    writer.remind();  // too late
    ck_assert(writer.stopped());
}
END_TEST

WEBSOCKET_TEST_SUITE(log_writer) {
    tcase_set_timeout(tests, kTestTimeout);
    tcase_add_test(tests, lines_are_written_in_order);
    tcase_add_test(tests, no_thread_runs_before_somebody_wants_it);
    tcase_add_test(tests, lines_of_many_threads_stay_whole_and_none_is_lost);
    tcase_add_test(tests, what_waits_is_written_before_the_end);
    tcase_add_test(tests, after_the_end_lines_are_lost_and_counted);
    tcase_add_test(tests, a_full_pipe_holds_neither_the_pusher_nor_another_log);
    tcase_add_test(tests, a_pipe_that_is_read_again_gets_all_that_waited);
    tcase_add_test(tests, what_waits_for_a_stuck_log_is_bounded_and_what_is_lost_is_reported);
    tcase_add_test(tests, a_stuck_log_does_not_hold_the_end);
    tcase_add_test(tests, a_log_that_fails_loses_its_lines_and_works_again_afterwards);
    tcase_add_test(tests, a_file_gets_whole_lines_at_its_end);
    tcase_add_test(tests, without_memory_a_line_is_lost_and_nothing_else);
    tcase_add_test(tests, what_was_lost_is_reported_although_nothing_follows);
    tcase_add_test(tests, a_reminder_is_reported_until_nothing_remains);
    tcase_add_test(tests, the_end_reports_all_at_once);
}
