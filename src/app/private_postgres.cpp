#include "app/private_postgres.hpp"

#include "base/assert.hpp"

#include <fmt/format.h>

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
#include <pwd.h>
#include <random>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

extern char** environ;

namespace txstream::app {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Arguments = std::vector<std::string>;

constexpr std::chrono::seconds kReadyTimeout{30};
constexpr std::chrono::seconds kStopTimeout{20};
constexpr std::chrono::milliseconds kLook{20};
constexpr const char* kServerUser = "postgres";
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

}  // namespace

class PrivatePostgres::Impl {
public:
    ~Impl() {
        stop();
        std::error_code ignored;
        if (is_temporary_) fs::remove_all(directory_, ignored);
    }

    Result<> start(const std::string& wanted) {
        TXS_TRY(binaries_, find_binaries());
        TXS_CHECK(choose_directory(wanted));
        TXS_CHECK(choose_user());
        if (!fs::exists(directory_ / "data" / "PG_VERSION")) TXS_CHECK(make_cluster());
        return launch();
    }

    const Config::Database& database() const { return database_; }
    const std::string& directory() const { return directory_text_; }

private:
    Result<> choose_directory(const std::string& wanted) {
        std::error_code error;
        if (wanted.empty()) {
            auto pattern = (fs::temp_directory_path(error) / "txstream-dev-XXXXXX").string();
            if (mkdtemp(pattern.data()) == nullptr)
                return fail(
                    Code::unavailable,
                    std::string("cannot make a directory: ") + std::strerror(errno)
                );
            directory_ = pattern;
            is_temporary_ = true;
        } else {
            directory_ = fs::absolute(wanted, error);
            fs::create_directories(directory_, error);
            if (error)
                return fail(Code::invalid_input, "--data " + wanted + ": " + error.message());
        }
        directory_text_ = directory_.string();
        return {};
    }

    // As root, the directory and all in it are the server user's. The signal on our death ends the
    // server even if nobody can end it any more.
    Result<> choose_user() {
        prefix_ = {"setpriv", "--pdeathsig", "INT"};
        if (geteuid() != 0) {
            prefix_.emplace_back("--");
            return {};
        }
        const auto* user = getpwnam(kServerUser);
        if (user == nullptr)
            return fail(
                Code::not_found, "PostgreSQL does not run as root, and there is no user postgres"
            );
        if (chown(directory_.c_str(), user->pw_uid, user->pw_gid) != 0)
            return fail(
                Code::invalid_input, "cannot give " + directory_text_ + " to the user postgres"
            );
        prefix_.insert(
            prefix_.end(),
            {fmt::format("--reuid={}", user->pw_uid),
             fmt::format("--regid={}", user->pw_gid),
             "--clear-groups",
             "--"}
        );
        return {};
    }

    Arguments as_user(Arguments command) const {
        auto all = prefix_;
        all.insert(all.end(), command.begin(), command.end());
        return all;
    }

    Result<> make_cluster() {
        const auto password_file = directory_ / "password";
        {
            std::ofstream file(password_file);
            file << random_hex(4);
        }
        fs::permissions(password_file, fs::perms::owner_read | fs::perms::owner_write);
        if (const auto* user = geteuid() == 0 ? getpwnam(kServerUser) : nullptr; user != nullptr) {
            if (chown(password_file.c_str(), user->pw_uid, user->pw_gid) != 0)
                return fail(Code::unavailable, "cannot give away " + password_file.string());
        }
        const auto log = directory_ / "initdb.log";
        TXS_TRY(
            const auto pid,
            spawn(
                as_user(
                    {(binaries_ / "initdb").string(),
                     "--pgdata=" + (directory_ / "data").string(),
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
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        if (status != 0) return fail(Code::unavailable, "initdb failed: " + contents(log));
        return {};
    }

    Result<> launch() {
        const auto port = free_port();
        database_.host = "127.0.0.1";
        database_.port = std::to_string(port);
        database_.user = "postgres";
        database_.password = contents(directory_ / "password");
        database_.name = "postgres";
        database_.ssl_mode = "disable";
        database_.connections_max = 25;
        database_.connect_timeout = std::chrono::seconds(10);
        const auto log = directory_ / "postgres.log";
        TXS_TRY(
            pid_,
            spawn(
                as_user(
                    {(binaries_ / "postgres").string(),
                     "-D",
                     (directory_ / "data").string(),
                     "-c",
                     "listen_addresses=127.0.0.1",
                     "-c",
                     "port=" + database_.port,
                     "-c",
                     "unix_socket_directories=",
                     "-c",
                     is_temporary_ ? "fsync=off" : "fsync=on"}
                ),
                log
            )
        );
        const auto deadline = Clock::now() + kReadyTimeout;
        while (!is_ready()) {
            if (ended(pid_)) {
                pid_ = -1;
                return fail(Code::unavailable, "PostgreSQL did not start: " + contents(log));
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

    // The last line of postmaster.pid says it, and the file is there only while the server is.
    bool is_ready() const {
        return contents(directory_ / "data" / "postmaster.pid").find("\nready") !=
               std::string::npos;
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
    std::string directory_text_;
    bool is_temporary_ = false;
    Arguments prefix_;
    pid_t pid_ = -1;
    Config::Database database_;
};

PrivatePostgres::PrivatePostgres(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
PrivatePostgres::~PrivatePostgres() = default;

Result<std::unique_ptr<PrivatePostgres>> PrivatePostgres::start(const std::string& directory) {
    auto impl = std::make_unique<Impl>();
    TXS_CHECK(impl->start(directory));
    return std::unique_ptr<PrivatePostgres>(new PrivatePostgres(std::move(impl)));
}

const Config::Database& PrivatePostgres::database() const noexcept {
    return impl_->database();
}
const std::string& PrivatePostgres::directory() const noexcept {
    return impl_->directory();
}

}  // namespace txstream::app
