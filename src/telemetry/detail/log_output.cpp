#include "telemetry/detail/log_output.hpp"

#include <climits>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace txstream::log::detail {

namespace {

// What poll() promises for a pipe. O_NONBLOCK would be simpler, but it belongs to the open file,
// which the shell and other processes share.
constexpr std::size_t kChunk = PIPE_BUF;

// Not blocking: a FIFO may have no reader.
Result<int> open_file(const std::string& path) {
    const int descriptor = ::open(
        path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640
    );
    if (descriptor >= 0) return descriptor;
    return fail(
        Code::invalid_input,
        fmt::format("cannot open the log file {}: {}", path, std::strerror(errno))
    );
}

// systemd names the stream that it made for us, "device:inode". A service that sends its output
// elsewhere inherits the variable all the same.
bool is_journal_stream(const struct stat& what) {
    const char* const stream = std::getenv("JOURNAL_STREAM");
    return stream != nullptr && fmt::format("{}:{}", what.st_dev, what.st_ino) == stream;
}

}  // namespace

Result<> Output::open(const std::string& path) {
    const bool is_file = !path.empty() && path != "stdout" && path != "stderr";
    int descriptor = path == "stderr" ? STDERR_FILENO : STDOUT_FILENO;
    if (is_file) {
        TXS_TRY(descriptor, open_file(path));
    }
    if (is_file_) ::close(descriptor_);
    is_file_ = is_file;
    path_ = path;
    use(descriptor);
    return {};
}

Result<> Output::reopen() {
    if (!is_file_) return fail(Code::conflict, "the log is not written to a file");
    TXS_TRY(const int descriptor, open_file(path_));
    ::close(descriptor_);
    use(descriptor);
    return {};
}

void Output::use(int descriptor) {
    descriptor_ = descriptor;
    struct stat what{};
    const bool is_known = ::fstat(descriptor, &what) == 0;
    is_regular_ = is_known && S_ISREG(what.st_mode);
    is_socket_ = is_known && S_ISSOCK(what.st_mode);
    is_journal_ = is_known && is_journal_stream(what);
    is_stalled_ = false;
    is_torn_ = false;
}

bool Output::is_terminal() const noexcept {
    return ::isatty(descriptor_) != 0;
}

bool Output::is_writable() const {
    if (is_regular_) return true;
    pollfd wanted{descriptor_, POLLOUT, 0};
    return ::poll(&wanted, 1, is_stalled_ ? 0 : kWaitMilliseconds) > 0;
}

void Output::write(std::string_view line) {
    // The rest of a line that was torn would swallow this one.
    if (is_torn_ && !write_whole("\n")) {
        ++lost_;
        return;
    }
    is_torn_ = false;
    if (write_whole(line)) {
        lost_ = 0;
    } else {
        ++lost_;
    }
}

bool Output::write_whole(std::string_view line) {
    const auto whole = line.size();
    while (!line.empty()) {
        is_stalled_ = !is_writable();
        if (is_stalled_) break;
        const auto size = is_regular_ ? line.size() : std::min(line.size(), kChunk);
        const ssize_t written =
            is_socket_ ? ::send(descriptor_, line.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL)
                       : ::write(descriptor_, line.data(), size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN) {
            is_stalled_ = true;
            break;
        }
        if (written < 0) break;
        line.remove_prefix(static_cast<std::size_t>(written));
    }
    if (!line.empty() && line.size() < whole) is_torn_ = true;
    return line.empty();
}

}  // namespace txstream::log::detail
