#include "dev/private_postgres.hpp"

#include "base/assert.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <optional>
#include <pwd.h>
#include <random>
#include <spawn.h>
#include <string_view>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

extern char** environ;

namespace txstream::dev {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Arguments = std::vector<std::string>;

constexpr std::chrono::seconds kReadyTimeout{30};
constexpr std::chrono::seconds kStopTimeout{20};
constexpr std::chrono::milliseconds kLook{20};
constexpr std::chrono::seconds kPredecessorTimeout{5};
constexpr int kAttempts = 5;
constexpr std::chrono::milliseconds kAttemptPause{200};
constexpr const char* kServerUser = "postgres";
// What we put into the directory.
constexpr const char* kData = "data";
constexpr const char* kFresh = "data.new";
constexpr const char* kPassword = "password";
constexpr const char* kInitLog = "initdb.log";
constexpr const char* kServerLog = "postgres.log";
constexpr std::array<std::string_view, 5> kOurFiles{kData, kFresh, kPassword, kInitLog, kServerLog};
constexpr const char* kLockFile = "postmaster.pid";
constexpr std::size_t kStatusLine = 8;  // of the lock file; the first one is the pid
constexpr std::array kBinaryDirectories{
    "/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin"
};

Result<fs::path> find_binaries() {
    for (const char* const place : kBinaryDirectories) {
        fs::path directory(place);
        if (fs::exists(directory / "postgres") && fs::exists(directory / "initdb"))
            return directory;
    }
    return fail(Code::not_found, "PostgreSQL is missing; install the Debian package postgresql-15");
}

/// Starts a program with both outputs in a file, in a process group of its own: Ctrl-C in the
/// terminal is ours to hear first.
Result<pid_t> spawn(const Arguments& arguments, const fs::path& output) {
    std::vector<char*> argv;
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(
        &actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600
    );
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    pid_t pid = -1;
    const int error = posix_spawnp(&pid, argv.front(), &actions, &attributes, argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        return fail(
            Code::not_found, "cannot run " + arguments.front() + ": " + std::strerror(error)
        );
    return pid;
}

bool ended(pid_t pid, int* status = nullptr) {
    int ignored = 0;
    return waitpid(pid, status != nullptr ? status : &ignored, WNOHANG) != 0;
}

int exit_status(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

std::string random_hex(int words) {
    std::random_device random;
    std::string text;
    for (int i = 0; i < words; ++i) text += fmt::format("{:08x}", random());
    return text;
}

/// A port that is free now. Somebody may be faster; then PostgreSQL says so and ends.
std::uint16_t free_port() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    std::uint16_t port = 0;
    if (socket >= 0 && ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
        ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
        port = ntohs(address.sin_port);
    }
    if (socket >= 0) ::close(socket);
    return port;
}

std::string contents(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> lines_of(const fs::path& path) {
    std::vector<std::string> lines;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

}  // namespace

class PrivatePostgres::Impl {
public:
    ~Impl() {
        stop();
        std::error_code ignored;
        if (keep_ == Keep::no) fs::remove_all(directory_, ignored);
        if (lock_ >= 0) ::close(lock_);
    }

    Result<> start(const std::string& wanted, Keep keep) {
        TXS_TRY(binaries_, find_binaries());
        std::error_code error;
        directory_ = fs::absolute(wanted, error);
        TXS_CHECK(choose_user());
        TXS_CHECK(take_directory());
        keep_ = keep;
        if (!fs::exists(data() / "PG_VERSION", error)) TXS_CHECK(make_cluster());
        TXS_CHECK(wait_for_predecessor());
        for (int attempt = 1;; ++attempt) {
            auto launched = launch();
            const bool may_help = !launched && launched.error().code() == Code::unavailable;
            if (!may_help || attempt == kAttempts) return launched;
            std::this_thread::sleep_for(kAttemptPause);
        }
    }

    const Config::Database& database() const { return database_; }

private:
    // PDEATHSIG stops the server even if we are killed with SIGKILL.
    Result<> choose_user() {
        prefix_ = {"setpriv", "--pdeathsig", "INT"};
        if (geteuid() == 0) {
            const auto* user = getpwnam(kServerUser);
            if (user == nullptr)
                return fail(
                    Code::not_found,
                    "PostgreSQL does not run as root, and there is no user postgres"
                );
            user_ = {user->pw_uid, user->pw_gid};
            prefix_.insert(
                prefix_.end(),
                {fmt::format("--reuid={}", user_->uid),
                 fmt::format("--regid={}", user_->gid),
                 "--clear-groups"}
            );
        }
        prefix_.emplace_back("--");
        return {};
    }

    // A directory that was there keeps its owner: only what we put into it is the server's.
    Result<> take_directory() {
        const auto failed = [&](Code code, const std::string& why) {
            return fail(code, directory_.string() + " " + why);
        };
        std::error_code error;
        const bool is_new = fs::create_directories(directory_, error);
        if (error) return failed(Code::invalid_input, "cannot be made: " + error.message());
        // Whatever the umask: the server's user passes through it.
        if (is_new && user_) fs::permissions(directory_, fs::perms(0755), error);
        lock_ = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (lock_ < 0)
            return failed(
                Code::invalid_input, std::string("cannot be opened: ") + std::strerror(errno)
            );
        if (flock(lock_, LOCK_EX | LOCK_NB) != 0)
            return failed(Code::conflict, "is in use by another `txstream dev`");
        TXS_TRY(const bool is_ours, holds_only_ours());
        if (!is_ours)
            return failed(
                Code::invalid_input,
                "holds files that are not of `txstream dev`; name a new or an empty directory"
            );
        TXS_TRY(const bool is_reachable, can_server_enter());
        if (is_reachable) return {};
        if (is_new) fs::remove(directory_, error);
        return failed(
            Code::invalid_input,
            std::string("cannot be entered by the user ") + kServerUser +
                ", as whom PostgreSQL runs; name a directory that others may pass through, such as "
                "one in /var/tmp"
        );
    }

    Result<bool> holds_only_ours() const {
        std::error_code error;
        bool has_data = false;
        for (fs::directory_iterator at(directory_, error), end; at != end; at.increment(error)) {
            const auto name = at->path().filename().string();
            if (std::ranges::find(kOurFiles, name) == kOurFiles.end()) return false;
            has_data = has_data || name == kData;
        }
        if (error)
            return fail(
                Code::invalid_input, directory_.string() + " cannot be read: " + error.message()
            );
        return !has_data || (fs::exists(data() / "PG_VERSION", error) &&
                             fs::exists(directory_ / kPassword, error));
    }

    Result<bool> can_server_enter() const {
        if (!user_) return true;
        TXS_TRY(const auto pid, spawn(as_user({"test", "-x", directory_.string()}), "/dev/null"));
        return exit_status(pid) == 0;
    }

    fs::path data() const { return directory_ / kData; }

    Result<> give_to_server(const fs::path& path) const {
        if (!user_ || chown(path.c_str(), user_->uid, user_->gid) == 0) return {};
        return fail(
            Code::invalid_input, "cannot give " + path.string() + " to the user " + kServerUser
        );
    }

    Arguments as_user(Arguments command) const {
        auto all = prefix_;
        all.insert(all.end(), command.begin(), command.end());
        return all;
    }

    // Under another name until it is complete: who finds `data` can use it.
    Result<> make_cluster() {
        const auto fresh = directory_ / kFresh;
        const auto password_file = directory_ / kPassword;
        const auto log = directory_ / kInitLog;
        std::error_code error;
        fs::remove_all(fresh, error);
        if (!fs::create_directory(fresh, error))
            return fail(
                Code::invalid_input, fresh.string() + " cannot be made: " + error.message()
            );
        fs::permissions(fresh, fs::perms::owner_all);
        {
            std::ofstream file(password_file, std::ios::trunc);
            fs::permissions(password_file, fs::perms::owner_read | fs::perms::owner_write);
            file << random_hex(4);
        }
        TXS_CHECK(give_to_server(fresh));
        TXS_CHECK(give_to_server(password_file));
        TXS_TRY(
            const auto pid,
            spawn(
                as_user(
                    {(binaries_ / "initdb").string(),
                     "--pgdata=" + fresh.string(),
                     "--username=postgres",
                     "--pwfile=" + password_file.string(),
                     "--auth=scram-sha-256",
                     "--encoding=UTF8",
                     "--locale=C.UTF-8",
                     "--no-sync",
                     "--no-instructions"}
                ),
                log
            )
        );
        if (exit_status(pid) != 0) return fail(Code::rejected, "initdb failed: " + contents(log));
        fs::rename(fresh, data(), error);
        if (error)
            return fail(
                Code::invalid_input, data().string() + " cannot be made: " + error.message()
            );
        return {};
    }

    // After a SIGKILL of `txstream dev` its server still stops for a moment. After one of the
    // server its lock file remains, and when the pid in it has been given to some other process the
    // server would refuse to start: a real one has the data directory as its working directory.
    Result<> wait_for_predecessor() const {
        const auto file = data() / kLockFile;
        const auto deadline = Clock::now() + kPredecessorTimeout;
        std::error_code error;
        const auto real_data = fs::canonical(data(), error);
        while (true) {
            const auto lines = lines_of(file);
            if (lines.empty()) break;
            if (fs::read_symlink("/proc/" + lines.front() + "/cwd", error) != real_data) break;
            if (Clock::now() > deadline)
                return fail(
                    Code::conflict,
                    directory_.string() + " is in use by the PostgreSQL of process " +
                        lines.front() + "; end that first"
                );
            std::this_thread::sleep_for(kLook);
        }
        fs::remove(file, error);
        return {};
    }

    Result<> launch() {
        const auto port = free_port();
        database_.host = "127.0.0.1";
        database_.port = std::to_string(port);
        database_.user = "postgres";
        database_.password = contents(directory_ / kPassword);
        database_.name = "postgres";
        database_.ssl_mode = "disable";
        database_.connections_max = 25;
        database_.connect_timeout = std::chrono::seconds(10);
        const auto log = directory_ / kServerLog;
        std::error_code error;
        auto log_size = fs::file_size(log, error);
        if (error) log_size = 0;
        TXS_TRY(
            pid_,
            spawn(
                as_user(
                    {(binaries_ / "postgres").string(),
                     "-D",
                     data().string(),
                     "-c",
                     "listen_addresses=127.0.0.1",
                     "-c",
                     "port=" + database_.port,
                     "-c",
                     "unix_socket_directories=",
                     "-c",
                     keep_ == Keep::yes ? "fsync=on" : "fsync=off"}
                ),
                log
            )
        );
        const auto deadline = Clock::now() + kReadyTimeout;
        while (!is_ready()) {
            if (ended(pid_)) {
                pid_ = -1;
                return did_not_start(contents(log).substr(log_size));
            }
            if (Clock::now() > deadline)
                return fail(
                    Code::timed_out,
                    "PostgreSQL is not ready after 30 s; its log is " + log.string()
                );
            std::this_thread::sleep_for(kLook);
        }
        return {};
    }

    // Somebody may have been faster with the port, and the processes of a server that was killed
    // need a moment to see that: only then another attempt can help.
    static Result<> did_not_start(const std::string& log) {
        const bool is_passing = log.find("could not bind") != std::string::npos ||
                                log.find("shared memory block") != std::string::npos;
        return fail(
            is_passing ? Code::unavailable : Code::rejected, "PostgreSQL did not start: " + log
        );
    }

    // What pg_ctl looks at. Better than asking the port, which might be somebody else's.
    bool is_ready() const {
        const auto lines = lines_of(data() / kLockFile);
        return lines.size() >= kStatusLine && lines.front() == std::to_string(pid_) &&
               lines[kStatusLine - 1].starts_with("ready");
    }

    void stop() {
        if (pid_ <= 0) return;
        kill(pid_, SIGINT);  // PostgreSQL's fast shutdown
        const auto deadline = Clock::now() + kStopTimeout;
        while (!ended(pid_) && Clock::now() < deadline) std::this_thread::sleep_for(kLook);
        if (!ended(pid_)) kill(pid_, SIGKILL);
        pid_ = -1;
    }

    fs::path binaries_;
    fs::path directory_;
    Keep keep_ = Keep::yes;  ///< until it is known to be ours
    int lock_ = -1;
    struct User {
        uid_t uid;
        gid_t gid;
    };
    std::optional<User> user_;  ///< as whom the server runs; none: as we do
    Arguments prefix_;
    pid_t pid_ = -1;
    Config::Database database_;
};

PrivatePostgres::PrivatePostgres(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
PrivatePostgres::~PrivatePostgres() = default;

Result<std::unique_ptr<PrivatePostgres>> PrivatePostgres::start(
    const std::string& directory, Keep keep
) {
    auto impl = std::make_unique<Impl>();
    TXS_CHECK(impl->start(directory, keep));
    return std::unique_ptr<PrivatePostgres>(new PrivatePostgres(std::move(impl)));
}

const Config::Database& PrivatePostgres::database() const noexcept {
    return impl_->database();
}

}  // namespace txstream::dev
