#pragma once

#include <condition_variable>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <netdb.h>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace txstream::pg {

/// Stands between the whole test program, libpq included, and the C library's getaddrinfo(): it
/// answers for the names that end in ".test". Include it in one source of a program.
class FakeNameService {
public:
    static FakeNameService& get() {
        static FakeNameService service;
        return service;
    }

    /// A name without addresses does not exist.
    void set(const std::string& name, std::vector<std::string> addresses) {
        const std::scoped_lock lock(mutex_);
        addresses_[name] = std::move(addresses);
    }
    /// Asked for this name, the service is silent until release().
    void hang(const std::string& name) {
        const std::scoped_lock lock(mutex_);
        hanging_.insert(name);
    }
    /// Returns when nobody is held up any longer.
    void release() {
        std::unique_lock lock(mutex_);
        hanging_.clear();
        changed_.notify_all();
        changed_.wait(lock, [this] { return held_up_ == 0; });
    }
    /// How often somebody asked for the name.
    std::size_t asked(const std::string& name) {
        const std::scoped_lock lock(mutex_);
        return asked_.count(name);
    }
    /// Whether the thread has asked for any name, and so been held up.
    bool has_asked(std::thread::id thread) {
        const std::scoped_lock lock(mutex_);
        return threads_.contains(thread);
    }

    /// Without a type of socket each address comes once for each, as from the C library.
    int answer(const std::string& name, const char* service, int type, addrinfo** found) {
        std::unique_lock lock(mutex_);
        asked_.insert(name);
        threads_.insert(std::this_thread::get_id());
        ++held_up_;
        changed_.wait(lock, [&] { return !hanging_.contains(name); });
        --held_up_;
        changed_.notify_all();
        addrinfo hints{};
        hints.ai_flags = AI_NUMERICHOST;
        hints.ai_socktype = type;
        *found = nullptr;
        for (const auto& address : addresses_[name]) {
            while (*found) found = &(*found)->ai_next;
            if (const int failed = real(address.c_str(), service, &hints, found)) return failed;
        }
        return addresses_[name].empty() ? EAI_NONAME : 0;
    }

    static int real(
        const char* node, const char* service, const addrinfo* hints, addrinfo** found
    ) {
        using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
        static const auto function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
        return function(node, service, hints, found);
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, std::vector<std::string>> addresses_;
    std::set<std::string> hanging_;
    std::multiset<std::string> asked_;
    std::set<std::thread::id> threads_;
    int held_up_ = 0;
};

}  // namespace txstream::pg

extern "C" int getaddrinfo(
    const char* node, const char* service, const addrinfo* hints, addrinfo** found
) {
    using txstream::pg::FakeNameService;
    if (node && std::string_view(node).ends_with(".test") &&
        !(hints && (hints->ai_flags & AI_NUMERICHOST)))
        return FakeNameService::get().answer(node, service, hints ? hints->ai_socktype : 0, found);
    return FakeNameService::real(node, service, hints, found);
}
