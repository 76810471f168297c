#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace txstream::log::detail {

/// Where log lines go. Never blocks for long and never ends the process: a line that a full disk, a
/// closed pipe or a reader that stopped does not take is dropped and counted. Not thread-safe.
class Output {
public:
    /// How long one line waits for a reader that does not read. After it, lines do not wait until
    /// the reader reads again.
    static constexpr int kWaitMilliseconds = 100;

    /// Empty or "stdout", "stderr", else a file that is appended to. On failure nothing changes.
    Result<> open(const std::string& path);
    /// Opens the file under its name again, after the old one was renamed. Code::conflict when the
    /// output is no file.
    Result<> reopen();

    void write(std::string_view line);
    bool is_terminal() const noexcept;
    /// systemd's journal reads it, as JOURNAL_STREAM says: lines may begin with a priority.
    bool is_journal() const noexcept { return is_journal_; }
    /// Lines dropped since the last successful one.
    std::uint64_t lost() const noexcept { return lost_; }

private:
    bool write_whole(std::string_view line);
    bool is_writable() const;
    void use(int descriptor);

    std::string path_;
    int descriptor_ = 1;
    bool is_file_ = false;
    bool is_regular_ = false;
    bool is_socket_ = false;
    bool is_journal_ = false;
    bool is_stalled_ = false;
    bool is_torn_ = false;  ///< the last line was written in part
    std::uint64_t lost_ = 0;
};

}  // namespace txstream::log::detail
